// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/limits.hpp"
#include "sim/report/metric_lists.hpp"
#include "sim/report/shares.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::sim {

namespace {

using Result = SimulationResult;
using Value = MetricValue;

std::vector<Metric> path_metrics() {
  std::vector<Metric> all;
  const auto add = [&](const char* part, const char* help, double PathShares::*share) {
    all.push_back({.name = std::string("critical_path_share.") + part,
                   .unit = "0 to 1",
                   .help = help,
                   .value = [share](const Result& r) -> Value { return path_shares(r).*share; },
                   .csv = std::string(part) + "_share"});
  };
  add("compute", "of the critical path: the GPU computes, with its launches", &PathShares::compute);
  add("cpu", "of the critical path: the CPU computes experts, or predicts them", &PathShares::cpu);
  add("transfer", "of the critical path: copies", &PathShares::transfer);
  add("host", "of the critical path: gate results on their way to the host", &PathShares::host);
  add("waiting", "of the critical path: nothing of these", &PathShares::waiting);
  all[1].table = TableColumn{.head = "CPU", .rank = 2, .print = percent, .only_above_zero = true};
  return all;
}

std::vector<Metric> cause_metrics() {
  std::vector<Metric> all = path_metrics();
  const auto add_busy = [&](const char* stream, const char* help, double Utilisation::*share) {
    all.push_back({.name = std::string("utilisation.") + stream,
                   .unit = "0 to 1",
                   .help = help,
                   .value = [share](const Result& r) -> Value { return utilisation(r).*share; }});
  };
  add_busy("compute", "busy share of the run: the GPU", &Utilisation::compute);
  add_busy("h2d", "busy share of the run: copies to the GPU", &Utilisation::h2d);
  add_busy("cpu", "busy share of the run: the CPU", &Utilisation::cpu);
  all.push_back({.name = "limits.bound_by",
                 .unit = "",
                 .help = "largest cause of the critical path",
                 .value = [](const Result& r) -> Value { return to_string(limits_of(r).binding); },
                 .csv = "bound_by"});
  for (int i = 0; i < limit_count; ++i) {
    all.push_back({.name = std::string("limits.share.") + to_string(static_cast<Limit>(i)),
                   .unit = "0 to 1",
                   .help = "of the critical path by cause: " + words_of(to_string(static_cast<Limit>(i))),
                   .value = [i](const Result& r) -> Value {
                     const double share = limits_of(r).share[static_cast<std::size_t>(i)];
                     if (static_cast<Limit>(i) == Limit::drive &&
                         r.policy.host_cache.capacity.kind == CapacityKind::none)
                       return {};  // nothing is read from one
                     if (static_cast<Limit>(i) == Limit::exchanges && r.gpus.size() < 2) return {};
                     return share;
                   }});
  }
  all.push_back(
      {.name = "limits.without_it_at_most_times_as_fast",
       .unit = "1",
       .help = "the most that taking limits.bound_by away can gain; absent when nothing else takes time",
       .value = [](const Result& r) {
         const Limits limits = limits_of(r);
         return limits.most_speedup > 0 ? Value(limits.most_speedup) : Value();
       }});
  all.push_back({.name = "limits.then_bound_by",
                 .unit = "",
                 .help = "the largest cause without limits.bound_by; absent when there is none",
                 .value = [](const Result& r) {
                   const Limits limits = limits_of(r);
                   return limits.next ? Value(to_string(*limits.next)) : Value();
                 }});
  return all;
}

std::vector<Metric> total_metrics() {
  std::vector<Metric> all;
  const auto add = [&](const char* name, const char* unit, const char* help, Value (*value)(const Result&)) {
    all.push_back({.name = name, .unit = unit, .help = help, .value = value});
  };
  add("total_ms", "ms", "time of the run", [](const Result& r) -> Value { return r.total.milliseconds(); });
  add("decode_ms", "ms", "of its decode steps",
      [](const Result& r) -> Value { return r.decode.milliseconds(); });
  add("prefill_ms", "ms", "of its encoder and prefill passes",
      [](const Result& r) -> Value { return r.before_decode.milliseconds(); });
  add("requests", "", "with --batch a request is a batch",
      [](const Result& r) -> Value { return r.requests; });
  add("decode_steps", "", "steps that make an output token of each sequence",
      [](const Result& r) -> Value { return r.decode_steps; });
  add("output_tokens", "", "one a sequence and decode step",
      [](const Result& r) -> Value { return r.output_tokens; });
  add("operations", "", "of the schedule: kernels, copies and others",
      [](const Result& r) -> Value { return r.tally.operations; });
  return all;
}

}  // namespace

std::vector<Metric> run_metrics() {
  std::vector<Metric> all = cause_metrics();
  append(all, total_metrics());
  return all;
}

}  // namespace pregate::sim
