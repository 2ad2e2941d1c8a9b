// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/sweep_inputs.hpp"
#include "models/error.hpp"
#include "tests/fuzz/scratch_folder.hpp"

/// The options of a sweep in a file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const pregate::fuzz::ScratchFolder folder;
  const std::string path = folder.write("plan.toml", bytes, size);
  try {
    static_cast<void>(pregate::cli::arguments_of_plan(path, pregate::cli::sweep_options()));
  } catch (const pregate::InputError&) {
  }
  return 0;
}
