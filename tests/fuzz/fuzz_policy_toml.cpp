// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    const pregate::PolicySpec policy = pregate::parse_policy_toml(text, "p.toml");
    if (policy.name.empty()) std::abort();
  } catch (const pregate::InputError&) {
  }
  return 0;
}
