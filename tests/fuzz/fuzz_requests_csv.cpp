// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/error.hpp"
#include "traces/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    std::int64_t before = 0;
    for (const pregate::trace::LoadRequest& request : pregate::trace::parse_load(text, "r.csv")) {
      if (request.arrival_ns < before || request.prompt_tokens < 0 || request.output_tokens < 0) std::abort();
      before = request.arrival_ns;
    }
  } catch (const pregate::InputError&) {
  }
  return 0;
}
