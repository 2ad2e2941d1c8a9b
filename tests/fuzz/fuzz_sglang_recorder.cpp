// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A file as it is; or, as hardly a changed file keeps its checksums, the operations of a pickle, which are
// put into a sound archive with two storages of 24 int32 each.
#include "tests/fuzz/recording_harness.hpp"
#include "tests/traces/binary_recordings.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string file(bytes, bytes + size);
  if (!file.starts_with("PK")) {
    std::vector<int> numbers;
    for (int i = 0; i < 24; ++i) numbers.push_back(i * 5 % 7);
    const std::string storage = pregate::test::numbers(numbers, 4);
    file = pregate::test::torch_file(file, {{"archive/data/0", storage}, {"archive/data/1", storage}});
  }
  const std::vector<std::uint8_t> whole(file.begin(), file.end());
  return pregate::fuzz::parse_recording(&pregate::trace::parse_sglang_recorder, whole.data(), whole.size());
}
