// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Which policy is the best along an axis of a sweep.
#include <algorithm>
#include <mutex>

#include "cli/in_threads.hpp"
#include "cli/sweep_report.hpp"
#include "cli/sweep_run.hpp"
#include "models/error.hpp"

namespace pregate::cli {

namespace {

constexpr double does_not_run = -1;

/// Where the two axes are; nothing where there are others.
struct Plane {
  std::size_t policy = 0, along = 0;
};

std::optional<Plane> plane_of(const SweepInputs& inputs) {
  const std::vector<sim::Axis>& axes = inputs.points().axes();
  std::optional<std::size_t> policy, along;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (axes[i].values.size() == 1) continue;
    std::optional<std::size_t>& place = axes[i].key == "policy" ? policy : along;
    if (place || axes[i].values.empty()) return std::nullopt;
    place = i;
  }
  if (!policy || !along || axes[*along].key.find('.') == std::string::npos) return std::nullopt;
  return Plane{*policy, *along};
}

double rate_of(const sim::PointRow& row) {
  static const std::size_t column = [] {
    const std::vector<std::string>& columns = sim::sweep_columns();
    return static_cast<std::size_t>(std::find(columns.begin(), columns.end(), "tokens_per_s") -
                                    columns.begin());
  }();
  if (row.status != "ok" || column >= row.figures.size()) return does_not_run;
  const auto* const rate = std::get_if<double>(&row.figures[column]);
  return rate == nullptr ? does_not_run : *rate;
}

/// Rates of rows, by value and policy.
class RatesOf {
 public:
  RatesOf(const SweepInputs& inputs, const Plane& plane)
      : inputs_(inputs),
        plane_(plane),
        rates_(axis(plane.along).values.size(),
               sim::PolicyRates(axis(plane.policy).values.size(), does_not_run)) {}
  void add(const sim::PointRow& row) {
    const std::vector<std::string> values = inputs_.points().at(row.point);
    const auto place = [&](std::size_t of) {
      const std::vector<std::string>& all = axis(of).values;
      return static_cast<std::size_t>(std::find(all.begin(), all.end(), values[of]) - all.begin());
    };
    rates_[place(plane_.along)][place(plane_.policy)] = rate_of(row);
  }
  [[nodiscard]] std::vector<sim::PolicyRates> all() const { return rates_; }

 private:
  [[nodiscard]] const sim::Axis& axis(std::size_t i) const { return inputs_.points().axes()[i]; }
  const SweepInputs& inputs_;
  Plane plane_;
  std::vector<sim::PolicyRates> rates_;
};

/// The same sweep at other values of one axis.
Parsed at_values(Parsed parsed, const std::string& key, const std::vector<std::string>& values) {
  std::vector<std::string> varied = parsed.texts("vary");
  for (std::string& each : varied) {
    if (!each.starts_with(key + "=")) continue;
    each = key + "=";
    for (const std::string& value : values) each += (each.ends_with("=") ? "" : ",") + value;
  }
  std::map<std::string, po::variable_value>& all = parsed.values;
  all.insert_or_assign("vary", po::variable_value(boost::any(varied), false));
  return parsed;
}

std::vector<sim::PolicyRates> rates_at(const Parsed& parsed, const std::string& key,
                                       const std::vector<std::string>& values, const Plane& plane,
                                       int threads) {
  try {
    const SweepInputs inputs(at_values(parsed, key, values));
    inputs.check_values();
    SweepRunner runner(inputs);
    RatesOf rates(inputs, plane);
    std::mutex mutex;
    const std::vector<SweepTask> tasks = tasks_of(
        inputs, std::vector<std::uint8_t>(static_cast<std::size_t>(inputs.points().count())), threads);
    const auto faults = in_threads(tasks.size(), threads, [&](std::size_t i) {
      runner.run(
          tasks[i],
          [&](const sim::PointRow& row) {
            const std::lock_guard lock(mutex);
            rates.add(row);
          },
          [] { return false; });
    });
    for (const std::exception_ptr& fault : faults)
      if (fault) std::rethrow_exception(fault);
    return rates.all();
  } catch (const InputError&) {
    return {};  // e.g. half a slot
  }
}

}  // namespace

std::optional<BestAlong> find_best_along(const Parsed& parsed, const SweepInputs& inputs,
                                         sim::SweepStore& store, int threads) {
  const std::optional<Plane> plane = plane_of(inputs);
  if (!plane) return std::nullopt;
  const sim::Axis& along = inputs.points().axes()[plane->along];
  RatesOf rates(inputs, *plane);
  store.for_each([&](const sim::PointRow& row, const std::string&) { rates.add(row); });
  BestAlong best{.axis = along.key,
                 .policies = inputs.points().axes()[plane->policy].values,
                 .values = along.values,
                 .rates = rates.all(),
                 .reigns = {}};
  best.reigns = sim::find_reigns(best.values, best.rates, [&](const std::vector<std::string>& values) {
    return rates_at(parsed, along.key, values, *plane, threads);
  });
  return best;
}

}  // namespace pregate::cli
