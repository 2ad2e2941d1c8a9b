// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>
#include <vector>

#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

struct Share {
  double link = 0;  ///< 0: as one more expert with one token takes on either
};

class Fraction final : public MissService {
 public:
  Fraction(const Share& share, Service over_link) : link_(share.link), over_link_(over_link) {}

  void decide(const Moment& moment, const Misses& misses, std::span<Serving> of_each) override {
    ++layers_;
    order_.resize(misses.keys.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    last_.resize(misses.keys.size());
    for (std::size_t i = 0; i < last_.size(); ++i) {
      std::int64_t& used = used_of(misses.keys[i]);
      last_[i] = used;
      used = layers_;
    }
    for (const ExpertKey key : misses.there_keys) used_of(key) = layers_;
    std::stable_sort(order_.begin(), order_.end(),
                     [this](std::size_t a, std::size_t b) { return last_[a] > last_[b]; });
    for (Serving& serving : of_each) serving.service = over_link_;
    for (std::size_t i = fetched_of(misses.keys.size(), share_of_link(moment)); i < order_.size(); ++i)
      of_each[order_[i]] = computed_at(moment.cpu);
  }

 private:
  std::int64_t& used_of(ExpertKey key) {
    if (used_.size() <= key) used_.resize(std::size_t{key} + 1);
    return used_[key];
  }
  [[nodiscard]] double share_of_link(const Moment& moment) const {
    if (link_ > 0 || moment.estimates == nullptr) return link_;
    const double copied = moment.estimates->fetch().seconds();
    const auto on_cpu = [&](std::uint32_t experts) {
      return moment.estimates->on_cpu(moment.layer_class, experts, experts).seconds();
    };
    const double computed = on_cpu(2) - on_cpu(1);  // without what a layer costs once
    return computed / (computed + copied);
  }
  /// The first argmin over F of max(F (1 - f), (M - F) f): link and CPU are then done at about one time.
  static std::size_t fetched_of(std::size_t missing, double link) {
    std::size_t best = 0;
    double least = static_cast<double>(missing) * link;
    for (std::size_t fetched = 1; fetched <= missing; ++fetched) {
      const double longer =
          std::max(static_cast<double>(fetched) * (1 - link), static_cast<double>(missing - fetched) * link);
      if (longer >= least) break;  // the one falls and the other rises
      best = fetched;
      least = longer;
    }
    return best;
  }

  double link_;
  Service over_link_;
  std::int64_t layers_ = 0;
  std::vector<std::int64_t> used_;  ///< by key: the layer, counted over the run; 0: never before
  std::vector<std::size_t> order_;
  std::vector<std::int64_t> last_;
};

}  // namespace

namespace {

MissServiceEntry parted(Service over_link) {
  MissServiceEntry entry;
  Fields<Share> fields;
  fields
      .add("link", &Share::link, "rate of the link, as a share of its and the CPU's together",
           pregate::Range{0, 1, "from 0 to 1"})
      .or_zero("as one more expert takes on either");
  entry.parameters = PartParameters(fields);
  entry.make = [over_link](const std::any& share) {
    return std::make_unique<Fraction>(std::any_cast<const Share&>(share), over_link);
  };
  entry.uses_cpu = true;
  return entry;
}

}  // namespace

/// FreeToken (arXiv:2608.16157).
MissServiceEntry fraction() {
  MissServiceEntry entry = parted(Service::fetch);
  entry.name = "fraction";
  entry.help =
      "a layer's misses are parted by rate: the most recently used are copied, the CPU computes the others";
  entry.mechanism = "parted between link and CPU";
  return entry;
}

/// Strata, whose kernels read their share where it is.
MissServiceEntry read_fraction() {
  MissServiceEntry entry = parted(Service::read);
  entry.name = "read-fraction";
  entry.help = "as fraction, but the GPU's kernel reads its part over the link";
  entry.mechanism = "parted between reading over the link and CPU";
  entry.fetches = false;
  entry.read_rate = [](const std::any&) { return BytesPerSecond{}; };
  return entry;
}

}  // namespace pregate::sim
