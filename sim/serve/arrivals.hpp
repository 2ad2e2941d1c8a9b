// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "traces/random.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// When requests arrive, asked in their order.
class Arrivals {
 public:
  /// `per_s` > 0: a Poisson process of that rate, the first request at 0, whatever is recorded. 0: as the
  /// trace has them, counted from the first; all at 0 where it has no times.
  Arrivals(double per_s, std::uint64_t seed) : per_s_(per_s), random_(seed) {}

  /// Of the request that begins with this step. InputError when it comes before the one asked for last, or
  /// later than virtual time reaches.
  Picoseconds next(const trace::Step& first_of_request);

 private:
  double per_s_;
  trace::Random random_;
  bool any_ = false;
  std::int64_t first_ns_ = 0;
  double seconds_ = 0;
  Picoseconds last_;
};

}  // namespace pregate::sim
