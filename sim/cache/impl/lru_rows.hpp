// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// The residents of domains that hold few experts, each domain's in a row, the oldest first. A batch takes
/// its members out of the row, drops as many of the oldest as it needs and appends its members. Which experts
/// hit is unpredictable, so nothing here branches on it.
class LruRows {
 public:
  /// A window that moves through its memory, and back to the start where it would leave it.
  struct Row {
    std::size_t first = 0;              // of its memory, in keys_
    std::uint32_t slots = 0;            // its memory is row_lengths times as long
    std::uint32_t begin = 0, size = 0;  // the residents, counting from `first`
  };

  explicit LruRows(const CacheGeometry& geometry) : rows_(geometry.domains), last_batch_(geometry.keys()) {
    std::size_t begin = 0;
    for (std::uint32_t domain = 0; domain < geometry.domains; ++domain) {
      const auto slots = static_cast<std::uint32_t>(geometry.capacity[domain]);
      rows_[domain] = {begin, slots, 0, 0};
      begin += std::size_t{slots} * row_lengths;
    }
    keys_.resize(begin);
  }

  [[nodiscard]] Row& row(std::uint32_t domain) { return rows_[domain]; }
  [[nodiscard]] std::size_t domains() const { return rows_.size(); }

  /// By key, the batch of its last activation: what batches mark their members with.
  [[nodiscard]] std::uint32_t* last_batch() { return last_batch_.data(); }
  /// Numbers for `batches` batches; returns the first. Greater than all marks.
  std::uint32_t number(std::uint32_t batches) {
    const std::uint32_t first = next_batch_;
    next_batch_ += batches;
    if (next_batch_ > first) return first;
    std::fill(last_batch_.begin(), last_batch_.end(), 0U);  // the counter wrapped: forget every mark
    next_batch_ = 1 + batches;
    return 1;
  }

  /// The row's oldest resident, once there is memory for `appended` keys behind the youngest.
  [[nodiscard]] ExpertKey* with_room(Row& row, std::size_t appended) {
    if (row.begin + row.size + appended > std::size_t{row.slots} * row_lengths) move_to_start(row);
    return keys_.data() + row.first + row.begin;
  }

  /// Takes the members of `batch` out of a row, the others move up; returns how many are left.
  static std::size_t take_out(ExpertKey* oldest, std::size_t size, const std::uint32_t* last_batch,
                              std::uint32_t batch) {
    std::size_t kept = 0, i = 0;
    const auto take = [&] {
      const ExpertKey key = oldest[i++];
      oldest[kept] = key;
      kept += last_batch[key] < batch ? 1U : 0U;
    };
    constexpr std::size_t at_once = 8;  // rows are mostly full, of whole eighths of the experts
    while (i + at_once <= size) {
#pragma GCC unroll 8
      for (std::size_t n = 0; n < at_once; ++n) take();
    }
    while (i < size) take();
    return kept;
  }

 private:
  /// Few: what a simulation touches should stay close together (16 was a third slower in some programs).
  static constexpr std::uint32_t row_lengths = 8;

  [[gnu::noinline]] void move_to_start(Row& row) {
    ExpertKey* const start = keys_.data() + row.first;
    std::copy_n(start + row.begin, row.size, start);
    row.begin = 0;
  }

  std::vector<Row> rows_;  // by domain
  std::vector<ExpertKey> keys_;
  std::uint32_t next_batch_ = 1;
  std::vector<std::uint32_t> last_batch_;
};

/// Calls `with(size)`, where `size` is a constant if it is a common top-k: loops over a number of members
/// that the compiler knows have no end to test for.
template <class With>
decltype(auto) with_set_size(std::size_t size, With&& with) {
  switch (size) {
    case 1:
      return with(std::integral_constant<std::size_t, 1>{});
    case 2:
      return with(std::integral_constant<std::size_t, 2>{});
    case 4:
      return with(std::integral_constant<std::size_t, 4>{});
    case 6:
      return with(std::integral_constant<std::size_t, 6>{});
    case 8:
      return with(std::integral_constant<std::size_t, 8>{});
    default:
      return with(size);
  }
}

}  // namespace pregate::cache
