// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace pregate::sim {

/// Places of `values` in falling order; of equal ones the lower place first.
std::vector<std::size_t> by_falling(std::span<const double> values);

/// Deals out items, the heaviest first, each to the box with the lowest load that has room; of equal loads
/// the lower box. Box b takes `room[b]` items; together they have room for all. Returns by item its box.
/// `load` of a box for an item that may come is asked with (box, item).
std::vector<std::uint8_t> pack(std::span<const double> weights, std::vector<int> room,
                               const std::function<double(std::size_t box, std::size_t item)>& load,
                               const std::function<void(std::size_t box, std::size_t item)>& put);
/// The same, a box's load being what its items weigh.
std::vector<std::uint8_t> pack_by_weight(std::span<const double> weights, std::vector<int> room);

/// Room of `boxes` for `items` in equal counts: the first ones have one more where they do not divide evenly.
std::vector<int> equal_room(std::size_t items, int boxes);

}  // namespace pregate::sim
