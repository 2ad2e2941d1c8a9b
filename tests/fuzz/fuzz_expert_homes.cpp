// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/error.hpp"
#include "sim/expert_placement/homes_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    pregate::trace::TraceInfo info;
    info.stacks = {"decoder"};
    for (int layer = 0; layer < 2; ++layer)
      info.layers.push_back({.stack = 0, .layer = layer, .experts = 4, .top_k = 2, .expert_bytes = {}});
    static_cast<void>(pregate::sim::parse_homes(text, info, "homes.json"));
  } catch (const pregate::InputError&) {
  }
  return 0;
}
