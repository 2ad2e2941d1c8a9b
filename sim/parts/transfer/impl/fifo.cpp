// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/transfer/transfer.hpp"

namespace pregate::sim {

TransferEntry in_order_of_issue() {
  TransferEntry entry;
  entry.name = "fifo";
  entry.help = "in the order of issue";
  return entry;
}

}  // namespace pregate::sim
