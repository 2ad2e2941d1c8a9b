// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

struct PrecisionLimits {
  double high_below = 0.6, low_below = 0.9;
};

class Precision final : public MissService {
 public:
  explicit Precision(const PrecisionLimits& limits) : limits_(limits) {}
  void decide(const Moment&, const Misses& misses, std::span<Serving> of_each) override {
    for (std::size_t i = 0; i < of_each.size(); ++i) {
      if (is_lighter_than(misses.better[i], limits_.low_below)) {
        of_each[i].service = Service::skip;
      } else if (is_lighter_than(misses.better[i], limits_.high_below)) {
        of_each[i].format = low_format;
      }
    }
  }

 private:
  PrecisionLimits limits_;
};

}  // namespace

/// HOBBIT (arXiv:2411.01433).
MissServiceEntry by_precision() {
  MissServiceEntry entry;
  entry.name = "precision";
  entry.help =
      "the weight of better-ranked experts decides: it is copied as it is, in formats.low, or dropped";
  entry.mechanism = "misses by precision";
  Fields<PrecisionLimits> fields;
  fields.add("high_below", &PrecisionLimits::high_below,
             "the most that better-ranked experts have of one copied as it is",
             pregate::Range{0, 1, "from 0 to 1"});
  fields.add("low_below", &PrecisionLimits::low_below,
             "the same of one copied in formats.low; with more it is dropped",
             pregate::Range{0, 1, "from 0 to 1"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& limits) {
    return std::make_unique<Precision>(std::any_cast<const PrecisionLimits&>(limits));
  };
  entry.needs_weights = entry.drops = entry.uses_low_format = true;
  return entry;
}

}  // namespace pregate::sim
