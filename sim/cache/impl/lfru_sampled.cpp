// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/eviction.hpp"
#include "sim/cache/resident_rows.hpp"
#include "sim/cache/split_mix.hpp"

namespace pregate::cache {

namespace {

struct LfruSampledParameters {
  int sample = 16;
  bool keeps_counts = false;
};

/// Draws some residents that may leave, all different; of these the one with the fewest activations since its
/// admission leaves, the least recently used on a tie. As of warp, whose generator is another. Its first
/// simulator drew 32 and kept counts when an expert left, which its engine does not: what it published of its
/// simulator is that.
class LfruSampled {
 public:
  explicit LfruSampled(const CacheGeometry& geometry)
      : rows_(geometry),
        uses_(geometry.keys()),
        last_use_(geometry.keys()),
        draws_(geometry.seed),
        sample_(static_cast<std::size_t>(parameters_of<LfruSampledParameters>(geometry).sample)),
        keeps_counts_(parameters_of<LfruSampledParameters>(geometry).keeps_counts),
        bypass_(geometry.admission == Admission::bypass) {}

  void miss(std::uint32_t, ExpertKey key) { uses_[key] = keeps_counts_ ? uses_[key] + 1 : 1; }
  void hit(std::uint32_t, ExpertKey key) {
    ++uses_[key];
    last_use_[key] = ++clock_;
  }
  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) {
    ExpertKey rarest = no_key;
    const std::size_t residents = rows_.row(domain).size();
    for (std::size_t at = 0, drawn = 0; at < residents && drawn < sample_; ++at) {
      rows_.exchange(domain, at, at + draws_.below(residents - at));
      const ExpertKey key = rows_.row(domain)[at];
      if (!evictable(key)) continue;
      ++drawn;
      if (rarest == no_key ||
          std::pair(uses_[key], last_use_[key]) < std::pair(uses_[rarest], last_use_[rarest]))
        rarest = key;
    }
    if (bypass_ && rarest != no_key && uses_[incoming] < uses_[rarest]) return incoming;
    return rarest;
  }
  void insert(std::uint32_t domain, ExpertKey key) {
    rows_.insert(domain, key);
    last_use_[key] = ++clock_;
  }
  void evict(std::uint32_t domain, ExpertKey key) { rows_.remove(domain, key); }

 private:
  ResidentRows rows_;
  std::vector<std::uint32_t> uses_;  // by key, since its admission or ever
  std::vector<std::uint64_t> last_use_;
  SplitMix draws_;
  std::size_t sample_;
  bool keeps_counts_;
  std::uint64_t clock_ = 0;
  bool bypass_;
};

}  // namespace

void register_lfru_sampled(EvictionRegistry& registry) {
  Fields<LfruSampledParameters> fields;
  fields.add("sample", &LfruSampledParameters::sample, "residents that are drawn",
             pregate::Range{1, 1 << 20, "from 1 to 1048576"});
  fields.add("keeps_counts", &LfruSampledParameters::keeps_counts,
             "an expert is counted ever, not from its admission");
  EvictionEntry& entry = registry.add<LfruSampled>(
      "lfru-sampled",
      "evicts of some residents drawn at random the one with the fewest activations since admission");
  entry.parameters = sim::PartParameters(fields);
  entry.draws = true;
}

}  // namespace pregate::cache
