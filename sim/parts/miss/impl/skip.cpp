// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

struct SkipLimit {
  double above = 0.9;
};

class SkipLight final : public MissService {
 public:
  explicit SkipLight(const SkipLimit& limit) : above_(limit.above) {}
  void decide(const Moment&, const Misses& misses, std::span<Serving> of_each) override {
    for (std::size_t i = 0; i < of_each.size(); ++i) {
      if (is_lighter_than(misses.better[i], above_)) of_each[i].service = Service::skip;
    }
  }

 private:
  double above_;
};

}  // namespace

/// The dropping of AdapMoE (arXiv:2408.10284) and HOBBIT (arXiv:2411.01433), by gate weights.
MissServiceEntry skip_light() {
  MissServiceEntry entry;
  entry.name = "skip";
  entry.help =
      "it is not computed if better-ranked experts have more than 'above' of the weight; else copied";
  entry.mechanism = "light misses dropped";
  Fields<SkipLimit> fields;
  fields.add("above", &SkipLimit::above, "share of a token's gate weight that better-ranked experts have",
             pregate::Range{0, 1, "from 0 to 1"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& limit) {
    return std::make_unique<SkipLight>(std::any_cast<const SkipLimit&>(limit));
  };
  entry.needs_weights = entry.drops = true;
  return entry;
}

}  // namespace pregate::sim
