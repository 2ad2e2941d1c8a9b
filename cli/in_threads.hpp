// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace pregate::cli {

/// work(i) for each i below `count`, on up to `threads` threads, each index once. What was thrown, by index;
/// null where nothing was.
template <class Work>
std::vector<std::exception_ptr> in_threads(std::size_t count, int threads, Work&& work) {
  std::vector<std::exception_ptr> faults(count);
  std::atomic<std::size_t> next{0};
  const auto take = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        faults[i] = std::current_exception();
      }
    }
  };
  std::vector<std::jthread> more;
  for (std::size_t i = 1; i < std::min(static_cast<std::size_t>(std::max(threads, 1)), count); ++i)
    more.emplace_back(take);
  take();
  more.clear();  // joins
  return faults;
}

}  // namespace pregate::cli
