// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "models/units.hpp"

namespace pregate::sim {

/// Distribution of durations in constant memory: logarithmic buckets of at most 0.1 % width, so a percentile
/// is exact to 0.1 %; count, sum (hence the mean), least and most are exact. Order of additions does not
/// matter.
class Histogram {
 public:
  // 128 bits: the sum of 2^63 durations of 2^63 ps cannot overflow.
  __extension__ using Wide = unsigned __int128;

  Histogram() = default;
  /// Of durations that were counted elsewhere: how many in each bucket_of(), and of all their sum, least and
  /// most.
  Histogram(std::vector<std::int64_t> by_bucket, std::int64_t count, Wide sum, std::int64_t least,
            std::int64_t most)
      : counts_(std::move(by_bucket)), count_(count), least_(least), most_(most), sum_(sum) {}

  void add(Picoseconds value, std::int64_t times = 1) {
    const std::int64_t v = value.count < 0 ? 0 : value.count;
    const std::size_t bucket = bucket_of(static_cast<std::uint64_t>(v));
    if (bucket >= counts_.size()) grow(bucket);
    counts_[bucket] += times;
    least_ = count_ == 0 ? v : std::min(least_, v);
    count_ += times;
    sum_ += static_cast<Wide>(static_cast<std::uint64_t>(v)) * static_cast<std::uint64_t>(times);
    most_ = std::max(most_, v);
  }

  /// All of them, none below 0.
  void add(std::span<const Picoseconds> values) {
    if (values.empty()) return;
    std::int64_t least = count_ == 0 ? values.front().count : least_, most = most_;
    Wide sum = sum_;
    for (const Picoseconds value : values) {
      least = std::min(least, value.count);
      most = std::max(most, value.count);
      sum += static_cast<std::uint64_t>(value.count);
    }
    const std::size_t last = bucket_of(static_cast<std::uint64_t>(most));
    if (last >= counts_.size()) grow(last);
    std::int64_t* const counts = counts_.data();
    for (const Picoseconds value : values) ++counts[bucket_of(static_cast<std::uint64_t>(value.count))];
    least_ = least;
    most_ = most;
    sum_ = sum;
    count_ += static_cast<std::int64_t>(values.size());
  }

  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] double mean_ms() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_) * 1e-9;
  }
  /// Nearest-rank percentile, share in (0, 1]; the middle of its bucket, within [least, most].
  [[nodiscard]] double percentile_ms(double share) const;

  static std::size_t bucket_of(std::uint64_t v) {
    if (v < (1U << mantissa_bits)) return static_cast<std::size_t>(v);
    const unsigned exponent = 63U - static_cast<unsigned>(__builtin_clzll(v)) - mantissa_bits;
    return (static_cast<std::size_t>(exponent) << mantissa_bits) + static_cast<std::size_t>(v >> exponent);
  }
  /// The least value in a bucket.
  static std::uint64_t low_end_of(std::size_t bucket);

 private:
  [[gnu::noinline]] void grow(std::size_t bucket) { counts_.resize(bucket + 1); }
  // 10 bits of mantissa: a bucket spans 1/1024 of its value.
  static constexpr unsigned mantissa_bits = 10;
  static std::uint64_t middle_of(std::size_t bucket);

  std::vector<std::int64_t> counts_;
  std::int64_t count_ = 0, least_ = 0, most_ = 0;
  Wide sum_ = 0;
};

}  // namespace pregate::sim
