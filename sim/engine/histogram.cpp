// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/histogram.hpp"

#include <cmath>

namespace pregate::sim {

std::uint64_t Histogram::low_end_of(std::size_t bucket) {
  const std::size_t exponent_plus_one = bucket >> mantissa_bits;
  if (exponent_plus_one <= 1) return bucket;
  return (std::uint64_t{bucket & ((1U << mantissa_bits) - 1)} + (1U << mantissa_bits))
         << (exponent_plus_one - 1);
}

std::uint64_t Histogram::middle_of(std::size_t bucket) {
  const std::size_t exponent_plus_one = bucket >> mantissa_bits;
  if (exponent_plus_one <= 1) return bucket;
  return low_end_of(bucket) + (std::uint64_t{1} << (exponent_plus_one - 1)) / 2;
}

double Histogram::percentile_ms(double share) const {
  if (count_ == 0) return 0;
  const auto rank = static_cast<std::int64_t>(std::ceil(share * static_cast<double>(count_)));
  std::int64_t seen = 0;
  for (std::size_t bucket = bucket_of(static_cast<std::uint64_t>(least_)); bucket < counts_.size();
       ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) {
      const auto middle = static_cast<std::int64_t>(middle_of(bucket));
      return static_cast<double>(std::clamp(middle, least_, most_)) * 1e-9;
    }
  }
  return static_cast<double>(most_) * 1e-9;
}

}  // namespace pregate::sim
