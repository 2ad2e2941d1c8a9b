// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <fstream>

#include "cli/command.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/report/model_report.hpp"
#include "traces/output_file.hpp"

namespace pregate::cli {
namespace {

constexpr std::int64_t usual_context = 32'768;
constexpr std::int64_t longest_context = 1'000'000'000;

void write(const std::string& path, const std::string& text) {
  trace::OutputFile file(path, true);
  std::ofstream out(file.temporary(), std::ios::binary);
  out << text;
  out.close();
  if (!out) throw InputError("--json", "writing '" + printable(path) + "' failed", "is the disk full?");
  file.publish();
}

}  // namespace

ExitCode model_show(const Arguments& arguments) {
  po::options_description options("Options");
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()                                                                           //
      ("model", text(), "catalogue name, .toml, Hugging Face config.json, its folder, or .gguf")  //
      ("context", text(), "tokens of a sequence that the cache is given for (default 32768)")     //
      ("weights", text(),
       "weight format of the routed experts, e.g. bf16, q4_k; default: the model's own")            //
      ("dense-weights", text(), "weight format of everything else; default: the model's own")       //
      ("set", po::value<std::vector<std::string>>()->composing(), "override: model.…; repeatable")  //
      ("json", text(), "write the same as JSON to this file; - is standard output, in place of the text");
  const Parsed parsed =
      parse("pregate model show MODEL [--context N] [--json FILE]", options, arguments, "model", 1);
  if (parsed.help) return 0;
  if (!parsed.has("model")) {
    throw InputError("pregate model show", "no model given",
                     "usage: pregate model show NAME or FILE; names: pregate list models");
  }
  std::vector<Override> set;
  for (const std::string& each : parsed.texts("set")) set.push_back(parse_override(each));
  const ModelSpec model =
      load_model(parsed.text("model"), {parsed.text("weights"), parsed.text("dense-weights")}, set);
  const sim::ModelReport report =
      sim::report_on(model, parsed.integer("context", usual_context, 1, longest_context));
  const std::string path = parsed.text("json");
  if (path == "-") {
    print(sim::model_json(report));
    return 0;
  }
  if (!path.empty()) write(path, sim::model_json(report));
  print(sim::model_text(report));
  return 0;
}

ExitCode model(const Arguments& arguments) {
  return dispatch("pregate model", "Models: what was understood of a description.",
                  {{"show", "parameters, kinds of layers, cache, formats, what was left out", model_show}},
                  arguments);
}

}  // namespace pregate::cli
