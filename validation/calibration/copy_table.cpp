// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/copy_table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace pregate::validation {

namespace {

/// A machine file writes rates with six digits: times that differ by less would fall when they are read.
constexpr double least_step = 1 + 2e-5;

std::vector<double> pooled(const std::vector<double>& times) {
  struct Pool {
    double sum = 0;
    int count = 0;
    [[nodiscard]] double mean() const { return sum / count; }
  };
  std::vector<Pool> pools;
  for (const double time : times) {
    pools.push_back({time, 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean() >= pools.back().mean()) {
      const Pool last = pools.back();
      pools.pop_back();
      pools.back().sum += last.sum;
      pools.back().count += last.count;
    }
  }
  std::vector<double> result;
  for (const Pool& pool : pools)
    result.insert(result.end(), static_cast<std::size_t>(pool.count), pool.mean());
  return result;
}

}  // namespace

int make_times_grow(std::vector<CopyPoint>& table, std::optional<Bytes> kept) {
  std::vector<double> measured;
  measured.reserve(table.size());
  for (const CopyPoint& point : table)
    measured.push_back(static_cast<double>(point.size.count) / point.rate.value);
  std::vector<double> times = pooled(measured);
  const auto fixed = std::find_if(table.begin(), table.end(),
                                  [&](const CopyPoint& point) { return kept && point.size == *kept; });
  const std::ptrdiff_t last = std::ssize(times) - 1, at = fixed == table.end() ? 0 : fixed - table.begin();
  const auto time = [&](std::ptrdiff_t i) -> double& { return times[static_cast<std::size_t>(i)]; };
  if (fixed != table.end()) time(at) = measured[static_cast<std::size_t>(at)];
  for (std::ptrdiff_t i = at; i-- > 0;) time(i) = std::min(time(i), time(i + 1) / least_step);
  for (std::ptrdiff_t i = at; i < last; ++i) time(i + 1) = std::max(time(i + 1), time(i) * least_step);
  int moved = 0;
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (times[i] == measured[i]) continue;
    table[i].rate = {static_cast<double>(table[i].size.count) / times[i]};
    moved += std::fabs(times[i] / measured[i] - 1) > 1e-4 ? 1 : 0;
  }
  return moved;
}

}  // namespace pregate::validation
