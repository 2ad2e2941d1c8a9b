// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/slot_budgets.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "models/error.hpp"
#include "sim/workload/activation_profile.hpp"
#include "sim/workload/profile.hpp"

namespace pregate::sim {

namespace {

/// Most recent first, of one layer.
class Recency {
 public:
  /// Puts `key` first; how many were before it, or all there are when it is new.
  std::size_t touch(ExpertKey key) {
    const auto place = std::find(keys_.begin(), keys_.end(), key);
    const auto before = static_cast<std::size_t>(place - keys_.begin());
    if (place == keys_.end())
      keys_.insert(keys_.begin(), key);
    else
      std::rotate(keys_.begin(), place, place + 1);
    return before;
  }
  [[nodiscard]] std::size_t place(ExpertKey key) const {
    return static_cast<std::size_t>(std::find(keys_.begin(), keys_.end(), key) - keys_.begin());
  }
  [[nodiscard]] std::size_t size() const { return keys_.size(); }

 private:
  std::vector<ExpertKey> keys_;
};

constexpr double most_states = 2e8, most_choices = 2e10;

void check_size(const std::vector<std::vector<double>>& misses, std::int64_t slots) {
  double choices = 0;
  for (const auto& layer : misses) choices += static_cast<double>(layer.size());
  const auto all = static_cast<double>(slots);
  if (all * static_cast<double>(misses.size()) <= most_states && all * choices <= most_choices) return;
  throw InputError("policy.cache.split", "there are too many slots to look for the best split of",
                   "set cache.split to spread, or give the cache less");
}

}  // namespace

std::vector<std::int64_t> slot_budgets(const std::vector<std::vector<double>>& misses, std::int64_t slots) {
  std::int64_t most = 0;
  for (const auto& layer : misses) most += static_cast<std::int64_t>(layer.size()) - 1;
  const auto all = static_cast<std::size_t>(std::clamp<std::int64_t>(slots, 0, most));
  constexpr double impossible = std::numeric_limits<double>::infinity();
  std::vector<double> least(all + 1, impossible), next(all + 1);
  least[0] = 0;
  std::vector<std::vector<std::uint32_t>> chosen(misses.size(), std::vector<std::uint32_t>(all + 1));
  std::size_t reach = 0;  // slots that the layers so far can have
  for (std::size_t layer = 0; layer < misses.size(); ++layer) {
    const std::size_t own = misses[layer].size() - 1;
    const std::size_t end = std::min(all, reach + own);
    std::fill(next.begin(), next.end(), impossible);
    for (std::size_t sum = 0; sum <= end; ++sum) {
      for (std::size_t here = sum > reach ? sum - reach : 0; here <= std::min(sum, own); ++here) {
        const double total = least[sum - here] + misses[layer][here];
        if (!(total < next[sum])) continue;
        next[sum] = total;
        chosen[layer][sum] = static_cast<std::uint32_t>(here);
      }
    }
    least.swap(next);
    reach = end;
  }
  std::vector<std::int64_t> budgets(misses.size());
  std::size_t left = all;
  for (std::size_t layer = misses.size(); layer-- > 0;) {
    budgets[layer] = chosen[layer][left];
    left -= chosen[layer][left];
  }
  return budgets;
}

std::vector<std::vector<double>> lru_misses(trace::StepSource& source, const ExpertMap& map,
                                            const std::vector<std::uint8_t>& excluded) {
  std::vector<Recency> recency(map.layers().size());
  std::vector<std::vector<double>> hits(map.layers().size());  // by how many were more recent
  std::vector<double> asked(map.layers().size());
  for (std::size_t i = 0; i < hits.size(); ++i) {
    const auto first = excluded.begin() + map.layers()[i].first_key;
    const auto kept_out = std::count(first, first + map.layers()[i].experts, 1);
    hits[i].resize(static_cast<std::size_t>(map.layers()[i].experts - kept_out));
  }
  StepRouting routing(map);
  trace::Step step;
  source.rewind();
  while (source.next(step)) {
    routing.load(step);
    const auto [first, last] = map.ordinals(step.stack);
    for (int ordinal = first; ordinal < last; ++ordinal) {
      const auto layer = static_cast<std::size_t>(ordinal);
      for (const ExpertKey key : routing.activated(ordinal)) {
        if (excluded[key] != 0) continue;
        ++asked[layer];
        const std::size_t before = recency[layer].place(key);
        if (before < recency[layer].size()) ++hits[layer][before];
      }
      for (const ExpertKey key : routing.activated(ordinal)) {
        if (excluded[key] == 0) recency[layer].touch(key);
      }
    }
  }
  source.rewind();
  std::vector<std::vector<double>> misses(hits.size());
  for (std::size_t layer = 0; layer < hits.size(); ++layer) {
    misses[layer].push_back(asked[layer]);
    for (const double more : hits[layer]) misses[layer].push_back(misses[layer].back() - more);
  }
  return misses;
}

std::string split_by_budgets(std::vector<std::int64_t>& capacity, const CacheSpec& cache,
                             trace::StepSource& source, const ExpertMap& map,
                             const std::vector<std::uint8_t>& excluded) {
  const std::int64_t slots = std::accumulate(capacity.begin(), capacity.end(), std::int64_t{0});
  std::vector<std::vector<double>> misses;
  std::string of_what = "this trace itself: it knows what is to come";
  if (cache.budgets.empty()) {
    misses = lru_misses(source, map, excluded);
  } else {
    const auto other = open_profile(cache.budgets, map, "policy.cache.budgets");
    of_what = profile_name(cache.budgets, *other);
    misses = lru_misses(*other, ExpertMap(other->info()), excluded);
  }
  check_size(misses, slots);
  capacity = slot_budgets(misses, slots);
  if (capacity.empty()) return "";
  const auto [least, most] = std::minmax_element(capacity.begin(), capacity.end());
  return "the cache gives each layer " + std::to_string(*least) + " to " + std::to_string(*most) +
         " slots, by the misses of an LRU in " + of_what;
}

}  // namespace pregate::sim
