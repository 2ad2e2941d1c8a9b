// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/calibrate.hpp"

#include <algorithm>
#include <ctime>
#include <initializer_list>

#include "cli/calibrate_rates.hpp"
#include "cli/device_options.hpp"
#include "cli/run.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "models/formats/apply_formats.hpp"
#include "runtime/shapes.hpp"
#include "sim/report/text_table.hpp"
#include "traces/output_file.hpp"
#include "validation/calibration/machine_toml.hpp"

namespace pregate::cli {

namespace {

/// What measures this machine has no part in a fit of rates, and the other way round.
void refuse_other_options(const Parsed& parsed) {
  const bool is_fit = parsed.has("from");
  const auto refuse = [&](std::initializer_list<const char*> options, const std::string& hint) {
    for (const char* option : options) {
      const bool is_given = parsed.has(option) && !parsed.values[option].defaulted();
      if (is_given)
        throw InputError("--" + std::string(option),
                         is_fit ? "has no part in a fit of rates" : "is of a fit of rates (--from)", hint);
    }
  };
  if (is_fit) {
    refuse({"model", "weights", "dense-weights", "low-weights"},
           "every row names its own: columns of the file");
    refuse({"seconds", "max-tokens", "accept-noise", "device", "gpu-memory", "compute-threads", "cpu-threads",
            "distinct-experts", "experts-on-ssd"},
           "it is of measuring the machine at hand, which --from leaves out");
  } else {
    refuse({"machine", "host", "software", "constants"},
           "without --from the machine at hand is measured, whatever it is");
  }
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

std::string spreads(const validation::Calibration& calibration) {
  sim::TextTable table({"measured", "points", "median spread %", "worst %"});
  for (const validation::SpreadLine& line : calibration.spreads)
    table.add({line.what, std::to_string(line.points), sim::three_digits(100 * line.median_spread),
               sim::three_digits(100 * line.worst_spread)});
  return table.text();
}

}  // namespace

ExitCode calibrate(const Arguments& arguments) {
  po::options_description options("What to measure");
  options.add_options()                                                                      //
      ("output,o", po::value<std::string>(), "machine file to write, e.g. my-machine.toml")  //
      ("model", po::value<std::string>()->default_value("switch-base-8"),
       "whose operations are measured: catalogue name, .toml or config.json")  //
      ("weights", po::value<std::string>(),
       "weight format of the experts: fp32, fp16, bf16, q8_0, q4_k or mxfp4")                              //
      ("dense-weights", po::value<std::string>(), "weight format of everything else: fp32, fp16 or bf16")  //
      ("low-weights", po::value<std::string>(),
       "also measure experts in these, comma-separated: for policies with a second format (formats.low)")  //
      ("set", po::value<std::vector<std::string>>()->composing(),
       "override: model.…, with --from machine.… and software.…; repeatable")  //
      ("seconds", po::value<std::string>(),
       "about how long to measure (default 120); at least four rounds, whatever they take")                //
      ("max-tokens", po::value<std::string>(), "largest pass whose operations are measured (default 64)")  //
      ("accept-noise", po::bool_switch(), "write the file although repeats differ too much");
  options.add(device_options());
  po::options_description rates("Instead, on rates that were measured");
  rates.add_options()  //
      ("from", po::value<std::string>(),
       "rates.csv: a header and a row a measured rate with its settings; fits what they determine")  //
      ("machine", po::value<std::string>(),
       "what they were measured on: catalogue name or .toml")                                         //
      ("host", po::value<std::string>(), "host in place of the machine's own")                        //
      ("software", po::value<std::string>(), "what drove it: name (pregate list software) or .toml")  //
      ("constants", po::value<std::string>(),
       "fit these, comma-separated, instead of all that is determined");
  options.add(rates);
  const Parsed parsed =
      parse("pregate calibrate -o FILE [--device host|cuda] [--model NAME] | --from FILE --machine NAME",
            options, arguments);
  if (parsed.help) return 0;
  refuse_other_options(parsed);
  if (!parsed.has("output"))
    throw InputError("--output", "not given", "name the machine file to write, e.g. -o my-machine.toml");
  const std::string path = parsed.text("output");
  if (!path.ends_with(".toml"))
    throw InputError("--output", "'" + printable(path, 200) + "' does not end in .toml",
                     "--machine takes files by that ending");
  static_cast<void>(trace::OutputFile(path, true));  // writable? before the work
  if (parsed.has("from")) return calibrate_from_rates(parsed);
  std::vector<Override> set;
  for (const std::string& text : parsed.texts("set")) set.push_back(parse_override(text));
  const ModelSpec model =
      load_model(parsed.text("model"), {parsed.text("weights"), parsed.text("dense-weights")}, set);
  const auto device = open_device(parsed);
  runtime::model_shape(model, *device);  // can it be executed? before the work

  validation::CalibrationOptions calibration_options;
  if (parsed.has("low-weights")) {
    for (const std::string& format : split_list(parsed.text("low-weights"), "--low-weights")) {
      ModelSpec low = model;
      store_experts_as(low, format, "--low-weights");
      auto& formats = calibration_options.low_formats;
      if (format == model.expert_format.name || std::count(formats.begin(), formats.end(), format) > 0) {
        throw InputError("--low-weights", "experts in " + format + " are measured already",
                         "name formats besides the model's own, each once");
      }
      runtime::model_shape(low, *device);
      formats.push_back(format);
    }
  }
  calibration_options.seconds = static_cast<double>(parsed.integer("seconds", 120, 1, 86'400));
  calibration_options.most_tokens = static_cast<int>(parsed.integer("max-tokens", 64, 1, 65'536));
  calibration_options.experts = store_options(parsed);
  calibration_options.progress = report_stage;
  validation::Calibration calibration = validation::calibrate(*device, model, calibration_options);
  report_stage("");

  const runtime::DeviceInfo& info = device->info();
  calibration.machine.calibration_source = "measured " + today() + " for " + model.name + " in " +
                                           model.expert_format.name + "; " + info.software +
                                           (info.clocks.empty() ? "" : "; " + info.clocks);
  print(describe(*device) + "\n\n" + spreads(calibration) + "\n");
  for (const std::string& finding : calibration.findings) print(finding + "\n");
  const bool noisy = calibration.noise > most_measured_spread;
  if (noisy && !parsed.flag("accept-noise")) {
    print("not written: repeats of the same measurement differ by " +
          sim::three_digits(100 * calibration.noise) + " % (at most " +
          sim::three_digits(100 * most_measured_spread) +
          " %): something else uses this machine. Stop it, measure longer (--seconds), or --accept-noise.\n");
    return 1;
  }
  std::vector<std::string> comments = {
      "Written by pregate calibrate on " + today() + "; measured numbers, of this machine only.",
      "Largest median spread of a group of measurements: " + sim::three_digits(100 * calibration.noise) +
          " %" + (noisy ? " (NOISY: written on request)" : "")};
  comments.insert(comments.end(), calibration.findings.begin(), calibration.findings.end());
  const std::string text = validation::to_toml(calibration.machine, calibration.sources, comments);
  std::ignore = parse_machine_toml(text, path);  // what is written can be read back
  write_files({{path, text}});
  print("wrote " + path + ": use it as --machine " + path + "\n");
  return 0;
}

}  // namespace pregate::cli
