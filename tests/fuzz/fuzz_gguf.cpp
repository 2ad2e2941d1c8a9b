// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdlib>

#include "models/error.hpp"
#include "models/files/gguf.hpp"
#include "models/files/gguf_model.hpp"
#include "tests/fuzz/bytes_file.hpp"

/// The bytes are a header; the weights behind it are a hole, so that tables of tensors are looked at as well.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const pregate::fuzz::BytesFile file(bytes, size);
  if (size % 2 == 0 && truncate(file.path().c_str(), 1L << 32) != 0) std::abort();
  try {
    const pregate::GgufFile header = pregate::read_gguf(file.path());
    std::int64_t total = 0;
    for (const pregate::GgufTensor& tensor : header.tensors) total += tensor.bytes.count;
    if (total > header.bytes.count) std::abort();
    const pregate::ModelSpec model = pregate::model_of(header, "fuzzed");
    pregate::validate(model, "fuzzed");
    if (model.parameter_count() <= 0 || model.dense_bytes().count < 0) std::abort();
  } catch (const pregate::InputError&) {
  }
  return 0;
}
