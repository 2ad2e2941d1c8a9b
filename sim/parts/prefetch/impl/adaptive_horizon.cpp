// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/prefetch/prefetcher.hpp"

namespace pregate::sim {

namespace {

struct LongestReach {
  int most = 8;
};

class AdaptiveHorizon final : public Prefetcher {
 public:
  explicit AdaptiveHorizon(int most) : most_(most) {}
  [[nodiscard]] bool reaches(const LayersAhead& ahead) const override { return any_ahead(ahead, most_); }
  void gate_known(const Moment& moment, std::span<const ExpertKey> activated,
                  Announcements& announced) override {
    const std::span<const ExpertKey> fetched = announced.fetched(moment.ordinal);
    if (fetched.empty()) return;
    std::size_t used = 0;
    bool stalls = false;
    for (const ExpertKey key : fetched) {
      if (std::find(activated.begin(), activated.end(), key) == activated.end()) continue;
      ++used;
      stalls = stalls || !announced.has_arrived(key);
    }
    if (stalls) {
      correction_ = std::min(correction_ + 1, most_);
    } else if (fetched.size() - used > used) {
      correction_ = std::max(correction_ - 1, -most_);
    }
  }
  void look_ahead(const Moment& moment, const LayersAhead& ahead, Predictor& predictor,
                  Announcements& announced) override {
    const int layers = std::clamp(formula(moment) + correction_, 1, most_);
    each_ahead(ahead, layers, [&](int target) {
      announced.want(target, predictor.predict(moment.ordinal, target));
      return true;
    });
  }

 private:
  /// The layers that run while the copies of one are made.
  [[nodiscard]] int formula(const Moment& moment) const {
    const Estimates* const estimates = moment.estimates;
    if (estimates == nullptr) return 1;
    const Picoseconds layer = estimates->between_gates(moment.layer_class, moment.activated, moment.routed);
    if (layer.count <= 0) return most_;
    const Picoseconds copies = estimates->fetch() * static_cast<std::int64_t>(moment.activated);
    return static_cast<int>(std::min<std::int64_t>(most_, (copies.count + layer.count - 1) / layer.count));
  }

  int most_, correction_ = 0;
};

}  // namespace

/// ExpertFlow (2510.26730). It prints no rule for an overfetch; here it is a layer of whose copies most were
/// for nothing.
PrefetcherEntry adaptive_horizon() {
  PrefetcherEntry entry;
  entry.name = "adaptive-horizon";
  entry.help =
      "as many layers as run while the copies of one are made; one more after a layer that waited for "
      "its copies, one less after one that mostly did not use them";
  entry.mechanism = "adaptive horizon";
  Fields<LongestReach> fields;
  fields.add("reach", &LongestReach::most, "layers at most", pregate::Range{1, 10'000, "from 1 to 10000"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& parameters, int) {
    return std::make_unique<AdaptiveHorizon>(std::any_cast<const LongestReach&>(parameters).most);
  };
  entry.needs_clock = true;
  entry.in_flight = [](const std::any& parameters, int, int layers) {
    return std::min(layers, std::any_cast<const LongestReach&>(parameters).most);
  };
  return entry;
}

}  // namespace pregate::sim
