// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/error.hpp"
#include "validation/rates/rates_table.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    for (const auto& rate :
         pregate::validation::parse_rates(text, "r.csv", {"model", "machine", "policy", "batch"}))
      if (!(rate.value > 0)) std::abort();
  } catch (const pregate::InputError&) {
  }
  return 0;
}
