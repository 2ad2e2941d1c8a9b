// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/transfer/transfer.hpp"

namespace pregate::sim {

namespace {

constexpr int most_of_layers = 254, after_all_layers = 255;  // more than 127 layers: the later ones are alike

}  // namespace

/// The order of deadlines: what the running layer waits for is nearest of all, then what else was announced
/// for it. Copies for which nothing waits go when the link has no others. MoE-Infinity's queue (2401.14361)
/// goes by the distance of layers, and by probability as well.
TransferEntry nearest_first() {
  TransferEntry entry;
  entry.name = "nearest-first";
  entry.help = "what a nearer layer needs overtakes what a later one needs";
  entry.mechanism = "nearest layer first";
  entry.priority = [](const std::any&, CopyReason reason, int layer) {
    if (reason == CopyReason::kept) return static_cast<std::uint8_t>(after_all_layers);
    const int turn = 2 * layer + (reason == CopyReason::announced ? 1 : 0);
    return static_cast<std::uint8_t>(std::min(turn, most_of_layers));
  };
  return entry;
}

}  // namespace pregate::sim
