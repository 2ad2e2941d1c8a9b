// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/error.hpp"
#include "validation/published/case.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    static_cast<void>(pregate::validation::parse_case(text, "c.toml", "c"));
  } catch (const pregate::InputError&) {
  }
  return 0;
}
