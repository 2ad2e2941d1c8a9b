// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/effective_times.hpp"

#include <algorithm>
#include <cmath>

namespace pregate::validation {

std::vector<Picoseconds> effective_times(const sim::Schedule& schedule, const sim::Timeline& timeline) {
  std::vector<Picoseconds> times;
  std::vector<Picoseconds> free(schedule.platform.streams.size());
  Picoseconds step_began, latest;
  std::int64_t step = -1;
  for (sim::OpId id = 0; id < static_cast<sim::OpId>(schedule.size()); ++id) {
    const sim::Operation& operation = schedule.operation(id);
    if (operation.step != step) {  // the clock stands still between steps
      step = operation.step;
      step_began = latest;
    }
    Picoseconds& stream = free[static_cast<std::size_t>(operation.stream)];
    Picoseconds ready = std::max(stream, step_began);
    for (const sim::OpId before : schedule.dependencies(id))
      ready = std::max(ready, timeline.finish[static_cast<std::size_t>(before)]);
    const Picoseconds finish = timeline.finish[static_cast<std::size_t>(id)];
    times.push_back(std::max(Picoseconds{}, finish - ready));
    stream = finish;
    latest = std::max(latest, finish);
  }
  return times;
}

KindTimes mean_times(const sim::Schedule& schedule, const sim::Timeline& timeline) {
  KindTimes result;
  const std::vector<Picoseconds> times = effective_times(schedule, timeline);
  for (sim::OpId id = 0; id < static_cast<sim::OpId>(schedule.size()); ++id) {
    const auto kind = static_cast<std::size_t>(schedule.operation(id).kind);
    ++result.count[kind];
    result.mean_us[kind] += times[static_cast<std::size_t>(id)].seconds() * 1e6;
  }
  for (std::size_t kind = 0; kind < result.count.size(); ++kind) {
    if (result.count[kind] > 0) result.mean_us[kind] /= static_cast<double>(result.count[kind]);
  }
  return result;
}

namespace {

/// Linear between the two nearest ranks. `values` sorted, not empty.
double quantile(const std::vector<double>& values, double share) {
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return quantile(values, 0.5);
}

double relative_spread(std::vector<double> values) {
  if (values.size() < 2) return 0;
  std::sort(values.begin(), values.end());
  const double middle = quantile(values, 0.5), cut = values.size() < 4 ? 0 : 0.25;
  return middle > 0 ? (quantile(values, 1 - cut) - quantile(values, cut)) / 2 / middle : 0;
}

double median_uncertainty(std::vector<double> values) {
  if (values.size() < 2) return 0;
  std::sort(values.begin(), values.end());
  const double middle = quantile(values, 0.5);
  if (middle <= 0) return 0;
  // The median lies outside [x(k), x(n+1-k)] when fewer than k of n values are on one side of it, each as
  // likely on either: 2 x Binomial(n, 1/2) up to k - 1.
  constexpr double risk = 0.05;
  const std::size_t n = values.size();
  double term = std::pow(0.5, static_cast<double>(n)), below = term;
  std::size_t cut = 0;  // values left out at each end
  while (true) {
    const auto next = static_cast<double>(cut + 1);
    term *= (static_cast<double>(n) - next + 1) / next;
    below += term;
    if (2 * below > risk || 2 * (cut + 1) >= n) break;
    ++cut;
  }
  return (values[n - 1 - cut] - values[cut]) / 2 / middle;
}

}  // namespace pregate::validation
