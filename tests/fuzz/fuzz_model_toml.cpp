// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/catalog.hpp"
#include "models/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    const pregate::ModelSpec model = pregate::parse_model_toml(text, "m.toml");
    if (model.parameter_count() <= 0 || model.dense_bytes().count < 0) std::abort();
  } catch (const pregate::InputError&) {
  }
  return 0;
}
