// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/report/hit_bounds.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include "cli/in_threads.hpp"
#include "models/error.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/run/hit_bound.hpp"
#include "sim/serve/served_steps.hpp"

namespace pregate::cli {

namespace {

/// A page should not take minutes for one line.
constexpr std::int64_t most_replayed = 4'000'000'000;  // activated experts

/// Settings that decide what a cache holds: one number of each policy with its capacity, one workload. The
/// machine does not: its first point stands for all.
struct CachePlace {
  std::size_t policy = 0;  ///< of SweptPoints::policies
  double capacity = 0;
  std::int64_t point = 0;
};

/// A cache that is replayed, for all places where it is the same.
struct Replay {
  sim::Plan plan;
  std::vector<CachePlace> places;
  double rate = 0;
};

bool holds_alike(const sim::Plan& a, const sim::Plan& b) {
  const auto &of_a = a.geometry, &of_b = b.geometry;
  return of_a.first_key == of_b.first_key && of_a.capacity == of_b.capacity &&
         of_a.excluded == of_b.excluded && of_a.start == of_b.start && a.resident == b.resident &&
         a.policy.cache.scope == b.policy.cache.scope;
}

std::vector<CachePlace> places_of(const SweepInputs& inputs, const SweptPoints& swept, std::size_t axis) {
  std::vector<CachePlace> places;
  std::set<std::pair<int, int>> known;
  for (const SweptPoint& point : swept.points) {
    if (point.hit_rate != point.hit_rate) continue;  // no MoE layer ran
    const std::pair key(inputs.number_of(Concern::workload, point.number),
                        inputs.number_of(Concern::policy, point.number));
    if (known.insert(key).second) places.push_back({point.policy, point.numbers[axis], point.number});
  }
  return places;
}

/// The bounds of places of one workload.
class OfWorkload {
 public:
  OfWorkload(const SweepInputs& inputs, int number)
      : inputs_(inputs),
        run_(inputs.workload(number)),
        trace_(run_.open()),
        prepared_(trace_.source(), run_.configuration.model, run_.trace_name, run_.options.serving) {}

  /// Why there is none. Policies that have no cache are left out without a word.
  std::optional<std::string> add(const CachePlace& place) {
    try {
      std::optional<sim::Plan> plan = plan_at(place.point);
      if (!plan) return "it does not fit";
      if (!plan->offloads() || plan->policy.cache.capacity.kind == CapacityKind::none) return std::nullopt;
      if (auto why = sim::why_no_hit_bound(*plan, run_.options.serving, trace_.source().info())) return why;
      const auto same = std::find_if(replays_.begin(), replays_.end(),
                                     [&](const Replay& each) { return holds_alike(each.plan, *plan); });
      if (same != replays_.end()) {
        same->places.push_back(place);
      } else {
        replays_.push_back({std::move(*plan), {place}});
      }
      return std::nullopt;
    } catch (const InputError& error) {
      return error.what();
    }
  }
  [[nodiscard]] std::int64_t accesses() const {
    return prepared_.scan().accesses * static_cast<std::int64_t>(replays_.size());
  }
  const std::vector<Replay>& run(int threads) {
    const auto faults = in_threads(replays_.size(), threads, [&](std::size_t i) {
      const OpenTrace trace = run_.reopen();
      sim::ServedSteps served(trace.source(), run_.options.serving);
      replays_[i].rate = sim::hit_bound(replays_[i].plan, prepared_.map(), served).rate();
    });
    for (const std::exception_ptr& fault : faults)
      if (fault) std::rethrow_exception(fault);
    return replays_;
  }

 private:
  [[nodiscard]] std::optional<sim::Plan> plan_at(std::int64_t point) {
    const PolicySpec policy = inputs_.policy(run_, inputs_.number_of(Concern::policy, point));
    const MachineSpec machine = inputs_.machine(run_, inputs_.number_of(Concern::hardware, point));
    sim::SimulationResult result;
    result.topology = sim::topology_of(machine);
    sim::ServedSteps served(trace_.source(), run_.options.serving);
    std::optional<sim::Plan> plan =
        sim::plan_run(run_.configuration.model, run_.options.memory.value_or(sim::memory_limits(machine)),
                      policy, prepared_, served, run_.options.counted, result, run_.options.prompt_chunk);
    if (plan) plan->next_use = {};  // of the policy's own eviction
    return plan;
  }

  const SweepInputs& inputs_;
  Run run_;
  OpenTrace trace_;
  sim::PreparedTrace prepared_;
  std::vector<Replay> replays_;
};

}  // namespace

HitBounds hit_bounds(const SweepInputs& inputs, const SweptPoints& swept, std::size_t axis, int threads) {
  HitBounds bounds;
  std::vector<std::map<double, double>> rates(swept.policies.size());
  std::map<std::size_t, std::string> missing;  // by policy
  std::vector<CachePlace> places = places_of(inputs, swept, axis);
  const auto workload_of = [&](const CachePlace& place) {
    return inputs.number_of(Concern::workload, place.point);
  };
  std::stable_sort(places.begin(), places.end(),
                   [&](const CachePlace& a, const CachePlace& b) { return workload_of(a) < workload_of(b); });
  std::int64_t replayed = 0;
  for (std::size_t first = 0, last = 0; first < places.size(); first = last) {
    while (last < places.size() && workload_of(places[last]) == workload_of(places[first])) ++last;
    OfWorkload of(inputs, workload_of(places[first]));
    for (std::size_t i = first; i < last; ++i)
      if (const auto why = of.add(places[i])) missing.emplace(places[i].policy, *why);
    replayed += of.accesses();
    if (replayed > most_replayed) {
      bounds.missing.emplace_back("replaying the traces for every capacity would take too long");
      return bounds;
    }
    for (const Replay& each : of.run(threads)) {
      for (const CachePlace& place : each.places) {
        double& known = rates[place.policy][place.capacity];
        known = std::max(known, each.rate);
      }
    }
  }
  for (std::size_t policy = 0; policy < rates.size(); ++policy) {
    if (missing.contains(policy)) {
      bounds.missing.push_back(swept.policies[policy] + ": " + missing[policy]);
      continue;
    }
    if (rates[policy].empty()) continue;
    const auto same = std::find_if(bounds.lines.begin(), bounds.lines.end(),
                                   [&](const HitBounds::Line& line) { return line.rates == rates[policy]; });
    if (same != bounds.lines.end()) {
      same->policies.push_back(policy);
    } else {
      bounds.lines.push_back({{policy}, rates[policy]});
    }
  }
  return bounds;
}

}  // namespace pregate::cli
