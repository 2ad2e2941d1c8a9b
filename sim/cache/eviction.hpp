// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sim/cache/cache_of.hpp"
#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// Whether capacities are slots and no domain has more than a few of them: then scanning a domain beats a
/// heap or a list (docs/performance.md).
bool is_small(const CacheGeometry& geometry);

/// One registered eviction policy.
struct EvictionEntry {
  using Make = std::unique_ptr<ExpertCache> (*)(const CacheGeometry&);

  std::string name;
  std::string description;    ///< one line
  bool needs_future = false;  ///< CacheGeometry::next_use must be given
  bool is_decreed = false;    ///< hits are decreed: no expert is kept, and a hit needs no slot
  Make make_general = nullptr;
  Make make_small = nullptr;  ///< same decisions, faster, where is_small(); null = make_general serves all

  [[nodiscard]] std::unique_ptr<ExpertCache> make(const CacheGeometry& geometry) const {
    return make_small != nullptr && is_small(geometry) ? make_small(geometry) : make_general(geometry);
  }
};

/// The explicit list of eviction policies; filled by eviction_registry(), nothing registers itself.
class EvictionRegistry {
 public:
  /// `Eviction` as CacheOf wants it. `Small` decides as it does where is_small(): such a policy, or an
  /// ExpertCache of its own.
  template <class Eviction, class Small = Eviction>
  void add(std::string_view name, std::string_view description, bool needs_future = false) {
    entries_.push_back({std::string(name), std::string(description), needs_future, false,
                        &make_cache<Eviction>,
                        std::is_same_v<Eviction, Small> ? nullptr : &make_cache<Small>});
  }
  template <class Cache>
  void add_decreed(std::string_view name, std::string_view description) {
    entries_.push_back(
        {std::string(name), std::string(description), false, true, &make_cache<Cache>, nullptr});
  }
  [[nodiscard]] const std::vector<EvictionEntry>& entries() const { return entries_; }
  /// InputError that lists the valid names when there is none called `name`.
  [[nodiscard]] const EvictionEntry& find(const std::string& name, const std::string& where) const;

 private:
  template <class Eviction>
  static std::unique_ptr<ExpertCache> make_cache(const CacheGeometry& geometry) {
    if constexpr (std::is_base_of_v<ExpertCache, Eviction>) {
      return std::make_unique<Eviction>(geometry);
    } else {
      return std::make_unique<CacheOf<Eviction>>(geometry);
    }
  }

  std::vector<EvictionEntry> entries_;
};

/// Every eviction policy there is. A new one is a file in impl/ and its line in eviction_registry.cpp.
const EvictionRegistry& eviction_registry();

}  // namespace pregate::cache
