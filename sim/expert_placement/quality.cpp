// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_placement/quality.hpp"

#include <algorithm>

#include "sim/expert_placement/token_routes.hpp"

namespace pregate::sim {

namespace {

/// Where an expert's next token goes: its home and its copies take them in turn.
class Turns {
 public:
  Turns(const ExpertHomes& homes, ExpertKey keys) : homes_(homes), begin_(keys + 1), next_(keys) {
    for (const ExpertCopy& copy : homes.copies) ++begin_[copy.key + 1];
    for (ExpertKey key = 0; key < keys; ++key) begin_[key + 1] += begin_[key];
    gpus_.resize(homes.copies.size());
    std::vector<std::size_t> filled(begin_.begin(), begin_.end() - 1);
    for (const ExpertCopy& copy : homes.copies) gpus_[filled[copy.key]++] = copy.gpu;
  }
  std::uint8_t take(ExpertKey key) {
    const std::size_t copies = begin_[key + 1] - begin_[key];
    if (copies == 0) return homes_.of_key[key];
    const std::size_t turn = next_[key];
    next_[key] = turn == copies ? 0 : turn + 1;
    return turn == 0 ? homes_.of_key[key] : gpus_[begin_[key] + turn - 1];
  }

 private:
  const ExpertHomes& homes_;
  std::vector<std::size_t> begin_, next_;
  std::vector<std::uint8_t> gpus_;
};

}  // namespace

PlacementQuality judge(trace::StepSource& source, const ExpertMap& map, StepSpan span,
                       const ExpertHomes& homes) {
  PlacementQuality quality;
  Turns turns(homes, map.keys());
  const auto gpus = static_cast<std::size_t>(homes.gpus);
  std::vector<std::vector<std::int64_t>> entries;  // of the step: by layer of its stack, by GPU
  std::vector<ExpertKey> keys;
  std::vector<std::uint8_t> here, before;
  std::int64_t crossed = 0, visits = 0, visited = 0, slowest = 0, all = 0;
  double max_loads = 0;
  each_step(source, span, [&](const trace::Step& step) {
    const TokenRoutes routes(map, step);
    const auto [first, last] = routes.ordinals();
    entries.assign(static_cast<std::size_t>(last - first), std::vector<std::int64_t>(gpus));
    for (int token = 0; token < step.tokens; ++token) {
      before.clear();
      for (int ordinal = first; ordinal < last; ++ordinal) {
        routes.read(token, ordinal, keys);
        here.clear();
        for (const ExpertKey key : keys) {
          here.push_back(turns.take(key));
          ++entries[static_cast<std::size_t>(ordinal - first)][here.back()];
        }
        std::sort(here.begin(), here.end());
        for (const std::uint8_t from : before) {
          const auto [same, other] = std::equal_range(here.begin(), here.end(), from);
          crossed += static_cast<std::int64_t>(here.size()) - (other - same);
        }
        quality.pairs += static_cast<std::int64_t>(before.size() * here.size());
        before = here;
        if (here.empty()) continue;
        ++visits;
        visited += std::unique(here.begin(), here.end()) - here.begin();
      }
    }
    for (const auto& layer : entries) {
      std::int64_t routed = 0, most = 0;
      for (const std::int64_t each : layer) {
        routed += each;
        most = std::max(most, each);
      }
      if (routed == 0) continue;
      ++quality.batches;
      slowest += most;
      all += routed;
      const double load = static_cast<double>(most) / static_cast<double>(routed);
      max_loads += load;
      quality.max_load = std::max(quality.max_load, load);
    }
  });
  const auto share = [](auto part, std::int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
  };
  quality.crossings = share(crossed, quality.pairs);
  quality.gpus_a_token = share(visited, visits);
  quality.mean_max_load = share(max_loads, quality.batches);
  quality.slowest_share = share(slowest, all);
  return quality;
}

}  // namespace pregate::sim
