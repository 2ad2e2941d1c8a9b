// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_placement/quality.hpp"

#include <algorithm>

#include "sim/expert_placement/token_routes.hpp"

namespace pregate::sim {

void PlacementJudge::use(const ExpertHomes& homes) {
  homes_ = homes;
  std::stable_sort(homes_.copies.begin(), homes_.copies.end(),
                   [](const ExpertCopy& a, const ExpertCopy& b) { return a.key < b.key; });
  first_copy_.assign(map_.keys() + 1, 0);
  for (const ExpertCopy& copy : homes_.copies) ++first_copy_[copy.key + 1];
  for (ExpertKey key = 0; key < map_.keys(); ++key) first_copy_[key + 1] += first_copy_[key];
  turn_.resize(map_.keys());
  for (ExpertKey key = 0; key < map_.keys(); ++key)
    if (turn_[key] > first_copy_[key + 1] - first_copy_[key]) turn_[key] = 0;
}

std::uint8_t PlacementJudge::take(ExpertKey key) {
  const std::size_t copies = first_copy_[key + 1] - first_copy_[key];
  if (copies == 0) return homes_.of_key[key];
  const std::size_t turn = turn_[key];
  turn_[key] = turn == copies ? 0 : turn + 1;
  return turn == 0 ? homes_.of_key[key] : homes_.copies[first_copy_[key] + turn - 1].gpu;
}

void PlacementJudge::watch_token(int token, const TokenRoutes& routes) {
  before_.clear();
  const auto [first, last] = routes.ordinals();
  for (int ordinal = first; ordinal < last; ++ordinal) {
    routes.read(token, ordinal, keys_);
    here_.clear();
    for (const ExpertKey key : keys_) {
      here_.push_back(take(key));
      ++entries_[static_cast<std::size_t>(ordinal - first)][here_.back()];
    }
    std::sort(here_.begin(), here_.end());
    for (const std::uint8_t from : before_) {
      const auto [same, other] = std::equal_range(here_.begin(), here_.end(), from);
      crossed_ += static_cast<std::int64_t>(here_.size()) - (other - same);
    }
    pairs_ += static_cast<std::int64_t>(before_.size() * here_.size());
    before_ = here_;
    if (here_.empty()) continue;
    ++visits_;
    visited_ += std::unique(here_.begin(), here_.end()) - here_.begin();
  }
}

void PlacementJudge::watch(const trace::Step& step) {
  const TokenRoutes routes(map_, step);
  const auto [first, last] = routes.ordinals();
  entries_.assign(static_cast<std::size_t>(last - first),
                  std::vector<std::int64_t>(static_cast<std::size_t>(homes_.gpus)));
  for (int token = 0; token < step.tokens; ++token) watch_token(token, routes);
  for (const std::vector<std::int64_t>& layer : entries_) {
    std::int64_t routed = 0, most = 0;
    for (const std::int64_t each : layer) {
      routed += each;
      most = std::max(most, each);
    }
    if (routed == 0) continue;
    ++batches_;
    slowest_ += most;
    all_ += routed;
    const double load = static_cast<double>(most) / static_cast<double>(routed);
    max_loads_ += load;
    max_load_ = std::max(max_load_, load);
  }
}

PlacementQuality PlacementJudge::quality() const {
  const auto share = [](auto part, std::int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
  };
  return {.crossings = share(crossed_, pairs_),
          .gpus_a_token = share(visited_, visits_),
          .max_load = max_load_,
          .mean_max_load = share(max_loads_, batches_),
          .slowest_share = share(slowest_, all_),
          .batches = batches_,
          .pairs = pairs_};
}

PlacementQuality judge(trace::StepSource& source, const ExpertMap& map, StepSpan span,
                       const ExpertHomes& homes) {
  PlacementJudge judging(map);
  judging.use(homes);
  each_step(source, span, [&](const trace::Step& step) { judging.watch(step); });
  return judging.quality();
}

}  // namespace pregate::sim
