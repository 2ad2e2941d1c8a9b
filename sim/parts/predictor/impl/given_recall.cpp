// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/parts/predictor/draws.hpp"
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
      : map_(map),
        right_below_(static_cast<std::uint64_t>(std::ceil(given.recall * 0x1p53))),
        random_(given.seed) {}

  std::span<const ExpertKey> predict(int, int target) override {
    return guess(map_.layers()[static_cast<std::size_t>(target)], truth().activated(target));
  }

 private:
  /// An activated set of at most so many is searched, and none that is drawn gathered.
  static constexpr std::size_t few = 8;

  /// Valid until the next call.
  std::span<const ExpertKey> guess(const MoeLayer& layer, std::span<const ExpertKey> activated) {
    if (guesses_.size() < activated.size()) guesses_.resize(activated.size());
    std::size_t count = 0;
    std::size_t wrong = 0;
    for (const ExpertKey key : activated) {
      if (random_() >> 11U < right_below_) {
        guesses_[count++] = key;
        continue;
      }
      if (wrong == 0) begin_others(layer, activated);
      if (wrong == others_count_) continue;
      guesses_[count++] = draw_other(layer, wrong++);
    }
    return {guesses_.data(), count};
  }

  /// [0, 1), the same on every platform (std::uniform_real_distribution is not).
  double uniform() { return static_cast<double>(random_() >> 11U) * 0x1p-53; }

  void begin_others(const MoeLayer& layer, std::span<const ExpertKey> activated) {
    others_count_ = static_cast<std::size_t>(layer.experts) - activated.size();
    gathers_ = activated.size() > few;
    if (gathers_) return gather_others(layer, activated);
    moved_.clear();
    activated_.resize(activated.size());
    for (std::size_t i = 0; i < activated.size(); ++i) insert_sorted(i, activated[i]);
  }

  /// Into the first `count` of activated_. Their order is anybody's guess: no branch.
  void insert_sorted(std::size_t count, ExpertKey key) {
    ExpertKey* const sorted = activated_.data();
    for (std::size_t i = 0; i < count; ++i) {
      const ExpertKey larger = std::max(sorted[i], key);
      sorted[i] = std::min(sorted[i], key);
      key = larger;
    }
    sorted[count] = key;
  }

  /// One of those left, which then leaves: Fisher and Yates. `drawn_before` have left.
  ExpertKey draw_other(const MoeLayer& layer, std::size_t drawn_before) {
    const std::size_t left = others_count_ - drawn_before;
    const std::size_t drawn =
        drawn_before + std::min(left - 1, static_cast<std::size_t>(uniform() * static_cast<double>(left)));
    if (gathers_) {
      std::swap(others_[drawn_before], others_[drawn]);
      return others_[drawn_before];
    }
    const ExpertKey other = other_at(layer, drawn);
    moved_.push_back({drawn, other_at(layer, drawn_before)});
    return other;
  }

  /// What others_ would hold there: who was moved there last, or in the beginning.
  [[nodiscard]] ExpertKey other_at(const MoeLayer& layer, std::size_t place) const {
    for (std::size_t i = moved_.size(); i-- > 0;) {
      if (moved_[i].place == place) return moved_[i].key;
    }
    ExpertKey key = layer.first_key + static_cast<ExpertKey>(place);
    for (const ExpertKey activated : activated_) key += activated <= key ? 1U : 0U;
    return key;
  }

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
    for (const ExpertKey key : activated) is_activated_[key - layer.first_key] = 0;
  }

  struct Moved {
    std::size_t place;
    ExpertKey key;
  };
  const ExpertMap& map_;
  std::uint64_t right_below_;  ///< of 2^53
  Draws random_;
  std::vector<ExpertKey> guesses_;
  // Of the layer at hand: those that are not activated, in order, as far as they were not drawn.
  std::size_t others_count_ = 0;
  bool gathers_ = false;
  std::vector<ExpertKey> activated_, others_;
  std::vector<Moved> moved_;
  std::vector<std::uint8_t> is_activated_;  // by expert of the layer; all 0 between calls
};

Fields<Recall> parameters() {
  Fields<Recall> fields;
  fields.add(
      "recall", &Recall::recall,
      "probability that an expert which will be activated is announced, rather than another in its place",
      pregate::Range{0, 1, "from 0 to 1"});
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
