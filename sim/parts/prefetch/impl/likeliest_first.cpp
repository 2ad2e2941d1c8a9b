// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "sim/parts/prefetch/prefetcher.hpp"

namespace pregate::sim {

namespace {

struct Queue {
  int reach = 3, copies = 4;
};

/// One queue for all layers ahead, by what the predictor says of each expert; nearer layers before farther
/// ones where it says nothing.
class LikeliestFirst final : public Prefetcher {
 public:
  explicit LikeliestFirst(const Queue& queue)
      : reach_(queue.reach), copies_(static_cast<std::size_t>(queue.copies)) {}
  [[nodiscard]] bool reaches(const LayersAhead& ahead) const override { return any_ahead(ahead, reach_); }
  void look_ahead(const Moment& moment, const LayersAhead& ahead, Predictor& predictor,
                  Announcements& announced) override {
    guesses_.clear();
    each_ahead(ahead, reach_, [&](int target) {
      const std::span<const ExpertKey> keys = predictor.predict(moment.ordinal, target);
      const std::span<const double> probabilities = predictor.probabilities();
      for (std::size_t i = 0; i < keys.size(); ++i)
        guesses_.push_back({target, keys[i], probabilities.empty() ? 0 : probabilities[i]});
      return true;
    });
    std::stable_sort(guesses_.begin(), guesses_.end(),
                     [](const Guess& a, const Guess& b) { return a.probability > b.probability; });
    std::size_t left = copies_;
    for (const Guess& guess : guesses_) {
      if (!announced.is_brought(guess.key) && left-- == 0) break;
      announced.want(guess.target, {&guess.key, 1});
    }
  }

 private:
  struct Guess {
    int target;
    ExpertKey key;
    double probability;
  };
  int reach_;
  std::size_t copies_;
  std::vector<Guess> guesses_;
};

}  // namespace

/// MoE-Infinity (2401.14361).
PrefetcherEntry likeliest_first() {
  PrefetcherEntry entry;
  entry.name = "likeliest";
  entry.help =
      "the likeliest of the next 'reach' layers, as far as the predictor says how likely, at most 'copies'";
  entry.mechanism = "likeliest first";
  Fields<Queue> fields;
  fields.add("reach", &Queue::reach, "layers that are looked at",
             pregate::Range{1, 10'000, "from 1 to 10000"});
  fields.add("copies", &Queue::copies, "issued at a time", pregate::Range{1, 65536, "from 1 to 65536"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& parameters, int) {
    return std::make_unique<LikeliestFirst>(std::any_cast<const Queue&>(parameters));
  };
  entry.in_flight = [](const std::any& parameters, int, int layers) {
    return std::min(layers, std::any_cast<const Queue&>(parameters).reach);
  };
  return entry;
}

}  // namespace pregate::sim
