// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/command.hpp"
#include "cli/run.hpp"
#include "models/error.hpp"
#include "traces/reader.hpp"
#include "traces/synthetic.hpp"
#include "traces/text_output.hpp"
#include "traces/writer.hpp"

namespace pregate::cli {

ExitCode trace_generate(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()  //
      ("profile", po::value<std::string>()->default_value("switch-base-128"),
       "profile: a name or a .toml")                                              //
      ("output,o", po::value<std::string>(), "trace database to write")           //
      ("requests", po::value<std::string>(), "requests to generate (default 4)")  //
      ("seed", po::value<std::string>(), "seed (default 1)")                      //
      ("overwrite", po::bool_switch(), "replace the output when it exists");
  const Parsed parsed = parse("pregate trace generate [--profile NAME] [--requests N] [--seed S] -o TRACE.db",
                              options, arguments);
  if (parsed.help) return 0;
  if (!parsed.has("output"))
    throw InputError("--output", "not given", "name the trace database to write: -o TRACE.db");
  const trace::GeneratorProfile profile = trace::load_profile(parsed.text("profile"));
  const std::int64_t requests = parsed.integer("requests", 4, 1, 10'000'000);
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
      ("name", po::value<std::string>()->default_value("fitted"), "name of the profile");
  const Parsed parsed =
      parse("pregate trace fit TRACE.db -o PROFILE.toml [--name NAME]", options, arguments, "trace", 1);
  if (parsed.help) return 0;
  if (!parsed.has("trace"))
    throw InputError("pregate trace fit", "no trace given",
                     "usage: pregate trace fit TRACE.db -o PROFILE.toml");
  if (!parsed.has("output"))
    throw InputError("--output", "not given", "name the profile to write: -o PROFILE.toml");
  const auto source = trace::open_trace(parsed.text("trace"));
  refuse_overwriting(parsed.text("trace"), parsed.text("output"));
  trace::TextOutput output(parsed.text("output"));  // before the fit, which takes a while
  output.write(trace::to_toml(trace::fit_profile(*source, parsed.text("name"))));
  output.publish();
  print("wrote " + parsed.text("output") + "\n");
  return 0;
}

}  // namespace pregate::cli
