// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/sensitivity.hpp"

#include <algorithm>
#include <cmath>

#include "models/error.hpp"
#include "models/fields/describe.hpp"
#include "sim/report/text_table.hpp"
#include "sim/retime/many_machines.hpp"

namespace pregate::cli {

namespace {

constexpr double nudge = 0.01;

bool has_derivative(const Field& field) {
  switch (field.quantity) {
    case Quantity::byte_rate:
    case Quantity::flop_rate:
    case Quantity::time:
    case Quantity::share:
    case Quantity::number:
      return field.is_settable;
    default:
      return false;
  }
}

/// A number of the machine, and where the machines with more and with less of it are; -1: there is none.
struct Nudged {
  sim::Sensitivity of;
  int more = -1, less = -1;
};

class Nudging {
 public:
  explicit Nudging(const Run& run) : run_(run) {}

  std::vector<Nudged> all() {
    std::vector<Nudged> nudged;
    for (const auto& [field, value, read] : machine_fields().entries()) {
      const Node node = value(run_.configuration.machine);
      if (!has_derivative(field) || node.kind != Node::Kind::real || !(node.real > 0)) continue;
      Nudged each{{"machine." + field.key, shown_value(field, node), 0}};
      each.more = add(field, node, 1 + nudge);
      each.less = add(field, node, 1 - nudge);
      if (each.more >= 0 || each.less >= 0) nudged.push_back(std::move(each));
    }
    return nudged;
  }
  [[nodiscard]] const std::vector<MachineSpec>& machines() const { return machines_; }

 private:
  int add(const Field& field, Node node, double factor) {
    node.real *= factor;
    std::vector<Override> set = run_.set;
    set.push_back({"machine." + field.key, written(field, node)});
    try {
      machines_.push_back(load_machine(run_.machine_name, set, run_.host_name, run_.software));
      return static_cast<int>(machines_.size()) - 1;
    } catch (const InputError&) {
      return -1;  // e.g. a share above 1
    }
  }
  const Run& run_;
  std::vector<MachineSpec> machines_;
};

}  // namespace

std::vector<sim::Sensitivity> sensitivities_of(const Run& run, const sim::SimulationResult& result) {
  if (!result.has_figures() || result.output_tokens == 0) return {};
  Nudging nudging(run);
  std::vector<Nudged> nudged = nudging.all();
  const OpenTrace trace = run.reopen();
  const sim::PreparedTrace prepared(trace.source(), run.configuration.model, run.trace_name,
                                    run.options.serving);
  sim::SimulationOptions options = run.options;
  options.recorded_steps = 0;
  options.keeps_requests = false;
  options.progress = nullptr;
  sim::ManyMachines many(run.configuration.model, run.policies.front(), prepared, trace.source(), options);
  const std::vector<sim::SimulationResult> results = many.run(nudging.machines());
  // Where one of the two cannot be, or does not fit, the machine itself stands for it.
  const auto runs = [&](int machine) {
    return machine >= 0 && results[static_cast<std::size_t>(machine)].has_figures();
  };
  const auto rate_of = [&](int machine) {
    return runs(machine) ? results[static_cast<std::size_t>(machine)].tokens_per_second()
                         : result.tokens_per_second();
  };
  std::vector<sim::Sensitivity> all;
  for (Nudged& each : nudged) {
    const double over =
        (runs(each.more) ? std::log1p(nudge) : 0) - (runs(each.less) ? std::log1p(-nudge) : 0);
    if (over == 0) continue;
    each.of.tokens_per_s_per_log = (rate_of(each.more) - rate_of(each.less)) / over;
    if (each.of.tokens_per_s_per_log != 0) all.push_back(each.of);
  }
  std::stable_sort(all.begin(), all.end(), [](const sim::Sensitivity& a, const sim::Sensitivity& b) {
    return std::abs(a.tokens_per_s_per_log) > std::abs(b.tokens_per_s_per_log);
  });
  return all;
}

std::string sensitivity_table(const sim::SimulationResult& result) {
  if (!result.sensitivities) return {};
  if (result.sensitivities->empty()) return "\nno number of the machine has a part in the rate\n";
  sim::TextTable table({"number of the machine", "value", "d tokens/s / d ln", "% for 1 %"});
  for (const sim::Sensitivity& each : *result.sensitivities)
    table.add({each.key, each.value, sim::three_digits(each.tokens_per_s_per_log),
               sim::three_digits(each.tokens_per_s_per_log / result.tokens_per_second())});
  return "\n" + table.text();
}

}  // namespace pregate::cli
