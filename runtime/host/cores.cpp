// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/host/cores.hpp"

#include <sched.h>

#include <algorithm>

namespace pregate::runtime {

Cores divide_cores(int compute_threads) {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> usable;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(static_cast<unsigned>(core), &set)) usable.push_back(core);
    }
  }
  if (usable.empty()) usable.push_back(0);
  const int count = static_cast<int>(usable.size());
  if (count == 1) return {usable, usable};
  const int spare = count >= 8 ? 2 : 1;
  const int wanted = compute_threads > 0 ? compute_threads : count - spare;
  const auto computing = usable.begin() + std::clamp(wanted, 1, count - 1);
  return {{usable.begin(), computing}, {computing, usable.end()}};
}

}  // namespace pregate::runtime
