// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/eviction.hpp"
#include "sim/cache/key_lists.hpp"

namespace pregate::cache {

namespace {

/// First in, first out: hits change nothing.
class Fifo {
 public:
  explicit Fifo(const CacheGeometry& geometry) : lists_(geometry.domains, geometry.keys()) {}

  void miss(std::uint32_t, ExpertKey) {}
  void hit(std::uint32_t, ExpertKey) {}
  ExpertKey victim(std::uint32_t domain, ExpertKey, const Evictable& evictable) const {
    return last_evictable(lists_, domain, evictable);
  }
  void insert(std::uint32_t domain, ExpertKey key) { lists_.push_front(domain, key); }
  void evict(std::uint32_t domain, ExpertKey key) { lists_.remove(domain, key); }

 protected:
  KeyLists lists_;
};

/// Last in, first out: the newest leaves, which is good for cyclic access longer than the cache. With
/// Admission::bypass the incoming expert is the newest of all, so a full cache stays as it is.
class Lifo : public Fifo {
 public:
  explicit Lifo(const CacheGeometry& geometry)
      : Fifo(geometry), bypass_(geometry.admission == Admission::bypass) {}

  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) const {
    if (bypass_) return incoming;
    ExpertKey key = lists_.front(domain);
    while (key != no_key && !evictable(key)) key = lists_.next(key);
    return key;
  }

 private:
  bool bypass_;
};

}  // namespace

void register_fifo(EvictionRegistry& registry) {
  registry.add<Fifo>("fifo", "evicts the expert that was admitted first");
  registry.add<Lifo>("lifo", "evicts the expert that was admitted last");
}

}  // namespace pregate::cache
