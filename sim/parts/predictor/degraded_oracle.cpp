// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/predictor/degraded_oracle.hpp"

#include <algorithm>
#include <cmath>

#include "sim/parts/predictor/likeliest.hpp"

namespace pregate::sim {

namespace {

/// Of 2^53.
std::uint64_t part_of_draws(double probability) {
  return static_cast<std::uint64_t>(std::ceil(probability * 0x1p53));
}

}  // namespace

DegradedOracle::DegradedOracle(const GuessQuality& quality, const ExpertMap& map)
    : map_(map),
      quality_(quality),
      right_below_(part_of_draws(quality.recall)),
      random_(quality.seed),
      drawn_(map.layers().size()) {}

int DegradedOracle::most_guesses(const std::any& quality, const ExpertMap& map, const TraceScan& scan) {
  const int guesses = std::any_cast<const GuessQuality&>(quality).guesses;
  // As many as are activated: what the scan says, and no more is asked.
  return guesses == 0 ? scan.most_activated : most_guesses_of(guesses, map, scan);
}

std::span<const ExpertKey> DegradedOracle::predict(int ordinal, int target) {
  if (quality_.loss > 0) {
    const double lost = quality_.loss * static_cast<double>(target - ordinal - 1);
    right_below_ = part_of_draws(std::max(0.0, quality_.recall - lost));
  }
  const MoeLayer& layer = map_.layers()[static_cast<std::size_t>(target)];
  Drawn& drawn = drawn_[static_cast<std::size_t>(target)];
  if (drawn.pass == pass_) return guess_again(truth().activated(target), layer.top_k, drawn);
  drawn.pass = pass_;
  return guess(layer, truth().activated(target), drawn);
}

std::span<const ExpertKey> DegradedOracle::guess_again(std::span<const ExpertKey> activated, int top_k,
                                                       const Drawn& drawn) {
  const std::size_t most = guesses_for(activated.size(), quality_.guesses, top_k);
  std::size_t count = 0;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < drawn.of_each.size(); ++i) {
    if (drawn.of_each[i] < right_below_) {
      guesses_[count++] = activated[i];
    } else if (wrong < drawn.wrong.size()) {
      guesses_[count++] = drawn.wrong[wrong++];
    }
  }
  while (count < most && wrong < drawn.wrong.size()) guesses_[count++] = drawn.wrong[wrong++];
  return {guesses_.data(), count};
}

std::span<const ExpertKey> DegradedOracle::guess(const MoeLayer& layer, std::span<const ExpertKey> activated,
                                                 Drawn& drawn) {
  drawn.of_each.clear();
  drawn.wrong.clear();
  const std::size_t most = guesses_for(activated.size(), quality_.guesses, layer.top_k);
  const std::size_t room = std::max(activated.size(), most);
  if (guesses_.size() < room) guesses_.resize(room);
  std::size_t count = 0;
  std::size_t wrong = 0;
  for (const ExpertKey key : activated.first(std::min(most, activated.size()))) {
    const std::uint64_t draw = random_() >> 11U;
    drawn.of_each.push_back(draw);
    if (draw < right_below_) {
      guesses_[count++] = key;
      continue;
    }
    if (wrong == 0) begin_others(layer, activated);
    if (wrong == others_count_) continue;
    guesses_[count++] = draw_other(layer, wrong++);
    drawn.wrong.push_back(guesses_[count - 1]);
  }
  if (most <= activated.size()) return {guesses_.data(), count};
  if (wrong == 0) begin_others(layer, activated);
  while (count < most && wrong < others_count_) {
    guesses_[count++] = draw_other(layer, wrong++);
    drawn.wrong.push_back(guesses_[count - 1]);
  }
  return {guesses_.data(), count};
}

void DegradedOracle::begin_others(const MoeLayer& layer, std::span<const ExpertKey> activated) {
  others_count_ = static_cast<std::size_t>(layer.experts) - activated.size();
  gathers_ = activated.size() > few;
  if (gathers_) return gather_others(layer, activated);
  moved_.clear();
  activated_.resize(activated.size());
  for (std::size_t i = 0; i < activated.size(); ++i) insert_sorted(i, activated[i]);
}

/// Into the first `count` of activated_. Their order is anybody's guess: no branch.
void DegradedOracle::insert_sorted(std::size_t count, ExpertKey key) {
  ExpertKey* const sorted = activated_.data();
  for (std::size_t i = 0; i < count; ++i) {
    const ExpertKey larger = std::max(sorted[i], key);
    sorted[i] = std::min(sorted[i], key);
    key = larger;
  }
  sorted[count] = key;
}

/// One of those left, which then leaves: Fisher and Yates. `drawn_before` have left.
ExpertKey DegradedOracle::draw_other(const MoeLayer& layer, std::size_t drawn_before) {
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
ExpertKey DegradedOracle::other_at(const MoeLayer& layer, std::size_t place) const {
  for (std::size_t i = moved_.size(); i-- > 0;) {
    if (moved_[i].place == place) return moved_[i].key;
  }
  ExpertKey key = layer.first_key + static_cast<ExpertKey>(place);
  for (const ExpertKey activated : activated_) key += activated <= key ? 1U : 0U;
  return key;
}

void DegradedOracle::gather_others(const MoeLayer& layer, std::span<const ExpertKey> activated) {
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

}  // namespace pregate::sim
