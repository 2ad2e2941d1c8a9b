// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "traces/trace.hpp"

namespace pregate::test {

/// A trace written down in a test: steps with their experts.
class ListSource final : public trace::StepSource {
 public:
  explicit ListSource(trace::TraceInfo info) : info_(std::move(info)) {}

  /// `experts` as in Step::experts. A request begins with each `first`.
  void add(trace::Phase phase, int tokens, std::vector<std::uint16_t> experts, bool first = false,
           std::vector<std::uint16_t> predicted = {}, int stack = 0, int sequences = 1) {
    if (first || steps_.empty()) position_ = 0;
    trace::Step step;
    step.phase = phase;
    step.tokens = tokens;
    step.stack = stack;
    step.sequences = sequences;
    step.position = position_;
    step.first_of_request = first || steps_.empty();
    if (phase != trace::Phase::encoder) position_ += tokens / sequences;
    info_.requests += step.first_of_request ? 1 : 0;
    ++info_.steps;
    info_.tokens += tokens;
    info_.routed_entries += static_cast<std::int64_t>(experts.size());
    steps_.push_back(step);
    experts_.push_back(std::move(experts));
    predicted_.push_back(std::move(predicted));
  }

  /// What the router gave the experts of the step that was added last, as Step::weights.
  void weigh(std::vector<float> weights) {
    info_.has_weights = true;
    weights_.resize(steps_.size());
    weights_.back() = std::move(weights);
  }
  /// Every token of every step: the first of its `top_k` experts half of all, the next one half of the rest.
  void weigh_by_halves(std::size_t top_k) {
    info_.has_weights = true;
    weights_.clear();
    for (const std::vector<std::uint16_t>& experts : experts_) {
      std::vector<float>& weights = weights_.emplace_back();
      for (std::size_t i = 0; i < experts.size(); ++i)
        weights.push_back(1.0F / static_cast<float>(2U << (i % top_k)));
    }
  }

  [[nodiscard]] const trace::TraceInfo& info() const override { return info_; }
  bool next(trace::Step& step) override {
    if (at_ == steps_.size()) return false;
    step = steps_[at_];
    step.experts = experts_[at_];
    step.predicted = predicted_[at_];
    if (at_ < weights_.size()) step.weights = weights_[at_];
    ++at_;
    return true;
  }
  void rewind() override { at_ = 0; }

 private:
  trace::TraceInfo info_;
  std::vector<trace::Step> steps_;
  std::vector<std::vector<std::uint16_t>> experts_, predicted_;
  std::vector<std::vector<float>> weights_;
  std::size_t at_ = 0;
  int position_ = 0;
};

/// A decoder whose every layer is MoE.
inline trace::TraceInfo decoder_info(int layers, int experts, int top_k) {
  trace::TraceInfo info;
  info.model = "tiny";
  info.stacks = {"decoder"};
  for (int layer = 0; layer < layers; ++layer) info.layers.push_back({0, layer, experts, top_k, Bytes{}});
  return info;
}

/// Random distinct experts for `tokens` tokens in every layer, skewed towards low ids.
inline std::vector<std::uint16_t> random_experts(std::mt19937_64& random, int layers, int experts, int top_k,
                                                 int tokens) {
  std::vector<std::uint16_t> ids;
  for (int i = 0; i < layers * tokens; ++i) {
    std::vector<std::uint16_t> chosen;
    while (static_cast<int>(chosen.size()) < top_k) {
      const auto range = static_cast<std::uint64_t>(experts);
      const auto id = static_cast<std::uint16_t>(std::min(random() % range, random() % range));
      if (std::find(chosen.begin(), chosen.end(), id) == chosen.end()) chosen.push_back(id);
    }
    ids.insert(ids.end(), chosen.begin(), chosen.end());
  }
  return ids;
}

/// `requests` requests of one prefill and some decode steps each.
inline ListSource random_source(std::uint64_t seed, int layers, int experts, int top_k, int requests,
                                int prompt, int decode_steps) {
  std::mt19937_64 random(seed);
  ListSource source(decoder_info(layers, experts, top_k));
  for (int request = 0; request < requests; ++request) {
    if (prompt > 0) {
      source.add(trace::Phase::prefill, prompt, random_experts(random, layers, experts, top_k, prompt), true);
    }
    for (int step = 0; step < decode_steps; ++step) {
      source.add(trace::Phase::decode, 1, random_experts(random, layers, experts, top_k, 1),
                 prompt == 0 && step == 0);
    }
  }
  return source;
}

}  // namespace pregate::test
