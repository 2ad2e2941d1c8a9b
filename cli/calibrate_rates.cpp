// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// `pregate calibrate --from`: the constants of a machine from rates that somebody measured on it.
#include "cli/calibrate_rates.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <memory>
#include <tuple>

#include "cli/device_options.hpp"
#include "cli/run.hpp"
#include "cli/without_effect.hpp"
#include "models/error.hpp"
#include "validation/calibration/machine_toml.hpp"
#include "validation/published/mechanism.hpp"
#include "validation/rates/fit_rates.hpp"
#include "validation/rates/rates_report.hpp"
#include "validation/rates/rates_table.hpp"

namespace pregate::cli {

namespace {

using validation::MeasuredRate;
using validation::RateMetric;

constexpr Bytes largest_table{1 << 20};

/// Options of `pregate simulate` that a row may set; what concerns the machine is the same for all rows.
const std::vector<std::string>& row_settings() {
  static const std::vector<std::string> settings = {
      "model",  "weights", "dense-weights", "policy",       "cache",        "cache-scope", "eviction",
      "prompt", "output",  "batch",         "prompt-chunk", "locality",     "requests",    "seed",
      "trace",  "profile", "batcher",       "arrival-rate", "count-experts"};
  return settings;
}

/// `error`, which says what is wrong with an option, as an error of the row that gave it.
[[noreturn]] void rethrow_at(const std::string& where, const InputError& error) {
  const std::string text = error.what(), mark = "\n       hint: ";
  const std::size_t hint = text.find(mark);
  throw InputError(where, text.substr(0, hint),
                   hint == std::string::npos ? std::string() : text.substr(hint + mark.size()));
}

/// A row as `pregate simulate` with its settings runs it.
class RateRun {
 public:
  RateRun(const MeasuredRate& measured, const Parsed& machine) : metric_(measured.metric) {
    try {
      Arguments arguments;
      for (const auto& [option, text] : measured.settings) arguments.push_back("--" + option + "=" + text);
      for (const std::string& pair : measured.set) {
        const std::string path = parse_override(pair).path;
        for (const char* root : {"machine.", "software."}) {
          if (path.starts_with(root))
            throw InputError("set", "'" + printable(path, 100) + "' is the same for all rows",
                             "all rows are of one machine: give it as --set");
        }
        arguments.push_back("--set=" + pair);
      }
      for (const char* option : {"machine", "host", "software"})
        if (machine.has(option)) arguments.push_back("--" + std::string(option) + "=" + machine.text(option));
      for (const std::string& pair : machine.texts("set")) arguments.push_back("--set=" + pair);
      po::options_description options = run_options();
      options.add_options()("policy", po::value<std::string>()->default_value("gpu-only"), "");
      const Parsed parsed = parse("pregate calibrate --from FILE", options, arguments);
      run_ = resolve(parsed, parsed.text("policy"));
      if (run_.policies.size() != 1) throw InputError("policy", "a row is of one policy");
      if (metric_ == RateMetric::prompt_tokens_per_s && !run_.options.serving.is_lock_step())
        throw InputError("metric", "prompts have no rate of their own where they run beside other requests");
      trace_ = std::make_unique<OpenTrace>(run_.open());
      prepared_ = std::make_unique<sim::PreparedTrace>(trace_->source(), run_.configuration.model,
                                                       run_.trace_name, run_.options.serving);
      std::vector<sim::SimulationResult> results{simulated(run_.configuration.machine)};
      const std::size_t before = run_.configuration.notes.size();
      note_without_effect(parsed, run_, results);
      for (std::size_t i = before; i < run_.configuration.notes.size(); ++i)
        notes_.push_back(measured.label + ": " + run_.configuration.notes[i]);
      entries_ = run_.configuration.trace.routed_entries;
      settings_ = measured.settings;
      set_ = measured.set;
    } catch (const InputError& error) {
      rethrow_at(measured.where, error);
    }
  }

  double predicted(const MachineSpec& machine) { return figure_of(simulated(machine)); }

  [[nodiscard]] const Run& run() const { return run_; }
  [[nodiscard]] RateMetric metric() const { return metric_; }
  /// What of the row has no effect.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  [[nodiscard]] std::int64_t entries() const { return entries_; }
  /// The same setting, measured again.
  [[nodiscard]] bool repeats(const RateRun& other) const {
    return metric_ == other.metric_ && settings_ == other.settings_ && set_ == other.set_;
  }

