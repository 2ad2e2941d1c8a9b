// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/flow_time.hpp"

#include "models/error.hpp"

namespace pregate::sim {

void refuse_time() {
  throw InputError("simulation", "virtual time exceeds 106 days",
                   "a duration is too long, or a rate or capacity far too small");
}

std::int64_t time_left(double bytes, double rate) {
  constexpr double allowance = 1e-3;
  const double exact = bytes * 1e12 / rate;
  if (!(exact < 9.2e18)) return never;
  const double least = exact * (1 - 0x1p-51) - allowance;
  const auto whole = static_cast<std::int64_t>(least);
  return whole + (static_cast<double>(whole) < least ? 1 : 0);
}

}  // namespace pregate::sim
