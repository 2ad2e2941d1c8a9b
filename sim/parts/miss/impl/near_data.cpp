// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

struct NearDataSplit {
  double copied_share = 0;  ///< 0: as one more expert with one token takes on either
};

/// The experts with the most tokens are copied, the others computed beside the memory that holds them.
class NearData : public MissService {
 public:
  void decide(const Moment& moment, const Misses& misses, std::span<Serving> of_each) override {
    order_.resize(misses.keys.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return misses.tokens[a] > misses.tokens[b]; });
    const PlaceId device = moment.topology->beside(moment.cpu, PlaceKind::near_data);
    for (std::size_t i = copied(moment, misses); i < order_.size(); ++i)
      of_each[order_[i]] = computed_at(device);
  }

 protected:
  /// How many of order_, from the first on.
  [[nodiscard]] virtual std::size_t copied(const Moment& moment, const Misses& misses) const = 0;
  [[nodiscard]] const std::vector<std::size_t>& order() const { return order_; }

 private:
  std::vector<std::size_t> order_;  // of the misses, the hottest first
};

class ByRate final : public NearData {
 public:
  explicit ByRate(const NearDataSplit& split) : share_(split.copied_share) {}

 protected:
  [[nodiscard]] std::size_t copied(const Moment& moment, const Misses&) const override {
    double share = share_;
    if (share <= 0) {
      const auto near = [&](std::uint32_t experts) {
        return moment.estimates->near_data(moment.layer_class, experts, experts).seconds();
      };
      const double computed = near(2) - near(1);  // without what a layer costs once
      share = computed / (computed + moment.estimates->fetch().seconds());
    }
    constexpr double rounding = 1e-9;
    const double most = std::ceil(share * static_cast<double>(order().size()) - rounding);
    return std::min(order().size(), static_cast<std::size_t>(std::max(0.0, most)));
  }

 private:
  double share_;
};

class EndsFirst final : public NearData {
 protected:
  [[nodiscard]] std::size_t copied(const Moment& moment, const Misses& misses) const override {
    const Estimates& times = *moment.estimates;
    std::uint32_t cold = std::accumulate(misses.tokens.begin(), misses.tokens.end(), std::uint32_t{0});
    Picoseconds link{}, least{};
    std::size_t best = 0;
    for (std::size_t hot = 0; hot <= order().size(); ++hot) {
      Picoseconds gpu{};
      if (hot > 0) {
        const std::uint32_t tokens = misses.tokens[order()[hot - 1]];
        link += times.fetch();
        gpu = times.on_gpu(moment.layer_class, tokens);
        cold -= tokens;
      }
      const auto left = static_cast<std::int64_t>(order().size() - hot);
      const Picoseconds near = left > 0 ? times.near_data(moment.layer_class, left, cold) : Picoseconds{};
      const Picoseconds ends = std::max(link + gpu, near);
      if (hot == 0 || ends < least) {
        least = ends;
        best = hot;
      }
    }
    return best;
  }
};

MissServiceEntry on_near_data() {
  MissServiceEntry entry;
  entry.mechanism = "split with a near-data device";
  entry.uses_near_data = true;
  return entry;
}

}  // namespace

/// MoNDE (arXiv:2405.18832): H = ceil(r A) of A experts, r the link's share of the link's and the device's
/// rate.
MissServiceEntry near_data() {
  MissServiceEntry entry = on_near_data();
  entry.name = "near-data";
  entry.help =
      "a near-data device computes it; the hottest of a layer are copied, by the rates of link and device";
  Fields<NearDataSplit> fields;
  fields
      .add("copied_share", &NearDataSplit::copied_share,
           "of a layer's misses, the hottest that are copied, rounded up",
           pregate::Range{0, 1, "from 0 to 1"})
      .or_zero("the link's share of both rates");
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& split) {
    return std::make_unique<ByRate>(std::any_cast<const NearDataSplit&>(split));
  };
  return entry;
}

MissServiceEntry near_data_optimal() {
  MissServiceEntry entry = on_near_data();
  entry.name = "near-data-optimal";
  entry.help = "the same, with as many copied as make the layer end first";
  entry.make = [](const std::any&) { return std::make_unique<EndsFirst>(); };
  return entry;
}

}  // namespace pregate::sim