 private:
  sim::SimulationResult simulated(const MachineSpec& machine) {
    sim::SimulationResult result = sim::simulate(run_.configuration.model, machine, run_.policies[0],
                                                 *prepared_, trace_->source(), run_.options);
    if (result.out_of_memory)
      throw InputError("memory", result.out_of_memory_reason,
                       "what was measured did fit: mend the row's settings or the machine's description");
    const double figure = figure_of(result);
    if (!(figure > 0) || !std::isfinite(figure))
      throw InputError("metric", std::string("the run has no ") + to_string(metric_),
                       "requests without a prompt have no TTFT, and with one token no TPOT");
    return result;
  }

  [[nodiscard]] double figure_of(const sim::SimulationResult& result) const {
    switch (metric_) {
      case RateMetric::decode_tokens_per_s:
        return result.decode_tokens_per_second();
      case RateMetric::tokens_per_s:
        return result.tokens_per_second();
      case RateMetric::prompt_tokens_per_s:
        return static_cast<double>(run_.configuration.trace.tokens - result.output_tokens) /
               result.before_decode.seconds();
      case RateMetric::ttft_ms:
        return result.ttft_ms;
      case RateMetric::tpot_ms:
        return result.tpot_ms;
    }
    return 0;
  }

  RateMetric metric_;
  std::vector<std::pair<std::string, std::string>> settings_;
  std::vector<std::string> set_, notes_;
  std::int64_t entries_ = 0;
  Run run_;
  std::unique_ptr<OpenTrace> trace_;
  std::unique_ptr<sim::PreparedTrace> prepared_;
};

/// Whether its errors say something of tokens/s: a prompt's time is made of other things.
bool is_of_decode(RateMetric metric) {
  return metric != RateMetric::ttft_ms && metric != RateMetric::prompt_tokens_per_s;
}

/// Which rows are one setting, measured more than once: the first of them, for each.
std::vector<std::size_t> settings_of(const std::vector<std::unique_ptr<RateRun>>& runs) {
  std::vector<std::size_t> first;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::size_t same = 0;
    while (!runs[i]->repeats(*runs[same])) ++same;
    first.push_back(same);
  }
  return first;
}

/// One machine and one software for all rows, and no more work than a fit may have.
void check_alike(const std::vector<std::unique_ptr<RateRun>>& runs, const std::vector<MeasuredRate>& rows) {
  constexpr std::int64_t most_entries = 20'000'000;
  const std::string& software = runs[0]->run().configuration.machine.software;
  std::int64_t entries = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::string& other = runs[i]->run().configuration.machine.software;
    if (other != software) {
      throw InputError(rows[i].where,
                       "its policy is of software " + printable(other) + ", that of the rows before of " +
                           printable(software),
                       "all rows are of one: name it with --software");
    }
    entries += runs[i]->entries();
  }
  if (entries > most_entries) {
    throw InputError(rows[0].where,
                     "the rows route " + std::to_string(entries) + " tokens times experts times layers, " +
                         "more than a fit can simulate hundreds of times",
                     "shorten prompt, output or requests where the rate does not depend on them");
  }
}

/// A rate is off by this factor less one, in per cent; a time by the inverse.
double rate_percent(RateMetric metric, double predicted, double measured) {
  const bool is_time = metric == RateMetric::ttft_ms || metric == RateMetric::tpot_ms;
  return is_time ? validation::percent_off(measured, predicted)
                 : validation::percent_off(predicted, measured);
}

FittedRates evidence(const validation::RateFit& fit, const std::vector<MeasuredRate>& rows,
                     const std::vector<std::unique_ptr<RateRun>>& runs, const std::string& file) {
  FittedRates result;
  result.file = file;
  const std::vector<std::size_t> settings = settings_of(runs);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Run& run = runs[i]->run();
    FittedRate row;
    row.row = rows[i].label;
    row.model = run.configuration.model.name;
    row.weights = run.configuration.model.expert_format.name;
    row.mechanism = validation::mechanism_of(run.policies[0]);
    row.batch = run.configuration.batch;
    row.percent = rate_percent(rows[i].metric, fit.rows[i].fitted, rows[i].value);
    // Of a setting measured more than once the first stands for all: they were left out together.
    if (fit.rows[i].left_out && is_of_decode(rows[i].metric) && settings[i] == i)
      row.left_out = rate_percent(rows[i].metric, *fit.rows[i].left_out, rows[i].value);
    result.rows.push_back(std::move(row));
  }
  return result;
}

/// A software's name or path, as it holds in whatever folder the machine file is read.
std::string lasting(const std::string& software) {
  const std::filesystem::path path(software);
  const bool is_path = software.find('/') != std::string::npos || path.extension() == ".toml";
  return is_path ? std::filesystem::absolute(path).lexically_normal().string() : software;
}

