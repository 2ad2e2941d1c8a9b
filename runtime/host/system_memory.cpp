// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/host/system_memory.hpp"

#include <algorithm>
#include <fstream>
#include <string>

namespace pregate::runtime {

namespace {

/// A file that holds one number; -1 when it is absent or says "max".
std::int64_t number_in(const char* path) {
  std::ifstream file(path);
  std::int64_t value = -1;
  return file >> value ? value : -1;
}

}  // namespace

SystemMemory system_memory() {
  SystemMemory memory;
  std::ifstream info("/proc/meminfo");
  std::string key, unit;
  for (std::int64_t kib = 0; info >> key >> kib; std::getline(info, unit)) {
    if (key == "MemTotal:") memory.total = {kib * 1024};
    if (key == "MemAvailable:") memory.available = {kib * 1024};
  }
  const std::int64_t limit = number_in("/sys/fs/cgroup/memory.max");
  const std::int64_t current = number_in("/sys/fs/cgroup/memory.current");
  if (limit > 0 && current >= 0) {
    memory.total = std::min(memory.total, Bytes{limit});
    memory.available = std::min(memory.available, Bytes{std::max<std::int64_t>(0, limit - current)});
  }
  return memory;
}

}  // namespace pregate::runtime
