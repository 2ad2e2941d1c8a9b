// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <vector>

#include "sim/parts/prefetch/prefetcher.hpp"

namespace pregate::sim {

namespace {

struct Budget {
  int least = 0;
  bool least_activated = false;
};

class TimeBudget final : public Prefetcher {
 public:
  TimeBudget(int distance, const Budget& budget) : distance_(distance), budget_(budget) {}
  [[nodiscard]] bool reaches(const LayersAhead& ahead) const override {
    return ahead.has(ahead.ordinal + distance_);
  }
  void look_ahead(const Moment& moment, const LayersAhead&, Predictor& predictor,
                  Announcements& announced) override {
    const int target = moment.ordinal + distance_;
    const std::span<const ExpertKey> keys = predictor.predict(moment.ordinal, target);
    const std::size_t least = budget_.least_activated ? moment.activated : 0;
    std::size_t left = std::max({static_cast<std::size_t>(budget_.least), least, most_that_fit(moment)});
    // Who is there already costs no time, and is kept.
    chosen_.clear();
    for (const ExpertKey key : keys) {
      const bool is_brought = announced.is_brought(key);
      if (!is_brought && left == 0) continue;
      left -= is_brought ? 0 : 1;
      chosen_.push_back(key);
    }
    announced.want(target, chosen_);
  }

 private:
  [[nodiscard]] std::size_t most_that_fit(const Moment& moment) const {
    const Estimates* const estimates = moment.estimates;
    if (estimates == nullptr || estimates->fetch().count <= 0) return std::numeric_limits<std::size_t>::max();
    const Picoseconds window =
        estimates->between_gates(moment.layer_class, moment.activated, moment.routed) * distance_;
    return static_cast<std::size_t>(window.count / estimates->fetch().count);
  }

  int distance_;
  Budget budget_;
  std::vector<ExpertKey> chosen_;
};

}  // namespace

/// Fate (2502.12224).
PrefetcherEntry time_budget() {
  PrefetcherEntry entry;
  entry.name = "time-budget";
  entry.help = "as many copies for the layer 'lookahead.distance' later as its gate should leave time for";
  entry.mechanism = "within a time budget";
  Fields<Budget> fields;
  fields.add("least", &Budget::least, "copies that are issued in any case",
             pregate::Range{0, 65536, "from 0 to 65536"});
  fields.add("least_activated", &Budget::least_activated,
             "and in any case as many as the running layer activates");
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& parameters, int distance) {
    return std::make_unique<TimeBudget>(distance, std::any_cast<const Budget&>(parameters));
  };
  return entry;
}

}  // namespace pregate::sim
