// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "sim/parts/prefetch/prefetcher.hpp"

namespace pregate::sim {

namespace {

struct Reach {
  int reach = 3;
};

/// Experts of a layer count as alike: each with as many tokens as those of the running layer have.
class ByGain final : public Prefetcher {
 public:
  explicit ByGain(int reach) : reach_(reach) {}
  [[nodiscard]] bool reaches(const LayersAhead& ahead) const override { return any_ahead(ahead, reach_); }
  void look_ahead(const Moment& moment, const LayersAhead& ahead, Predictor& predictor,
                  Announcements& announced) override {
    layers_.clear();
    each_ahead(ahead, reach_, [&](int target) {
      add(target, predictor.predict(moment.ordinal, target), announced);
      return true;
    });
    const Estimates* const times = moment.estimates;
    if (times == nullptr) return;
    Picoseconds left = times->between_gates(moment.layer_class, moment.activated, moment.routed) -
                       moment.backlog(moment.fetches);
    for (; left.count > 0; left -= times->fetch()) {
      Layer* const best = most_gained(moment);
      if (best == nullptr) return;
      announced.want(best->target, {&best->missing[best->taken++], 1});
      ++best->there;
    }
  }

 private:
  struct Layer {
    int target;
    std::size_t there;               // predicted, and there or on the way
    std::vector<ExpertKey> missing;  // predicted, and not
    std::size_t taken = 0;           // of those, by now on the way
  };

  void add(int target, std::span<const ExpertKey> keys, Announcements& announced) {
    Layer layer{target, 0, {}};
    for (const ExpertKey key : keys) {
      if (!announced.is_brought(key)) {
        layer.missing.push_back(key);
        continue;
      }
      announced.want(target, {&key, 1});
      ++layer.there;
    }
    layers_.push_back(std::move(layer));
  }

  /// The nearest of those that gain as much; null when no copy gains anything.
  Layer* most_gained(const Moment& moment) {
    Layer* best = nullptr;
    Picoseconds most{};
    for (Layer& layer : layers_) {
      const std::size_t missing = layer.missing.size() - layer.taken;
      if (missing == 0) continue;
      const Picoseconds gain =
          makespan(moment, layer.there, missing) - makespan(moment, layer.there + 1, missing - 1);
      if (gain <= most) continue;
      most = gain;
      best = &layer;
    }
    return best;
  }

  /// Of a layer that the CPU, the link and the GPU share: who is free first takes the next expert, the last
  /// one goes where it is done sooner.
  [[nodiscard]] static Picoseconds makespan(const Moment& moment, std::size_t there, std::size_t missing) {
    const Estimates& times = *moment.estimates;
    const std::uint32_t tokens =
        moment.activated > 0 ? (moment.routed + moment.activated - 1) / moment.activated : 1;
    const Picoseconds each = times.on_gpu(moment.layer_class, tokens);
    Picoseconds cpu, link, gpu = each * static_cast<std::int64_t>(there);
    std::int64_t on_cpu = 0;
    for (; missing > 0; --missing) {
      const Picoseconds computed =
          times.on_cpu(moment.layer_class, on_cpu + 1, static_cast<std::uint32_t>(on_cpu + 1) * tokens);
      const Picoseconds copied = link + times.fetch(), then = std::max(gpu, copied) + each;
      if (missing == 1 ? computed <= then : cpu <= link) {
        cpu = computed;
        ++on_cpu;
      } else {
        link = copied;
        gpu = then;
      }
    }
    return std::max(cpu, gpu);
  }

  int reach_;
  std::vector<Layer> layers_;
};

}  // namespace

/// HybriMoE (2504.05897).
PrefetcherEntry by_gain() {
  PrefetcherEntry entry;
  entry.name = "gain";
  entry.help =
      "of the next 'reach' layers the expert whose copy would shorten its layer most, by CPU, link and GPU "
      "together, "
      "and so on while the link would be idle";
  entry.mechanism = "by gain";
  Fields<Reach> fields;
  fields.add("reach", &Reach::reach, "layers that are looked at",
             pregate::Range{1, 10'000, "from 1 to 10000"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& parameters, int) {
    return std::make_unique<ByGain>(std::any_cast<const Reach&>(parameters).reach);
  };
  entry.needs_clock = true;
  entry.in_flight = [](const std::any& parameters, int, int layers) {
    return std::min(layers, std::any_cast<const Reach&>(parameters).reach);
  };
  return entry;
}

}  // namespace pregate::sim
