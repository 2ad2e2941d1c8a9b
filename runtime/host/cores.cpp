// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/host/cores.hpp"

#include <sched.h>

#include <algorithm>

namespace pregate::runtime {

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> usable;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(static_cast<unsigned>(core), &set)) usable.push_back(core);
    }
  }
  if (usable.empty()) usable.push_back(0);
  return usable;
}

Cores divide_cores(int compute_threads, int cpu_threads) {
  std::vector<int> usable = usable_cores();
  std::vector<int> cpu;
  while (static_cast<int>(cpu.size()) < cpu_threads && usable.size() > 2) {
    cpu.push_back(usable.back());
    usable.pop_back();
  }
  const int count = static_cast<int>(usable.size());
  if (count == 1) return {usable, usable, usable};
  const int spare = count >= 8 ? 2 : 1;
  const int wanted = compute_threads > 0 ? compute_threads : count - spare;
  const auto computing = usable.begin() + std::clamp(wanted, 1, count - 1);
  Cores cores{{usable.begin(), computing}, {computing, usable.end()}, cpu};
  if (cpu.empty()) cores.cpu = cores.others;
  return cores;
}

}  // namespace pregate::runtime
