// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/transfer/transfer.hpp"

namespace pregate::sim {

TransferEntry demand_first() {
  TransferEntry entry;
  entry.name = "demand-first";
  entry.help = "what a layer waits for overtakes what is fetched ahead";
  entry.mechanism = "demand first";
  entry.priority = [](const std::any&, CopyReason reason, int) {
    return static_cast<std::uint8_t>(reason == CopyReason::demanded ? 0 : 1);
  };
  entry.only_demand_overtakes = true;
  return entry;
}

}  // namespace pregate::sim
