// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pregate::sim {

/// Of policies at a value of an axis, how fast each is; negative: it does not run there.
using PolicyRates = std::vector<double>;

/// A stretch of an axis on which one policy is the best: at `from`, at `to`, and at each value between that
/// was looked at.
struct Reign {
  std::optional<std::size_t> policy;  ///< none: nothing runs
  std::string from, to;
  double rate_from = 0;  ///< of the policy, there
};

/// The rates at each of some values; empty where one cannot be set.
using RatesAt = std::function<std::vector<PolicyRates>(const std::vector<std::string>& values)>;

/// Whether the values are numbers of one unit that ascend, so that there are others between them.
bool are_ascending_numbers(const std::vector<std::string>& values);

/// Who is the best along an axis, and where another one takes over: a policy stays the best as long as none
/// is faster. Between two values with different best ones `rates_at` is asked for eight values at a time,
/// until the border is known to a thousandth, or a value between cannot be set. A policy that is the best
/// between two neighbouring values alone, and at neither of them, is not found. Precondition: as many rates
/// as values, at least one, all of equally many policies. Values that do not ascend are not searched between.
std::vector<Reign> find_reigns(const std::vector<std::string>& values, const std::vector<PolicyRates>& rates,
                               const RatesAt& rates_at);

}  // namespace pregate::sim
