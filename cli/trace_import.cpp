// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/command.hpp"
#include "cli/run.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "traces/import.hpp"
#include "traces/reader.hpp"

namespace pregate::cli {

namespace {

/// What the catalogue says of the model that is named, for recordings that do not say it themselves.
void know_model(trace::ImportOptions& import) {
  const std::vector<std::string> known = model_names();
  if (std::find(known.begin(), known.end(), import.model) == known.end()) return;
  const ModelSpec model = load_model(import.model);
  const Stack& decoder = model.stacks.back();
  import.model_top_k = decoder.first_moe().top_k;
  import.model_experts = decoder.first_moe().experts;
  import.model_layers = static_cast<int>(decoder.layers.size());
  import.model_moe_layers = moe_layers(decoder);
}

}  // namespace

ExitCode trace_import(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()  //
      ("input", po::value<std::vector<std::string>>()->composing(),
       "recordings, all of one format; may be compressed by gzip or zstd")                  //
      ("output,o", po::value<std::string>(), "trace database to write")                     //
      ("format", po::value<std::string>(), "format of the input; default: by its content")  //
      ("model", po::value<std::string>(),
       "recorded model; a catalogue name tells formats that do not say it their layers and experts")  //
      ("experts", po::value<std::string>(), "experts a layer, where the recording does not say")      //
      ("top-k", po::value<std::string>(),
       "experts a token, where the recording does not say; default: the model's")  //
      ("prompt-tokens", po::value<std::string>(),
       "tokens of each sequence's prompt, where the recording does not say")  //
      ("overwrite", po::bool_switch(), "replace the output when it exists");
  const Parsed parsed = parse("pregate trace import INPUT... -o TRACE.db", options, arguments, "input", -1);
  if (parsed.help) {
    std::string text = "\nFormats:\n";
    for (const trace::FormatDescription& format : trace::import_formats()) {
      text += "  " + format.name + ": " + format.description + "\n      from " + format.source + "\n";
    }
    text += "docs/recording.md says how each engine makes a recording.\n";
    print(text);
    return 0;
  }
  const std::vector<std::string> inputs = parsed.texts("input");
  if (inputs.empty())
    throw InputError("pregate trace import", "no input given",
                     "usage: pregate trace import INPUT... -o TRACE.db");
  if (!parsed.has("output"))
    throw InputError("--output", "not given", "name the trace database to write: -o TRACE.db");
  for (const std::string& input : inputs) refuse_overwriting(input, parsed.text("output"));
  trace::ImportOptions import;
  import.format = parsed.text("format");
  import.model = parsed.text("model");
  import.experts = static_cast<int>(parsed.integer("experts", 0, 0, trace::max_experts));
  import.top_k = static_cast<int>(parsed.integer("top-k", 0, 0, trace::max_top_k));
  import.prompt_tokens = parsed.integer("prompt-tokens", 0, 0, trace::max_step_tokens);
  know_model(import);
  import.overwrite = parsed.flag("overwrite");
  const trace::ImportResult result = trace::import_trace(inputs, parsed.text("output"), import);
  const trace::TraceInfo& info = result.info;
  std::string text = parsed.text("output") + ": " + std::to_string(info.requests) + " requests, " +
                     std::to_string(info.steps) + " steps, " + std::to_string(info.tokens) + " tokens, " +
                     std::to_string(info.routed_entries) + " routed entries in " +
                     std::to_string(info.layers.size()) + " MoE layers (" + result.format +
                     ")\ncontent hash " + info.content_hash + "\n";
  for (const std::string& note : result.notes) text += "note: " + printable(note, 1000) + "\n";
  print(text);
  return 0;
}

ExitCode trace_export(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()                                        //
      ("trace", po::value<std::string>(), "trace database")    //
      ("output,o", po::value<std::string>(), "file to write")  //
      ("format", po::value<std::string>()->default_value("jsonl"), "jsonl (lossless) or csv");
  const Parsed parsed =
      parse("pregate trace export TRACE.db -o FILE [--format jsonl|csv]", options, arguments, "trace", 1);
  if (parsed.help) return 0;
  if (!parsed.has("trace"))
    throw InputError("pregate trace export", "no trace given",
                     "usage: pregate trace export TRACE.db -o FILE");
  if (!parsed.has("output")) throw InputError("--output", "not given", "name the file to write: -o FILE");
  const std::string format = parsed.text("format");
  if (format != "jsonl" && format != "csv") {
    throw InputError("--format", "'" + format + "' is not a format to export", "valid: jsonl, csv");
  }
  const auto source = trace::open_trace(parsed.text("trace"));
  refuse_overwriting(parsed.text("trace"), parsed.text("output"));
  const auto requests = trace::read_requests(parsed.text("trace"));
  if (format == "jsonl") {
    trace::export_jsonl(*source, requests, parsed.text("output"));
  } else {
    trace::export_csv(*source, requests, parsed.text("output"));
  }
  print("wrote " + parsed.text("output") + "\n");
  return 0;
}

}  // namespace pregate::cli
