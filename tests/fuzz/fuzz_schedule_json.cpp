// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/error.hpp"
#include "sim/schedule/schedule.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    pregate::sim::Timeline timeline;
    const pregate::sim::Schedule schedule = pregate::sim::parse_schedule_json(text, "s.json", &timeline);
    const bool has_times = !timeline.start.empty();
    // What is written is read back, as it was.
    const std::string written = pregate::sim::to_json(schedule, has_times ? &timeline : nullptr);
    if (!(pregate::sim::parse_schedule_json(written, "written") == schedule)) std::abort();
  } catch (const pregate::InputError&) {
  }
  return 0;
}
