// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "models/error.hpp"
#include "models/files/safetensors.hpp"
#include "tests/fuzz/bytes_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const pregate::fuzz::BytesFile file(bytes, size);
  try {
    const pregate::SafetensorsFile header(file.path());
    for (const pregate::StoredTensor& tensor : header.tensors()) {
      if (tensor.begin < 0 || tensor.begin > tensor.end || tensor.end > static_cast<std::int64_t>(size))
        std::abort();
    }
  } catch (const pregate::InputError&) {
  }
  return 0;
}
