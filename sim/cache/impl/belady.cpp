// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/eviction.hpp"
#include "sim/cache/key_heaps.hpp"
#include "sim/cache/key_ranks.hpp"

namespace pregate::cache {

namespace {

enum class Retain { best, always_admit };

/// Belady's MIN with the recorded future: evicts the expert whose next activation is farthest.
/// Retain::best may decline the incoming expert ("bypass"): after each batch it holds those of residents and
/// batch that are needed soonest, which is optimal for experts of one size. Retain::always_admit must take
/// every miss and then evicts another.
/// `Ranks` is KeyHeaps or, for domains that hold few, KeyRanks.
template <Retain retain, class Ranks>
class Belady {
 public:
  explicit Belady(const CacheGeometry& geometry)
      : residents_(geometry), next_use_(geometry.next_use), upcoming_(geometry.keys(), never) {}

  /// The optimum may drop what it just used; forced admission keeps the set together, as slots that a kernel
  /// reads.
  static constexpr bool evicts_batch_members = retain == Retain::best;

  static constexpr bool ignores_hits = true;

  void begin_batch(std::uint32_t domain, std::span<const ExpertKey> activated) {
    for (const ExpertKey key : activated) {
      upcoming_[key] = next_use_[position_++];
      residents_.set(domain, key, rank(key));
    }
  }
  void miss(std::uint32_t, ExpertKey) {}
  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) const {
    const ExpertKey farthest = residents_.top(domain, evictable);
    if constexpr (retain == Retain::best) {
      if (farthest != no_key && upcoming_[incoming] >= upcoming_[farthest]) return incoming;
    }
    return farthest;
  }
  void insert(std::uint32_t domain, ExpertKey key) { residents_.push(domain, key, rank(key)); }
  void evict(std::uint32_t domain, ExpertKey key) { residents_.remove(domain, key); }

 private:
  /// The farthest next use leaves first, the lower key on a tie.
  [[nodiscard]] std::uint64_t rank(ExpertKey key) const {
    return (std::uint64_t{upcoming_[key]} << 32U) | static_cast<std::uint32_t>(~key);
  }

  Ranks residents_;
  std::span<const BatchIndex> next_use_;
  std::size_t position_ = 0;
  std::vector<BatchIndex> upcoming_;
};

}  // namespace

void register_belady(EvictionRegistry& registry) {
  registry.add<Belady<Retain::best, KeyHeaps>, Belady<Retain::best, KeyRanks>>(
      "belady", "knows the future; keeps what is needed soonest (optimal)", true);
  registry.add<Belady<Retain::always_admit, KeyHeaps>, Belady<Retain::always_admit, KeyRanks>>(
      "belady-forced", "knows the future; admits every miss and evicts what is needed last", true);
}

}  // namespace pregate::cache
