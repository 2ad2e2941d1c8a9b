// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "cli/execute.hpp"
#include "cli/run.hpp"
#include "cli/sensitivity.hpp"
#include "cli/terminal.hpp"
#include "cli/without_effect.hpp"
#include "models/error.hpp"
#include "python/src/bindings.hpp"
#include "python/src/running.hpp"
#include "sim/policy/policy_kind.hpp"
#include "sim/report/metrics.hpp"
#include "sim/report/shares.hpp"
#include "sim/schedule/schedule.hpp"

namespace nb = nanobind;

namespace pregate::python {

namespace {

/// What `compare` or `simulate` computed: the run, and a result a policy.
struct Runs {
  cli::Run run;
  std::vector<sim::SimulationResult> results;
  sim::Confidences confidences;

  [[nodiscard]] const sim::SimulationResult& at(std::size_t i) const {
    if (i >= results.size()) throw nb::index_error("there are fewer results");
    return results[i];
  }
};

void refuse_outputs(const cli::Parsed& parsed) {
  for (const char* output : {"json", "csv", "store"}) {
    if (parsed.has(output))
      throw InputError(output, "is no option of a call", "the result has methods that write it");
  }
}

/// Computes what the program's command with these arguments would, and writes nothing.
Runs run_command(const cli::Arguments& arguments, bool is_comparison) {
  cli::po::options_description options = cli::run_options();
  const auto text = [] { return cli::po::value<std::string>(); };
  options.add_options()                                                                      //
      ("policy", text(), "policies, comma-separated")                                        //
      ("record-steps", text(), "steps whose timeline and schedule are kept")                 //
      ("timeline-steps", text(), "instead: the first such step and the one after the last")  //
      ("keep-requests", cli::po::bool_switch(), "keep the times of each request")            //
      ("sensitivity", cli::po::bool_switch(), "how tokens/s follow each number of the machine");
  const cli::Parsed parsed = cli::parse("pregate", options, arguments);
  refuse_outputs(parsed);
  if (!parsed.has("policy")) throw InputError("policy", "not given", "name one of pregate.policies()");
  Runs made;
  run_unlocked([&] {
    made.run = cli::resolve(parsed, parsed.text("policy"));
    made.run.check = check_interrupt;
    if (!is_comparison && made.run.policies.size() != 1)
      throw InputError("policy", "simulate runs one policy", "pregate.compare runs several");
    if (parsed.has("record-steps") || parsed.has("timeline-steps")) cli::set_recorded_steps(parsed, made.run);
    made.run.options.keeps_requests = parsed.flag("keep-requests");
    made.results = made.run.configuration.all_policies ? cli::run_permitted_policies(made.run)
                                                       : cli::run_policies(made.run);
    cli::note_without_effect(parsed, made.run, made.results);
    if (parsed.flag("sensitivity")) {
      for (sim::SimulationResult& result : made.results)
        result.sensitivities = cli::sensitivities_of(made.run, result);
    }
    made.confidences = cli::confidences_in(made.run, made.results);
    made.run.check = nullptr;
  });
  return made;
}

/// What `execute` of one policy measures.
Runs execute_command(const cli::Arguments& arguments) {
  const cli::Parsed parsed = cli::parse("pregate", cli::execute_options(), arguments);
  refuse_outputs(parsed);
  const std::int64_t recorded =
      parsed.has("record-steps") ? parsed.integer("record-steps", 16, 1, 1'000'000) : 0;
  if (cli::split_list(parsed.text("policy"), "policy").size() != 1)
    throw InputError("policy", "execute runs one policy", "call it for each");
  Runs made;
  run_unlocked([&] {
    const cli::Silence silence;
    cli::Execution execution = cli::execute_policies(parsed, recorded);
    made.run = std::move(execution.run);
    made.results = std::move(execution.results);
  });
  return made;
}

nb::object python_value(const sim::MetricValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return nb::int_(*number);
  if (const auto* number = std::get_if<double>(&value)) return nb::float_(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return nb::str(text->c_str(), text->size());
  return nb::none();
}

nb::dict metrics_of(const Runs& runs, std::size_t i) {
  nb::dict all;
  for (const sim::Metric& metric : sim::metrics()) {
    if (!sim::has(runs.at(i), metric)) continue;
    const sim::MetricValue value = metric.value(runs.at(i));
    if (std::holds_alternative<std::monostate>(value)) continue;
    all[nb::str(metric.name.c_str())] = python_value(value);
  }
  return all;
}

std::optional<std::pair<double, double>> range_of(const Runs& runs, std::size_t i) {
  if (!runs.at(i).has_figures() || runs.confidences.size() <= i || !runs.confidences[i]) return std::nullopt;
  const sim::RateRange range =
      runs.confidences[i]->range_of(runs.at(i).tokens_per_second(), sim::idle_share(runs.at(i)));
  if (!range.exists()) return std::nullopt;
  return std::pair(range.least, range.most);
}

std::string requests_of(const Runs& runs, std::size_t i) {
  return sim::requests_csv(runs.at(i).request_records);
}

void require_recorded(const sim::SimulationResult& result) {
  if (result.schedule.size() == 0)
    throw InputError("timeline", "no step was recorded", "run it with record_steps=16");
}

/// A command of the program, of which only its exit code is wanted; standard output stays silent if asked.
int run_quietly(const cli::Arguments& arguments, cli::ExitCode (*command)(const cli::Arguments&)) {
  int code = 0;
  run_unlocked([&] {
    const cli::Silence silence;
    code = command(arguments);
  });
  return code;
}

/// A command of the program: its exit code, and what it said.
std::pair<int, std::string> run_overheard(const cli::Arguments& arguments,
                                          cli::ExitCode (*command)(const cli::Arguments&)) {
  std::pair<int, std::string> result;
  run_unlocked([&] {
    const cli::Overheard overheard;
    result.first = command(arguments);
    result.second = overheard.text;
  });
  return result;
}

std::vector<std::pair<std::string, std::pair<std::string, std::string>>> metric_list() {
  std::vector<std::pair<std::string, std::pair<std::string, std::string>>> all;
  for (const sim::Metric& metric : sim::metrics()) all.push_back({metric.name, {metric.unit, metric.help}});
  return all;
}

}  // namespace

void bind_runs(nb::module_& module) {
  nb::class_<Runs>(module, "Runs")
      .def("__len__", [](const Runs& runs) { return runs.results.size(); })
      .def("json",
           [](const Runs& runs) {
             return sim::results_json(runs.run.configuration, runs.results, runs.confidences);
           })
      .def("csv",
           [](const Runs& runs) {
             return sim::results_csv(runs.run.configuration, runs.results, runs.confidences);
           })
      .def(
          "table",
          [](const Runs& runs, std::size_t columns) {
            const sim::TextLayout layout{.columns = columns, .folds = true};
            return sim::results_table(runs.run.configuration, runs.results, layout, runs.confidences);
          },
          nb::arg("columns"))
      .def(
          "store",
          [](const Runs& runs, const std::string& path) {
            sim::store_results(path, runs.run.configuration, runs.results, runs.confidences);
          },
          nb::arg("path"))
      .def("notes", [](const Runs& runs) { return sim::notes_of(runs.run.configuration, runs.results); })
      .def("left_out",
           [](const Runs& runs) {
             std::vector<std::pair<std::string, std::string>> all;
             for (const auto& each : runs.run.configuration.left_out)
               all.emplace_back(each.policy, each.reason);
             return all;
           })
      .def(
          "policy", [](const Runs& runs, std::size_t i) { return runs.at(i).policy.name; }, nb::arg("i"))
      .def(
          "status", [](const Runs& runs, std::size_t i) { return std::string(sim::status_of(runs.at(i))); },
          nb::arg("i"))
      .def(
          "evidence",
          [](const Runs& runs, std::size_t i) { return std::string(sim::to_string(runs.at(i).evidence)); },
          nb::arg("i"))
      .def(
          "reason", [](const Runs& runs, std::size_t i) { return runs.at(i).out_of_memory_reason; },
          nb::arg("i"))
      .def(
          "why",
          [](const Runs& runs, std::size_t i) {
            return runs.at(i).has_figures() ? sim::why(runs.at(i)) : runs.at(i).out_of_memory_reason;
          },
          nb::arg("i"))
      .def("metrics", &metrics_of, nb::arg("i"),
           nb::sig("def metrics(self, i: int) -> dict[str, int | float | str]"))
      .def("range", &range_of, nb::arg("i"))
      .def(
          "confidence",
          [](const Runs& runs, std::size_t i) -> std::optional<std::string> {
            if (i >= runs.confidences.size() || !runs.confidences[i]) return std::nullopt;
            return std::string(sim::to_string(runs.confidences[i]->label)) + ": " +
                   runs.confidences[i]->reason;
          },
          nb::arg("i"))
      .def("requests_csv", &requests_of, nb::arg("i"))
      .def(
          "sensitivities",
          [](const Runs& runs, std::size_t i) {
            std::vector<std::pair<std::string, double>> all;
            for (const auto& each : runs.at(i).sensitivities.value_or(std::vector<sim::Sensitivity>{}))
              all.emplace_back(each.key, each.tokens_per_s_per_log);
            return all;
          },
          nb::arg("i"))
      .def(
          "timeline",
          [](const Runs& runs, std::size_t i) {
            require_recorded(runs.at(i));
            return sim::perfetto_json(runs.at(i), runs.run.configuration);
          },
          nb::arg("i"))
      .def(
          "schedule",
          [](const Runs& runs, std::size_t i) {
            require_recorded(runs.at(i));
            return sim::to_json(runs.at(i).schedule, &runs.at(i).timeline);
          },
          nb::arg("i"));
  module.def("run", &run_command, nb::arg("arguments"), nb::arg("is_comparison"));
  module.def("execute", &execute_command, nb::arg("arguments"));
  module.def(
      "sweep", [](const cli::Arguments& arguments) { return run_quietly(arguments, &cli::sweep); },
      nb::arg("arguments"));
  module.def(
      "advise", [](const cli::Arguments& arguments) { return run_quietly(arguments, &cli::advise); },
      nb::arg("arguments"));
  module.def(
      "trace_import",
      [](const cli::Arguments& arguments) { return run_quietly(arguments, &cli::trace_import); },
      nb::arg("arguments"));
  module.def(
      "trace_generate",
      [](const cli::Arguments& arguments) { return run_quietly(arguments, &cli::trace_generate); },
      nb::arg("arguments"));
  module.def(
      "calibrate", [](const cli::Arguments& arguments) { return run_overheard(arguments, &cli::calibrate); },
      nb::arg("arguments"));
  module.def(
      "validate", [](const cli::Arguments& arguments) { return run_overheard(arguments, &cli::validate); },
      nb::arg("arguments"));
  module.def("metric_list", &metric_list);
  module.def("model_names", &model_names);
  module.def("machine_names", &machine_names);
  module.def("host_names", &host_names);
  module.def("policy_names", &policy_names);
  module.def("software_names", &software_names);
}

}  // namespace pregate::python
