// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/cache/eviction.hpp"
#include "sim/cache/ranked_swaps.hpp"

namespace pregate::cache {

namespace {

struct WindowLoadParameters {
  int passes = 16;
};

/// DALI's replacement by workload: no miss evicts anyone (it fills a slot that is free, or stays out). At the
/// end of each window of passes the experts that most tokens were routed to in it are those that are there,
/// who comes in for whom being ordered by that; then the counts start again. The length of a window is not
/// published.
class WindowLoad {
 public:
  explicit WindowLoad(const CacheGeometry& geometry)
      : window_(parameters_of<WindowLoadParameters>(geometry).passes),
        rows_(geometry),
        swaps_(geometry),
        load_(geometry.keys()) {}

  static constexpr bool ignores_hits = true;

  void gate(const GateOutcome& outcome) {
    for (std::size_t i = 0; i < outcome.activated.size(); ++i)
      load_[outcome.activated[i]] += outcome.tokens[i];
  }
  void miss(std::uint32_t, ExpertKey) {}
  ExpertKey victim(std::uint32_t, ExpertKey incoming, const Evictable&) const { return incoming; }
  void insert(std::uint32_t domain, ExpertKey key) { rows_.insert(domain, key); }
  void evict(std::uint32_t domain, ExpertKey key) { rows_.remove(domain, key); }
  void choose_swaps(const Evictable& evictable, std::vector<Swap>& swaps) {
    if (++passes_ < window_) return;
    passes_ = 0;
    swaps_.choose(
        rows_, evictable, [this](ExpertKey key) { return load_[key]; }, 0, load_.size(), swaps);
    std::fill(load_.begin(), load_.end(), 0);
  }

 private:
  int window_, passes_ = 0;
  ResidentRows rows_;
  RankedSwaps swaps_;
  std::vector<double> load_;  // by key, of the window
};

}  // namespace

void register_window_load(EvictionRegistry& registry) {
  Fields<WindowLoadParameters> fields;
  fields.add("load_window", &WindowLoadParameters::passes, "passes of a window",
             pregate::Range{1, 1 << 20, "from 1 to 1048576"});
  registry
      .add<WindowLoad>(
          "window-load",
          "on a miss nobody; after a window of passes the least loaded for the most loaded that are out")
      .parameters = sim::PartParameters(fields);
}

}  // namespace pregate::cache
