// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/error.hpp"
#include "sim/sweep/axis.hpp"
#include "sim/sweep/points.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    // An axis of a sweep and, behind a line end, how it is sampled.
    const std::size_t end = std::min(text.find(static_cast<char>(10)), text.size());
    const pregate::sim::Axis axis = pregate::sim::parse_axis(text.substr(0, end), "--vary");
    const std::string sampling = end < text.size() ? text.substr(end + 1) : "grid";
    static_cast<void>(pregate::sim::parse_sampling(sampling, 1, "--sample"));
    if (axis.key.empty()) std::abort();
  } catch (const pregate::InputError&) {
  }
  return 0;
}
