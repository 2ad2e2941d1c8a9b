// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/eviction.hpp"
#include "sim/cache/lowest_score.hpp"

namespace pregate::cache {

namespace {

struct LfruParameters {
  bool forget = false;
};

/// Activations by age. The clock ticks for each expert that hits or is admitted; the age of one used now
/// is 1.
class Lfru {
 public:
  explicit Lfru(const CacheGeometry& geometry)
      : rows_(geometry),
        counts_(geometry.keys()),
        last_use_(geometry.keys()),
        forget_(parameters_of<LfruParameters>(geometry).forget),
        bypass_(geometry.admission == Admission::bypass) {}

  void begin_batch(std::uint32_t, std::span<const ExpertKey> activated) {
    for (const ExpertKey key : activated) ++counts_[key];
  }
  void miss(std::uint32_t, ExpertKey key) {
    if (forget_) counts_[key] = 1;
  }
  void hit(std::uint32_t, ExpertKey key) { last_use_[key] = ++clock_; }
  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) const {
    const ExpertKey lowest = rows_.lowest(domain, evictable, [this](ExpertKey key) {
      return std::pair<double, std::uint64_t>(score(key), last_use_[key]);
    });
    if (bypass_ && lowest != no_key && counts_[incoming] < score(lowest)) return incoming;
    return lowest;
  }
  void insert(std::uint32_t domain, ExpertKey key) {
    rows_.insert(domain, key);
    last_use_[key] = ++clock_;
  }
  void evict(std::uint32_t domain, ExpertKey key) { rows_.remove(domain, key); }

 private:
  [[nodiscard]] double score(ExpertKey key) const {
    return counts_[key] / static_cast<double>(clock_ - last_use_[key] + 1);
  }

  ResidentRows rows_;
  std::vector<double> counts_;
  std::vector<std::uint64_t> last_use_;
  std::uint64_t clock_ = 0;
  bool forget_, bypass_;
};

}  // namespace

void register_lfru(EvictionRegistry& registry) {
  Fields<LfruParameters> fields;
  fields.add("forget", &LfruParameters::forget, "an expert is counted from its admission, not ever");
  registry.add<Lfru>("lfru", "evicts the expert with the fewest activations by accesses since its last one")
      .parameters = sim::PartParameters(fields);
}

}  // namespace pregate::cache
