// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/document.hpp"
#include "models/error.hpp"
#include "models/readers.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    const pregate::Node root = pregate::parse_toml_document(text, "h.toml");
    static_cast<void>(pregate::read_host_description(root, "h"));
  } catch (const pregate::InputError&) {
  }
  return 0;
}
