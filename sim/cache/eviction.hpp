// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sim/cache/cache_of.hpp"
#include "sim/cache/expert_cache.hpp"
#include "sim/cache/hit_counter.hpp"
#include "sim/cache/stack_distances.hpp"
#include "sim/parts/part.hpp"

namespace pregate::cache {

/// Whether capacities are slots and no domain has more than a few of them: then scanning a domain beats a
/// heap or a list (docs/performance.md).
bool is_small(const CacheGeometry& geometry);

/// One registered eviction policy.
struct EvictionEntry {
  using Make = std::function<std::unique_ptr<ExpertCache>(const CacheGeometry&)>;
  using MakeCounter = std::unique_ptr<HitCounter> (*)(const CacheGeometry&);
  using MakeStacks = std::unique_ptr<StackDistances> (*)(const CacheGeometry&);

  std::string name;
  std::string description;     ///< one line
  bool needs_future = false;   ///< CacheGeometry::next_use must be given
  bool is_decreed = false;     ///< hits are decreed: no expert is kept, and a hit needs no slot
  bool draws = false;          ///< CacheGeometry::seed matters
  bool watches = false;        ///< must be told of passes and gates (ExpertCache::begin_pass, gate, end_pass)
  bool swaps = false;          ///< experts change places at the end of a pass
  bool starts_full = false;    ///< without a profile, with the lowest ids
  bool needs_weights = false;  ///< the trace must hold gate weights
  bool needs_prompts = false;  ///< learns from passes that hold nothing but prompts
  bool matches_requests = false;   ///< judges the running request by earlier ones
  bool is_own = false;             ///< of the host program (EvictionRegistry::add_own())
  sim::PartParameters parameters;  ///< CacheGeometry::parameters: keys of the table `cache` of a policy
  Make make_general = nullptr;
  Make make_small = nullptr;  ///< same decisions, faster, where is_small(); null = make_general serves all
  MakeCounter make_small_counter = nullptr;  ///< same hits, faster, where is_small(); null = the cache counts

  /// A larger cache always holds what a smaller one does: hits of every capacity in slots at once, of caches
  /// that are empty at the start; null = it may not.
  MakeStacks make_stacks = nullptr;

  [[nodiscard]] std::unique_ptr<ExpertCache> make(const CacheGeometry& geometry) const;
  [[nodiscard]] std::unique_ptr<HitCounter> make_counter(const CacheGeometry& geometry) const;
};

/// The explicit list of eviction policies; filled by eviction_registry(), nothing registers itself.
class EvictionRegistry {
 public:
  /// `Eviction` as CacheOf wants it. `Small` decides as it does where is_small(): such a policy, or an
  /// ExpertCache of its own. More may be said of the entry, which is valid until the next one.
  template <class Eviction, class Small = Eviction>
  EvictionEntry& add(std::string_view name, std::string_view description, bool needs_future = false) {
    EvictionEntry entry;
    entry.name = name;
    entry.description = description;
    entry.needs_future = needs_future;
    entry.swaps = chooses_swaps<Eviction>;
    entry.watches = entry.swaps || hears_of_passes<Eviction> || hears_of_gates<Eviction>;
    entry.make_general = &make_cache<Eviction>;
    if constexpr (!std::is_same_v<Eviction, Small>) entry.make_small = &make_cache<Small>;
    return entries_.emplace_back(std::move(entry));
  }
  template <class Cache>
  void add_decreed(std::string_view name, std::string_view description) {
    EvictionEntry entry;
    entry.name = name;
    entry.description = description;
    entry.is_decreed = true;
    entry.make_general = &make_cache<Cache>;
    entries_.push_back(std::move(entry));
  }
  /// A policy of the host program's own, for as long as it runs; one of the same name that was added so
  /// before gives way. InputError when it is the name of a policy of ours. Not while anything runs.
  EvictionEntry& add_own(EvictionEntry entry);
  void forget_own();
  [[nodiscard]] const std::deque<EvictionEntry>& entries() const { return entries_; }
  /// InputError that lists the valid names when there is none called `name`.
  [[nodiscard]] const EvictionEntry& find(const std::string& name, const std::string& where) const;

 private:
  template <class Eviction>
  static constexpr bool hears_of_passes = requires(Eviction eviction, PassStart start) {
    eviction.begin_pass(start);
  };
  template <class Eviction>
  static constexpr bool hears_of_gates = requires(Eviction eviction, GateOutcome outcome) {
    eviction.gate(outcome);
  };
  template <class Eviction>
  static constexpr bool chooses_swaps = requires(Eviction eviction, Evictable evictable,
                                                 std::vector<Swap> swaps) {
    eviction.choose_swaps(evictable, swaps);
  };
  template <class Eviction>
  static std::unique_ptr<ExpertCache> make_cache(const CacheGeometry& geometry) {
    if constexpr (std::is_base_of_v<ExpertCache, Eviction>) {
      return std::make_unique<Eviction>(geometry);
    } else {
      return std::make_unique<CacheOf<Eviction>>(geometry);
    }
  }

  std::deque<EvictionEntry> entries_;  // an entry stays where it is
};

/// For EvictionEntry::make_general of a policy that takes more than a geometry to make.
template <class Eviction>
std::unique_ptr<ExpertCache> make_cache_with(const CacheGeometry& geometry, Eviction eviction) {
  return std::make_unique<CacheOf<Eviction>>(geometry, std::move(eviction));
}

/// Every eviction policy there is. A new one is a file in impl/ and its line in eviction_registry.cpp.
const EvictionRegistry& eviction_registry();
/// See EvictionRegistry::add_own().
EvictionEntry& add_own_eviction(EvictionEntry entry);
void forget_own_evictions();

}  // namespace pregate::cache
