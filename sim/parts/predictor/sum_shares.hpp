// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pregate::sim {

/// Counts by column, in bytes or, where `wide` is set, in whole numbers, and what one of them is worth.
struct RowOfCounts {
  const std::uint8_t* bytes = nullptr;
  const std::int32_t* wide = nullptr;
  double each = 0;
};

/// Into `sums`, which has `width` entries: of each column the sum of counts x each over the rows, added up in
/// their order, every product and every sum rounded apart: the same to the bit on every CPU. `room` is
/// reused.
void sum_shares(std::span<const RowOfCounts> rows, std::size_t width, double* sums,
                std::vector<std::int32_t>& room);

}  // namespace pregate::sim
