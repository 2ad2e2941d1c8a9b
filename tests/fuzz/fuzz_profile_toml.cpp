// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/error.hpp"
#include "traces/synthetic.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    const pregate::trace::GeneratorProfile profile = pregate::trace::parse_profile(text, "p.toml");
    // What is written is read back.
    static_cast<void>(pregate::trace::parse_profile(pregate::trace::to_toml(profile), "written"));
  } catch (const pregate::InputError&) {
  }
  return 0;
}
