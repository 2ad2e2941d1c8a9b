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
#include "sim/cache/hit_counter.hpp"

namespace pregate::cache {

/// Whether capacities are slots and no domain has more than a few of them: then scanning a domain beats a
/// heap or a list (docs/performance.md).
bool is_small(const CacheGeometry& geometry);

/// One registered eviction policy.
struct EvictionEntry {
  using Make = std::unique_ptr<ExpertCache> (*)(const CacheGeometry&);
  using MakeCounter = std::unique_ptr<HitCounter> (*)(const CacheGeometry&);

  std::string name;
  std::string description;    ///< one line
  bool needs_future = false;  ///< CacheGeometry::next_use must be given
  bool is_decreed = false;    ///< hits are decreed: no expert is kept, and a hit needs no slot
  Make make_general = nullptr;
  Make make_small = nullptr;  ///< same decisions, faster, where is_small(); null = make_general serves all
  MakeCounter make_small_counter = nullptr;  ///< same hits, faster, where is_small(); null = the cache counts

  [[nodiscard]] std::unique_ptr<ExpertCache> make(const CacheGeometry& geometry) const {
    return make_small != nullptr && is_small(geometry) ? make_small(geometry) : make_general(geometry);
  }
  [[nodiscard]] std::unique_ptr<HitCounter> make_counter(const CacheGeometry& geometry) const {
    if (make_small_counter != nullptr && is_small(geometry)) return make_small_counter(geometry);
    return std::make_unique<CacheHitCounter>(make(geometry), geometry.domains);
  }
};

/// The explicit list of eviction policies; filled by eviction_registry(), nothing registers itself.
class EvictionRegistry {
 public:
  /// `Eviction` as CacheOf wants it. `Small` decides as it does where is_small(): such a policy, or an
  /// ExpertCache of its own; `SmallHits` is its HitCounter.
  template <class Eviction, class Small = Eviction, class SmallHits = void>
  void add(std::string_view name, std::string_view description, bool needs_future = false) {
    EvictionEntry entry{std::string(name), std::string(description), needs_future};
    entry.make_general = &make_cache<Eviction>;
    if constexpr (!std::is_same_v<Eviction, Small>) entry.make_small = &make_cache<Small>;
    if constexpr (!std::is_void_v<SmallHits>) entry.make_small_counter = &make_counter<SmallHits>;
    entries_.push_back(std::move(entry));
  }
  template <class Cache>
  void add_decreed(std::string_view name, std::string_view description) {
    EvictionEntry entry{std::string(name), std::string(description)};
    entry.is_decreed = true;
    entry.make_general = &make_cache<Cache>;
    entries_.push_back(std::move(entry));
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
  template <class Counter>
  static std::unique_ptr<HitCounter> make_counter(const CacheGeometry& geometry) {
    return std::make_unique<Counter>(geometry);
  }

  std::vector<EvictionEntry> entries_;
};

/// Every eviction policy there is. A new one is a file in impl/ and its line in eviction_registry.cpp.
const EvictionRegistry& eviction_registry();

}  // namespace pregate::cache
