// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

MissServiceEntry fetch_misses() {
  MissServiceEntry entry;
  entry.name = "fetch";
  entry.help = "it is copied to the GPU";
  return entry;
}

}  // namespace pregate::sim
