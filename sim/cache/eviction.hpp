// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cache/cache_of.hpp"
#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// One registered eviction policy.
struct EvictionEntry {
  std::string name;
  std::string description;    ///< one line
  bool needs_future = false;  ///< CacheGeometry::next_use must be given
  std::unique_ptr<ExpertCache> (*make)(const CacheGeometry&) = nullptr;
};

/// The explicit list of eviction policies; filled by eviction_registry(), nothing registers itself.
class EvictionRegistry {
 public:
  template <class Eviction>
  void add(std::string_view name, std::string_view description, bool needs_future = false) {
    entries_.push_back({std::string(name), std::string(description), needs_future,
                        [](const CacheGeometry& geometry) -> std::unique_ptr<ExpertCache> {
                          return std::make_unique<CacheOf<Eviction>>(geometry);
                        }});
  }
  [[nodiscard]] const std::vector<EvictionEntry>& entries() const { return entries_; }
  /// InputError that lists the valid names when there is none called `name`.
  [[nodiscard]] const EvictionEntry& find(const std::string& name, const std::string& where) const;

 private:
  std::vector<EvictionEntry> entries_;
};

/// Every eviction policy there is. A new one is a file in impl/ and its line in eviction_registry.cpp.
const EvictionRegistry& eviction_registry();

}  // namespace pregate::cache
