// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/recording_harness.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  return pregate::fuzz::parse_recording(&pregate::trace::parse_router_logits, bytes, size, {.top_k = 2});
}
