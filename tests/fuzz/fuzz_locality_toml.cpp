// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/error.hpp"
#include "traces/locality.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    const pregate::trace::Locality locality = pregate::trace::parse_locality(text, "l.toml");
    static_cast<void>(pregate::trace::parse_locality(pregate::trace::to_toml(locality), "written"));
  } catch (const pregate::InputError&) {
  }
  return 0;
}
