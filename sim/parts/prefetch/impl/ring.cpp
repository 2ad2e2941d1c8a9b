// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/prefetch/prefetcher.hpp"

namespace pregate::sim {

namespace {

struct RingOfLayers {
  int ring = 3;
};

/// The layers behind the one that computes, of which the ring has room for, on into the next step: when a
/// layer has left the ring, one comes (SE-MoE, arXiv 2205.10034).
class LayersInARing final : public Prefetcher {
 public:
  explicit LayersInARing(int layers) : layers_(layers) {}
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
    const int all = ahead.end - ahead.first;
    for (int i = 1; i < std::min(layers_, all); ++i) {
      const int target = ahead.first + (ahead.ordinal - ahead.first + i) % all;
      if (ahead.has(target)) use(target);
    }
  }
  int layers_;
};

}  // namespace

PrefetcherEntry ring_of_layers() {
  PrefetcherEntry entry;
  entry.name = "ring";
  entry.help =
      "all of the next layers, and of the next step's first ones, that a ring of 'ring' layers has room for";
  entry.mechanism = "ring of layers";
  Fields<RingOfLayers> fields;
  fields.add("ring", &RingOfLayers::ring, "layers, with the one that computes",
             pregate::Range{2, 10'000, "from 2 to 10000"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& parameters, int) {
    return std::make_unique<LayersInARing>(std::any_cast<const RingOfLayers&>(parameters).ring);
  };
  entry.crosses_steps = true;
  entry.in_flight = [](const std::any& parameters, int, int layers) {
    return std::min(layers, std::any_cast<const RingOfLayers&>(parameters).ring) - 1;
  };
  return entry;
}

}  // namespace pregate::sim
