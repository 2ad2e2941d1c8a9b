// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/error.hpp"
#include "sim/cache/eviction.hpp"

namespace pregate::cache {

void register_lru(EvictionRegistry& registry);
void register_lfu(EvictionRegistry& registry);
void register_fifo(EvictionRegistry& registry);
void register_random(EvictionRegistry& registry);
void register_arc(EvictionRegistry& registry);
void register_s3fifo(EvictionRegistry& registry);
void register_belady(EvictionRegistry& registry);
void register_given_rate(EvictionRegistry& registry);

bool is_small(const CacheGeometry& geometry) {
  constexpr std::int64_t few = 32;
  return std::all_of(geometry.size.begin(), geometry.size.end(),
                     [](std::int64_t size) { return size == 1; }) &&
         std::all_of(geometry.capacity.begin(), geometry.capacity.end(),
                     [](std::int64_t capacity) { return 0 <= capacity && capacity <= few; });
}

const EvictionRegistry& eviction_registry() {
  static const EvictionRegistry registry = [] {
    EvictionRegistry all;
    register_lru(all);
    register_lfu(all);
    register_fifo(all);
    register_random(all);
    register_arc(all);
    register_s3fifo(all);
    register_belady(all);
    register_given_rate(all);
    return all;
  }();
  return registry;
}

const EvictionEntry& EvictionRegistry::find(const std::string& name, const std::string& where) const {
  std::vector<std::string> names;
  for (const EvictionEntry& entry : entries_) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  throw InputError(where, "no eviction policy named '" + name + "'", suggest(name, names));
}

}  // namespace pregate::cache
