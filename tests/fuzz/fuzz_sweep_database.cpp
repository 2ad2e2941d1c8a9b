// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/error.hpp"
#include "sim/sweep/store.hpp"
#include "tests/fuzz/scratch_folder.hpp"

/// The database of a sweep of two points that is gone on with.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace pregate::sim;
  const pregate::fuzz::ScratchFolder folder;
  const std::string path = folder.write("s.db", bytes, size);
  try {
    SweepStore store(path, "plan", 2);
    for (std::int64_t point = 0; point < 2; ++point) {
      if (store.done()[static_cast<std::size_t>(point)] != 0) continue;
      PointRow row;
      row.point = point;
      row.settings = "{}";
      row.policy = "on-demand";
      row.status = "refused";
      store.add(row);
    }
    store.commit();
    store.for_each([](const PointRow&, const std::string&) {});
    static_cast<void>(store.summary());
  } catch (const pregate::InputError&) {
  }
  return 0;
}
