// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/error.hpp"
#include "tests/fuzz/scratch_folder.hpp"
#include "traces/import.hpp"
#include "traces/reader.hpp"

/// pregate's own text form, which may be compressed. What was imported is a sound trace.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace pregate::trace;
  const pregate::fuzz::ScratchFolder folder;
  const std::string input = folder.write("t.jsonl", bytes, size), output = folder.path("t.db");
  try {
    ImportOptions options;
    options.format = "jsonl";
    static_cast<void>(import_trace({input}, output, options));
  } catch (const pregate::InputError&) {
    return 0;
  }
  const auto source = open_trace(output);
  Step step;
  while (source->next(step)) {
  }
  return 0;
}
