// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/command.hpp"
#include "cli/run.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "traces/locality.hpp"
#include "traces/reader.hpp"
#include "traces/synthetic.hpp"
#include "traces/text_output.hpp"
#include "traces/writer.hpp"

namespace pregate::cli {

namespace {

trace::GeneratorProfile profile_from(const Parsed& parsed) {
  if (!parsed.has("model")) {
    for (const char* option : {"locality", "prompt", "output-tokens"})
      if (parsed.has(option))
        throw InputError("--" + std::string(option), "needs a model, whose routing is generated",
                         "name it with --model");
    return trace::load_profile(parsed.has("profile") ? parsed.text("profile") : "switch-base-128");
  }
  if (parsed.has("profile"))
    throw InputError("--profile", "cannot be combined with --model", "leave one of them out");
  const std::string locality = parsed.has("locality") ? parsed.text("locality") : "typical";
  return trace::shaped_profile(load_model(parsed.text("model")), trace::load_locality(locality),
                               {static_cast<int>(parsed.integer("prompt", trace::RequestShape{}.prompt_tokens,
                                                                0, trace::max_step_tokens)),
                                static_cast<int>(parsed.integer(
                                    "output-tokens", trace::RequestShape{}.output_tokens, 1, 10'000'000))});
}

}  // namespace

ExitCode trace_generate(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()  //
      ("profile", po::value<std::string>(),
       "profile: a name or a .toml (default switch-base-128 where no --model is given)")  //
      ("model", po::value<std::string>(), "instead: routing of this model's own shape")   //
      ("locality", po::value<std::string>(),
       "with --model: low, typical, high or a .toml (default typical)")                           //
      ("prompt", po::value<std::string>(), "with --model: tokens of the prompt (default 512)")    //
      ("output-tokens", po::value<std::string>(), "with --model: decode steps (default 128)")     //
      ("output,o", po::value<std::string>(), "trace database to write")                           //
      ("requests", po::value<std::string>(), "requests to generate (default 4; with --model 1)")  //
      ("seed", po::value<std::string>(), "seed (default 1)")                                      //
      ("overwrite", po::bool_switch(), "replace the output when it exists");
  const Parsed parsed = parse("pregate trace generate [--profile NAME] [--requests N] [--seed S] -o TRACE.db",
                              options, arguments);
  if (parsed.help) return 0;
  if (!parsed.has("output"))
    throw InputError("--output", "not given", "name the trace database to write: -o TRACE.db");
  const trace::GeneratorProfile profile = profile_from(parsed);
  const std::int64_t requests = parsed.integer("requests", parsed.has("model") ? 1 : 4, 1, 10'000'000);
  const auto seed = static_cast<std::uint64_t>(parsed.integer("seed", 1, 0, std::int64_t{1} << 62));
  const auto source = trace::generate(profile, requests, seed);
  const trace::TraceInfo info =
      trace::write_trace(*source, {}, parsed.text("output"), parsed.flag("overwrite"));
  print(parsed.text("output") + ": " + std::to_string(info.requests) + " requests, " +
        std::to_string(info.tokens) + " tokens\ncontent hash " + info.content_hash + "\n");
  return 0;
}

ExitCode trace_fit(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()                                                   //
      ("trace", po::value<std::string>(), "trace database")               //
      ("output,o", po::value<std::string>(), "profile (.toml) to write")  //
      ("locality", po::bool_switch(),
       "write a locality, for routing of any model as local as this trace's (--locality)")  //
      ("name", po::value<std::string>()->default_value("fitted"), "name of the profile");
  const Parsed parsed = parse("pregate trace fit TRACE.db -o PROFILE.toml [--locality] [--name NAME]",
                              options, arguments, "trace", 1);
  if (parsed.help) return 0;
  if (!parsed.has("trace"))
    throw InputError("pregate trace fit", "no trace given",
                     "usage: pregate trace fit TRACE.db -o PROFILE.toml");
  if (!parsed.has("output"))
    throw InputError("--output", "not given", "name the profile to write: -o PROFILE.toml");
  const auto source = trace::open_trace(parsed.text("trace"));
  refuse_overwriting(parsed.text("trace"), parsed.text("output"));
  trace::TextOutput output(parsed.text("output"));  // before the fit, which takes a while
  const std::string name = parsed.text("name");
  output.write(parsed.flag("locality")
                   ? trace::to_toml(trace::measure_locality(*source, name, parsed.text("trace")))
                   : trace::to_toml(trace::fit_profile(*source, name)));
  output.publish();
  print("wrote " + parsed.text("output") + "\n");
  return 0;
}

}  // namespace pregate::cli
