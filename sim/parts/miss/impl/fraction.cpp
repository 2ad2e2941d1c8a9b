// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>
#include <vector>

#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

struct Share {
  double link = 0;  ///< of misses with one token each; 0: by what copies and the CPU take
};

/// F = argmin max(what F copies take, what the CPU takes for the others), each at its own number of tokens.
/// With one token each, and what a layer costs the CPU once left aside, that is max(F (1 - f), (M - F) f).
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
    for (std::size_t i = fetched_of(moment, misses.tokens); i < order_.size(); ++i)
      of_each[order_[i]] = computed_at(moment.cpu);
  }

 private:
  /// What a miss takes, in any unit, as long as it is one for both.
  struct Costs {
    double copy = 0, cpu = 0;  ///< with one token
    double once = 0;           ///< of the estimates: of a layer on the CPU, whoever it computes, in ps
    double each = 0;           ///< likewise: of an expert with one token
  };

  std::int64_t& used_of(ExpertKey key) {
    if (used_.size() <= key) used_.resize(std::size_t{key} + 1);
    return used_[key];
  }
  [[nodiscard]] static double on_cpu(const Moment& moment, std::size_t experts, std::uint32_t routed) {
    const auto count = static_cast<std::int64_t>(experts);
    return static_cast<double>(moment.estimates->on_cpu(moment.layer_class, count, routed).count);
  }
  [[nodiscard]] Costs costs(const Moment& moment) const {
    Costs of{1 - link_, link_, 0, 0};
    if (moment.estimates == nullptr) return of;
    const double one = on_cpu(moment, 1, 1);
    of.each = on_cpu(moment, 2, 2) - one;
    of.once = one - of.each;
    if (link_ == 0) {
      of.copy = static_cast<double>(moment.estimates->fetch().count);
      of.cpu = of.each;
    }
    return of;
  }
  /// Of that many misses that get `routed` tokens in all.
  [[nodiscard]] static double cpu_takes(const Moment& moment, const Costs& of, std::size_t experts,
                                        std::uint32_t routed) {
    const double alike = static_cast<double>(experts) * of.cpu;
    if (routed == experts || of.each <= 0) return alike;
    return (on_cpu(moment, experts, routed) - of.once) * (of.cpu / of.each);
  }
  /// The first such F: link and CPU are then done at about one time.
  [[nodiscard]] std::size_t fetched_of(const Moment& moment, std::span<const std::uint32_t> tokens) const {
    const Costs of = costs(moment);
    const std::size_t missing = tokens.size();
    std::uint32_t routed = std::accumulate(tokens.begin(), tokens.end(), std::uint32_t{0});
    std::size_t best = 0;
    double least = cpu_takes(moment, of, missing, routed);
    for (std::size_t fetched = 1; fetched <= missing; ++fetched) {
      routed -= tokens[order_[fetched - 1]];
      const double others = fetched == missing ? 0 : cpu_takes(moment, of, missing - fetched, routed);
      const double longer = std::max(static_cast<double>(fetched) * of.copy, others);
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
      .add("link", &Share::link,
           "rate of the link, as a share of its and the CPU's together, for one token each",
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
