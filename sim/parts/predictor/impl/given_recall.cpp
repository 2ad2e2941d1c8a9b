// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "sim/parts/predictor/predictor.hpp"

namespace pregate::sim {

namespace {

struct Recall {
  double recall = 1;
  std::uint64_t seed = 1;
};

/// An oracle degraded to a recall: it is handed the experts that a layer will activate, and guesses each of
/// them with that probability; otherwise one that will not be activated, drawn evenly, stands in its place
/// (none, when all others are activated or guessed). So as many are guessed as will be activated.
/// Deterministic in the seed and the order of calls.
class GivenRecall final : public Oracle {
 public:
  GivenRecall(const Recall& given, const ExpertMap& map)
      : map_(map), recall_(given.recall), random_(given.seed) {}

  std::span<const ExpertKey> predict(int, int target) override {
    return guess(map_.layers()[static_cast<std::size_t>(target)], truth().activated(target));
  }

 private:
  /// Valid until the next call.
  std::span<const ExpertKey> guess(const MoeLayer& layer, std::span<const ExpertKey> activated) {
    guesses_.clear();
    others_.clear();
    next_ = 0;
    bool gathered = false;
    for (const ExpertKey key : activated) {
      if (uniform() < recall_) {
        guesses_.push_back(key);
        continue;
      }
      if (!gathered) gather_others(layer, activated);
      gathered = true;
      if (next_ == others_.size()) continue;
      // One of those left, which then leaves: Fisher and Yates.
      const auto left = others_.size() - next_;
      const auto drawn =
          next_ + std::min(left - 1, static_cast<std::size_t>(uniform() * static_cast<double>(left)));
      std::swap(others_[next_], others_[drawn]);
      guesses_.push_back(others_[next_++]);
    }
    return guesses_;
  }

  /// [0, 1), the same on every platform (std::uniform_real_distribution is not).
  double uniform() { return static_cast<double>(random_() >> 11U) * 0x1p-53; }

  void gather_others(const MoeLayer& layer, std::span<const ExpertKey> activated) {
    const auto experts = static_cast<std::size_t>(layer.experts);
    if (is_activated_.size() < experts) is_activated_.resize(experts);
    for (const ExpertKey key : activated) is_activated_[key - layer.first_key] = 1;
    others_.resize(experts);
    std::size_t count = 0;
    for (std::size_t i = 0; i < experts; ++i) {
      others_[count] = layer.first_key + static_cast<ExpertKey>(i);
      count += is_activated_[i] == 0 ? 1U : 0U;
    }
    others_.resize(count);
    for (const ExpertKey key : activated) is_activated_[key - layer.first_key] = 0;
  }

  const ExpertMap& map_;
  double recall_;
  std::mt19937_64 random_;
  std::vector<ExpertKey> guesses_, others_;
  std::vector<std::uint8_t> is_activated_;  // by expert of the layer; all 0 between calls
  std::size_t next_ = 0;                    // of others_
};

Fields<Recall> parameters() {
  Fields<Recall> fields;
  fields.add(
      "recall", &Recall::recall,
      "probability that an expert which will be activated is announced, rather than another in its place",
      Range{0, 1, "from 0 to 1"});
  fields.add("seed", &Recall::seed, "of its draws");
  return fields;
}

}  // namespace

PredictorEntry given_recall() {
  PredictorEntry entry;
  entry.name = "given-recall";
  entry.help = "a guess that is right with the probability 'recall'";
  entry.mechanism = "given-recall";
  entry.former = "predictor";
  entry.parameters = PartParameters(parameters());
  entry.make = [](const std::any& given, const ExpertMap& map) {
    return std::make_unique<GivenRecall>(std::any_cast<const Recall&>(given), map);
  };
  entry.is_oracle = true;
  entry.keeps_to_most_guesses = true;
  return entry;
}

}  // namespace pregate::sim
