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
void register_lifo_inactive_first(EvictionRegistry& registry);
void register_lfu_decay(EvictionRegistry& registry);
void register_lfru(EvictionRegistry& registry);
void register_lfru_sampled(EvictionRegistry& registry);
void register_freq_distance(EvictionRegistry& registry);
void register_activation_matrix(EvictionRegistry& registry);
void register_hobbit(EvictionRegistry& registry);
void register_recent_score(EvictionRegistry& registry);
void register_frequency_age(EvictionRegistry& registry);
void register_window_load(EvictionRegistry& registry);
void register_priority_step(EvictionRegistry& registry);
void register_predicted_first(EvictionRegistry& registry);
void register_window_oracle(EvictionRegistry& registry);
void register_periodic_rank(EvictionRegistry& registry);
void register_per_request(EvictionRegistry& registry);
void register_given_rate(EvictionRegistry& registry);

bool is_small(const CacheGeometry& geometry) {
  constexpr std::int64_t few = 32;
  return std::all_of(geometry.size.begin(), geometry.size.end(),
                     [](std::int64_t size) { return size == 1; }) &&
         std::all_of(geometry.capacity.begin(), geometry.capacity.end(),
                     [](std::int64_t capacity) { return 0 <= capacity && capacity <= few; });
}

std::unique_ptr<ExpertCache> EvictionEntry::make(const CacheGeometry& geometry) const {
  const bool filters = static_cast<bool>(geometry.make_filter);
  const bool small = make_small != nullptr && is_small(geometry) && !filters;
  auto cache = small ? make_small(geometry) : make_general(geometry);
  auto next = geometry.start.begin();
  for (std::uint32_t domain = 0; domain < geometry.domains; ++domain) {
    const auto first = next;
    next = std::find_if(next, geometry.start.end(),
                        [&](ExpertKey key) { return key >= geometry.first_key[domain + 1]; });
    if (first != next) cache->access(domain, {first, next});
  }
  if (filters) cache->set_filter(geometry.make_filter(geometry));
  return cache;
}

std::unique_ptr<HitCounter> EvictionEntry::make_counter(const CacheGeometry& geometry) const {
  if (make_small_counter != nullptr && is_small(geometry) && geometry.start.empty() && !geometry.make_filter)
    return make_small_counter(geometry);
  return std::make_unique<CacheHitCounter>(make(geometry), geometry.domains);
}

EvictionEntry& EvictionRegistry::add_own(EvictionEntry entry) {
  entry.is_own = true;
  const auto same = std::find_if(entries_.begin(), entries_.end(),
                                 [&](const EvictionEntry& other) { return other.name == entry.name; });
  if (same == entries_.end()) return entries_.emplace_back(std::move(entry));
  if (!same->is_own) {
    throw InputError("eviction '" + printable(entry.name) + "'", "there is a policy of that name",
                     "choose another name");
  }
  return *same = std::move(entry);
}

void EvictionRegistry::forget_own() {
  while (!entries_.empty() && entries_.back().is_own) entries_.pop_back();
}

namespace {

EvictionRegistry& registry_of_process() {
  static EvictionRegistry registry = [] {
    EvictionRegistry all;
    register_lru(all);
    register_lfu(all);
    register_fifo(all);
    register_random(all);
    register_arc(all);
    register_s3fifo(all);
    register_belady(all);
    register_lifo_inactive_first(all);
    register_lfu_decay(all);
    register_lfru(all);
    register_lfru_sampled(all);
    register_freq_distance(all);
    register_activation_matrix(all);
    register_hobbit(all);
    register_recent_score(all);
    register_frequency_age(all);
    register_window_load(all);
    register_priority_step(all);
    register_predicted_first(all);
    register_window_oracle(all);
    register_periodic_rank(all);
    register_per_request(all);
    register_given_rate(all);
    return all;
  }();
  return registry;
}

}  // namespace

const EvictionRegistry& eviction_registry() { return registry_of_process(); }

EvictionEntry& add_own_eviction(EvictionEntry entry) {
  return registry_of_process().add_own(std::move(entry));
}

void forget_own_evictions() { registry_of_process().forget_own(); }

const EvictionEntry& EvictionRegistry::find(const std::string& name, const std::string& where) const {
  std::vector<std::string> names;
  for (const EvictionEntry& entry : entries_) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  throw InputError(where, "no eviction policy named '" + name + "'", suggest(name, names));
}

}  // namespace pregate::cache