/// The machine file; what is read back from it predicts what was fitted.
std::string machine_file(const validation::RateFit& fit, const std::vector<MeasuredRate>& rows,
                         const std::vector<std::unique_ptr<RateRun>>& runs, const std::string& file,
                         const Parsed& parsed) {
  const MachineSpec& before = runs[0]->run().configuration.machine;
  MachineSpec machine = fit.machine;
  machine.calibration = "fitted";
  machine.calibration_source = "fitted on " + file + ": " + fit_in_words(fit, rows);
  machine.fit = evidence(fit, rows, runs, file);
  const std::string& software = runs[0]->run().software;
  if (!machine.software.empty() && !software.empty()) machine.software = lasting(software);
  const std::string base =
      "as " + before.name + (before.replaced_host.empty() ? "" : " with host " + before.replaced_host);
  std::vector<std::pair<std::string, std::string>> sources = {
      {"gpu", base}, {"link.h2d", base}, {"link.d2h", base}};
  sources.emplace_back("host", machine.host.source.empty() ? base : machine.host.source);
  sources.emplace_back("overhead",
                       machine.software.empty() ? base : base + ", driven by " + machine.software);
  for (const validation::RateFit::Constant& fitted : fit.constants) {
    for (const std::string& key : validation::rate_constants()[fitted.index].keys)
      sources.emplace_back(key, machine.calibration_source);
  }
  std::string text = validation::to_toml(
      machine, sources,
      {"Written by pregate calibrate --from " + file + ": " + base + ", what is fitted apart.",
       "Constants that the rows do not determine are as they were there."});
  const MachineSpec again = parse_machine_toml(text, parsed.text("output"));
  constexpr double alike = 1e-3;  // numbers are written with six digits
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (std::abs(runs[i]->predicted(again) / fit.rows[i].fitted - 1) > alike)
      throw InputError(rows[i].where, "the machine file would predict another figure than was fitted");
  }
  return text;
}

}  // namespace

ExitCode calibrate_from_rates(const Parsed& parsed) {
  const std::string path = parsed.text("from");
  if (!parsed.has("machine"))
    throw InputError("--machine", "not given",
                     "name what the rates were measured on (pregate list machines), or its .toml");
  const std::string file = printable(std::filesystem::path(path).filename().string());
  refuse_overwriting(path, parsed.text("output"));
  for (const char* option : {"machine", "host", "software"})
    if (parsed.has(option)) refuse_overwriting(parsed.text(option), parsed.text("output"));
  for (const std::string& pair : parsed.texts("set")) {
    if (parse_override(pair).path == "software.prompt_chunk")
      throw InputError("--set software.prompt_chunk", "a machine file cannot keep it",
                       "give the rows a column prompt-chunk");
  }
  const std::vector<MeasuredRate> rows =
      validation::parse_rates(read_text_file(path, largest_table), printable(path, 200), row_settings());
  std::vector<std::unique_ptr<RateRun>> runs;
  std::vector<double> measured;
  for (const MeasuredRate& row : rows) {
    report_stage("row " + std::to_string(runs.size() + 1) + " of " + std::to_string(rows.size()));
    runs.push_back(std::make_unique<RateRun>(row, parsed));
    measured.push_back(row.value);
  }
  check_alike(runs, rows);
  for (const MeasuredRate& row : rows) {
    for (const auto& [option, text] : row.settings)
      if (option == "trace" || option == "profile") refuse_overwriting(text, parsed.text("output"));
  }
  const MachineSpec& machine = runs[0]->run().configuration.machine;
  validation::RateFitOptions options;
  options.settings = settings_of(runs);
  if (parsed.has("constants")) options.constants = split_list(parsed.text("constants"), "--constants");
  options.progress = report_stage;
  const validation::RateFit fit = validation::fit_rates(
      machine, measured, [&](std::size_t row, const MachineSpec& at) { return runs[row]->predicted(at); },
      options);
  report_stage("");
  print(file + " on " + machine.name +
        (machine.software.empty() ? std::string() : " driven by " + machine.software) + "\n\n" +
        rates_report(fit, rows));
  for (const std::unique_ptr<RateRun>& run : runs)
    for (const std::string& note : run->notes()) print("note: " + note + "\n");
  if (fit.constants.empty()) {
    print("not written: there is nothing to write\n");
    return 1;
  }
  const std::string output = parsed.text("output");
  write_files({{output, machine_file(fit, rows, runs, file, parsed)}});
  print("wrote " + output + ": use it as --machine " + output + "\n");
  return 0;
}

}  // namespace pregate::cli
