// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/lane_histograms.hpp"

#include <algorithm>
#include <limits>

#include "sim/retime/lane_clones.hpp"

namespace pregate::sim {

namespace {

using LaneBits [[gnu::vector_size(8 * lane_count), gnu::aligned(8 * lane_count)]] = std::uint64_t;
using LaneReals [[gnu::vector_size(8 * lane_count), gnu::aligned(8 * lane_count)]] = double;

// A double of a whole number below 2^52 has that number's exponent and the bits behind its first one: the
// exponent and the first ten of them are the bucket (Histogram::bucket_of), but for a constant.
constexpr std::int64_t least_by_exponent = 1024;
constexpr std::int64_t most_by_exponent = (std::int64_t{1} << 52) - 1;
constexpr std::uint64_t real_bits = 0x4330000000000000U;  // of 2^52
constexpr unsigned bits_behind_bucket = 52 - 10;
constexpr std::uint64_t bucket_of_exponent_zero = std::uint64_t{1023 + 10 - 1} << 10U;
static_assert(std::numeric_limits<double>::is_iec559);

}  // namespace

void LaneHistograms::make_room(std::size_t lane, std::int64_t most) {
  std::vector<std::int64_t>& counts = counts_[lane];
  const std::size_t buckets = Histogram::bucket_of(static_cast<std::uint64_t>(most)) + 1;
  if (buckets > counts.size()) counts.resize(buckets);
}

PREGATE_LANE_CLONES
void LaneHistograms::add(std::span<const LaneCell> durations, std::int64_t times) {
  LaneValues least = LaneValues{} + INT64_MAX, most{}, sum{};
  for (const LaneCell& each : durations) {
    least = each.value < least ? each.value : least;
    most = each.value > most ? each.value : most;
    sum += each.value;
  }
  bool by_exponent = true;
  std::array<std::int64_t*, lane_count> counts{};
  for (std::size_t lane = 0; lane < lane_count; ++lane) {
    if (most[lane] > most_[lane] || counts_[lane].empty()) make_room(lane, most[lane]);
    counts[lane] = counts_[lane].data();
    sum_[lane] += static_cast<Histogram::Wide>(static_cast<std::uint64_t>(sum[lane])) *
                  static_cast<std::uint64_t>(times);
    by_exponent = by_exponent && least[lane] >= least_by_exponent && most[lane] <= most_by_exponent;
  }
  count_ += static_cast<std::int64_t>(durations.size()) * times;
  least_ = least < least_ ? least : least_;
  most_ = most > most_ ? most : most_;
  if (!by_exponent) {
    for (const LaneCell& each : durations) {
      for (std::size_t lane = 0; lane < lane_count; ++lane)
        counts[lane][Histogram::bucket_of(static_cast<std::uint64_t>(each.value[lane]))] += times;
    }
    return;
  }
  const LaneReals two_to_52 = LaneReals{} + 0x1p52;
  for (const LaneCell& each : durations) {
    const auto real =
        reinterpret_cast<LaneReals>(reinterpret_cast<LaneBits>(each.value) | real_bits) - two_to_52;
    const LaneBits bucket =
        (reinterpret_cast<LaneBits>(real) >> bits_behind_bucket) - bucket_of_exponent_zero;
    for (std::size_t lane = 0; lane < lane_count; ++lane) counts[lane][bucket[lane]] += times;
  }
}

Histogram LaneHistograms::of(std::size_t lane) const {
  if (count_ == 0) return {};
  return {counts_[lane], count_, sum_[lane], least_[lane], most_[lane]};
}

}  // namespace pregate::sim
