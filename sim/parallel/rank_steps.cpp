// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/rank_steps.hpp"

namespace pregate::sim {

/// Layer after layer, tokens x top_k each.
template <class T>
std::span<const T> RankPass::layers_of(std::span<const T> all, int tokens) const {
  if (all.empty() || rank_.info.layers.size() == whole_.layers.size()) return all;
  std::size_t begin = 0, size = 0;
  for (std::size_t i = 0; i < rank_.first_moe; ++i) begin += static_cast<std::size_t>(whole_.layers[i].top_k);
  for (const trace::TraceLayer& layer : rank_.info.layers) size += static_cast<std::size_t>(layer.top_k);
  const auto count = static_cast<std::size_t>(tokens);
  return all.subspan(begin * count, size * count);
}

std::span<const std::uint16_t> RankPass::own(std::span<const std::uint16_t> ids, const trace::Step& step,
                                             std::vector<std::uint16_t>& kept) const {
  ids = layers_of(ids, step.tokens);
  if (rank_.here.empty() || ids.empty()) return ids;
  kept.resize(ids.size());
  std::size_t at = 0;
  for (std::size_t i = 0; i < rank_.info.layers.size(); ++i) {
    const trace::TraceLayer& layer = rank_.info.layers[i];
    if (layer.stack != step.stack) continue;
    const std::vector<std::uint16_t>& here = rank_.here[i];
    const std::size_t end =
        at + static_cast<std::size_t>(step.tokens) * static_cast<std::size_t>(layer.top_k);
    for (; at < end; ++at) kept[at] = ids[at] == trace::no_expert ? ids[at] : here[ids[at]];
  }
  return kept;
}

/// Once for each distance.
std::span<const std::uint16_t> RankPass::own_predicted(const trace::Step& step) {
  const std::size_t once = step.experts.size();
  if (step.predicted.size() <= once) return own(step.predicted, step, predicted_);
  all_predicted_.clear();
  for (std::size_t first = 0; first < step.predicted.size(); first += once) {
    const auto here = own(step.predicted.subspan(first, once), step, predicted_);
    all_predicted_.insert(all_predicted_.end(), here.begin(), here.end());
  }
  return all_predicted_;
}

trace::Step RankPass::of(const trace::Step& step) {
  trace::Step seen = step;
  seen.experts = own(step.experts, step, experts_);
  seen.predicted = own_predicted(step);
  seen.weights = layers_of(step.weights, step.tokens);
  return seen;
}

}  // namespace pregate::sim
