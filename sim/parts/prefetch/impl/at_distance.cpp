// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/prefetch/prefetcher.hpp"

namespace pregate::sim {

namespace {

class AtDistance final : public Prefetcher {
 public:
  explicit AtDistance(int distance) : distance_(distance) {}
  [[nodiscard]] bool reaches(const LayersAhead& ahead) const override {
    return ahead.has(ahead.ordinal + distance_);
  }
  void look_ahead(const Moment& moment, const LayersAhead&, Predictor& predictor,
                  Announcements& announced) override {
    const int target = moment.ordinal + distance_;
    announced.want(target, predictor.predict(moment.ordinal, target));
  }

 private:
  int distance_;
};

}  // namespace

PrefetcherEntry at_distance() {
  PrefetcherEntry entry;
  entry.name = "at-distance";
  entry.help = "all that is predicted of the layer 'lookahead.distance' MoE layers later";
  entry.make = [](const std::any&, int distance) { return std::make_unique<AtDistance>(distance); };
  entry.by_counts = true;
  return entry;
}

}  // namespace pregate::sim
