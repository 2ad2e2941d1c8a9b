// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_placement/packing.hpp"

#include <algorithm>
#include <numeric>

#include "sim/expert_placement/affinity.hpp"

namespace pregate::sim {

std::vector<std::size_t> by_falling(std::span<const double> values) {
  std::vector<std::size_t> places(values.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::stable_sort(places.begin(), places.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  return places;
}

std::vector<std::uint8_t> pack(std::span<const double> weights, std::vector<int> room,
                               const std::function<double(std::size_t, std::size_t)>& load,
                               const std::function<void(std::size_t, std::size_t)>& put) {
  std::vector<std::uint8_t> box_of(weights.size());
  for (const std::size_t item : by_falling(weights)) {
    std::size_t best = room.size();
    double lowest = 0;
    for (std::size_t box = 0; box < room.size(); ++box) {
      if (room[box] == 0) continue;
      const double here = load(box, item);
      if (best < room.size() && here >= lowest) continue;
      best = box;
      lowest = here;
    }
    --room[best];
    put(best, item);
    box_of[item] = static_cast<std::uint8_t>(best);
  }
  return box_of;
}

std::vector<std::uint8_t> pack_by_weight(std::span<const double> weights, std::vector<int> room) {
  std::vector<double> loads(room.size());
  return pack(
      weights, std::move(room), [&](std::size_t box, std::size_t) { return loads[box]; },
      [&](std::size_t box, std::size_t item) { loads[box] += weights[item]; });
}

std::vector<int> equal_room(std::size_t items, int boxes) {
  std::vector<int> room(static_cast<std::size_t>(boxes));
  for (int box = 0; box < boxes; ++box) room[static_cast<std::size_t>(box)] = quota(items, boxes, box);
  return room;
}

}  // namespace pregate::sim
