// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/prefetch/prefetcher.hpp"

namespace pregate::sim {

namespace {

struct FirstMiss {
  int horizons = 3;
};

/// Residents that are predicted on the way are kept.
class FirstMissAhead final : public Prefetcher {
 public:
  explicit FirstMissAhead(int horizons) : horizons_(horizons) {}
  [[nodiscard]] bool reaches(const LayersAhead& ahead) const override { return any_ahead(ahead, horizons_); }
  void look_ahead(const Moment& moment, const LayersAhead& ahead, Predictor& predictor,
                  Announcements& announced) override {
    each_ahead(ahead, horizons_, [&](int target) {
      const std::span<const ExpertKey> keys = predictor.predict(moment.ordinal, target);
      const bool all_brought =
          std::all_of(keys.begin(), keys.end(), [&](ExpertKey key) { return announced.is_brought(key); });
      announced.want(target, keys);
      return all_brought;
    });
  }

 private:
  int horizons_;
};

}  // namespace

/// HOBBIT (2411.01433).
PrefetcherEntry first_miss() {
  PrefetcherEntry entry;
  entry.name = "first-miss";
  entry.help = "of the next 'reach' layers the first one of which an expert that is predicted is not there";
  entry.mechanism = "to the first miss ahead";
  Fields<FirstMiss> fields;
  fields.add("reach", &FirstMiss::horizons, "layers that are looked at",
             pregate::Range{1, 10'000, "from 1 to 10000"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& parameters, int) {
    return std::make_unique<FirstMissAhead>(std::any_cast<const FirstMiss&>(parameters).horizons);
  };
  entry.in_flight = [](const std::any& parameters, int, int layers) {
    return std::min(layers, std::any_cast<const FirstMiss&>(parameters).horizons);
  };
  return entry;
}

}  // namespace pregate::sim
