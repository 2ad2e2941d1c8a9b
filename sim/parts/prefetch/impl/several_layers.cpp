// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/prefetch/prefetcher.hpp"

namespace pregate::sim {

namespace {

struct Horizons {
  int horizons = 2;
};

/// Nearest first. What was announced before keeps its place.
class SeveralLayers final : public Prefetcher {
 public:
  SeveralLayers(int distance, int horizons) : distance_(distance), last_(distance + horizons - 1) {}
  [[nodiscard]] bool reaches(const LayersAhead& ahead) const override {
    bool any = false;
    each_target(ahead, [&](int) { any = true; });
    return any;
  }
  void look_ahead(const Moment& moment, const LayersAhead& ahead, Predictor& predictor,
                  Announcements& announced) override {
    each_target(ahead,
                [&](int target) { announced.want(target, predictor.predict(moment.ordinal, target)); });
  }

 private:
  template <class Use>
  void each_target(const LayersAhead& ahead, const Use& use) const {
    each_ahead(ahead, last_, [&](int target) {
      if (target - ahead.ordinal >= distance_) use(target);
      return true;
    });
  }
  int distance_, last_;
};

}  // namespace

PrefetcherEntry several_layers() {
  PrefetcherEntry entry;
  entry.name = "horizons";
  entry.help = "all that is predicted of the 'horizons' layers from 'lookahead.distance' layers later on";
  entry.mechanism = "several layers ahead";
  Fields<Horizons> fields;
  fields.add("horizons", &Horizons::horizons, "layers", pregate::Range{1, 10'000, "from 1 to 10000"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& parameters, int distance) {
    return std::make_unique<SeveralLayers>(distance, std::any_cast<const Horizons&>(parameters).horizons);
  };
  entry.in_flight = [](const std::any& parameters, int distance, int layers) {
    return std::min(layers, distance + std::any_cast<const Horizons&>(parameters).horizons - 1);
  };
  return entry;
}

}  // namespace pregate::sim
