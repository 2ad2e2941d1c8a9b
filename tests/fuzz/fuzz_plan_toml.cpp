// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "cli/plan_file.hpp"
#include "models/error.hpp"
#include "tests/fuzz/scratch_folder.hpp"

namespace {

/// Of each kind that a sweep has.
boost::program_options::options_description some_options() {
  using boost::program_options::value;
  boost::program_options::options_description options;
  options.add_options()("model", value<std::string>())("prompt", value<std::string>())(
      "policy", value<std::string>())("vary", value<std::vector<std::string>>()->composing())(
      "set", value<std::vector<std::string>>()->composing())("plan", value<std::string>())(
      "yes", boost::program_options::bool_switch());
  return options;
}

}  // namespace

/// The options of a sweep in a file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const pregate::fuzz::ScratchFolder folder;
  const std::string path = folder.write("plan.toml", bytes, size);
  try {
    static_cast<void>(pregate::cli::arguments_of_plan(path, some_options()));
  } catch (const pregate::InputError&) {
  }
  return 0;
}
