// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/error.hpp"
#include "validation/published/residuals.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    const auto residuals = pregate::validation::parse_residuals(text, "r.toml");
    const std::string written = pregate::validation::residuals_toml(residuals);
    if (pregate::validation::parse_residuals(written, "written").size() != residuals.size()) std::abort();
  } catch (const pregate::InputError&) {
  }
  return 0;
}
