// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace pregate::test {

/// Folder of the recorded traces and measurements: $PREGATE_SHARED_DATA, else ../shared/data beside the
/// source tree.
inline std::filesystem::path shared_data() {
  if (const char* set = std::getenv("PREGATE_SHARED_DATA")) return set;
  return std::filesystem::path(PREGATE_SOURCE_DIR).parent_path() / "shared" / "data";
}

}  // namespace pregate::test

/// Skips the test, by name, where the recorded data is absent.
#define PREGATE_NEEDS_SHARED_DATA()                                                                   \
  do {                                                                                                \
    if (!std::filesystem::exists(::pregate::test::shared_data()))                                     \
      GTEST_SKIP() << "SKIPPED: recorded data absent at " << ::pregate::test::shared_data().string(); \
  } while (false)
