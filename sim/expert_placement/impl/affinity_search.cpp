// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Swaps of two experts of a layer: counts stay equal, and what a swap changes is known from what the
// neighbouring layers have on the two GPUs.
#include <algorithm>
#include <cmath>

#include "sim/cache/split_mix.hpp"
#include "sim/expert_placement/affinity.hpp"
#include "sim/expert_placement/expert_homes.hpp"

namespace pregate::sim {

namespace {

class Search {
 public:
  explicit Search(const LayerChain& chain) : chain_(chain), gpus_(static_cast<std::size_t>(chain.gpus)) {
    for (std::size_t layer = 0; layer < chain.experts.size(); ++layer) {
      std::vector<std::uint8_t>& home = homes_.emplace_back(chain.experts[layer]);
      for (std::size_t expert = 0; expert < home.size(); ++expert)
        home[expert] = static_cast<std::uint8_t>(expert % gpus_);
      ties_.emplace_back(home.size() * gpus_);
      for (std::size_t expert = 0; expert < home.size(); ++expert) places_.push_back({layer, expert});
    }
    for (std::size_t layer = 0; layer < chain.next.size(); ++layer) {
      const CountTable& next = *chain.next[layer];
      for (std::size_t i = 0; i < next.rows; ++i)
        for (std::size_t j = 0; j < next.columns; ++j) {
          ties_[layer][i * gpus_ + homes_[layer + 1][j]] += next.at(i, j);
          ties_[layer + 1][j * gpus_ + homes_[layer][i]] += next.at(i, j);
        }
    }
  }

  [[nodiscard]] std::size_t experts() const { return places_.size(); }
  ChainHomes take() && { return std::move(homes_); }

  /// Two experts of a layer.
  struct Swap {
    std::size_t layer = 0, a = 0, b = 0;
  };
  Swap draw(cache::SplitMix& random) const {
    const auto [layer, a] = places_[random.below(places_.size())];
    return {layer, a, random.below(homes_[layer].size())};
  }

  [[nodiscard]] bool changes(const Swap& swap) const {
    return homes_[swap.layer][swap.a] != homes_[swap.layer][swap.b];
  }
  /// How many crossings fewer there are after it.
  [[nodiscard]] double gain(const Swap& swap) const {
    const auto [layer, a, b] = swap;
    const std::uint8_t from = homes_[layer][a], to = homes_[layer][b];
    const double *of_a = &ties_[layer][a * gpus_], *of_b = &ties_[layer][b * gpus_];
    return of_a[to] - of_a[from] + of_b[from] - of_b[to];
  }

  void carry_out(const Swap& swap) {
    const auto [layer, a, b] = swap;
    const std::uint8_t from = homes_[layer][a], to = homes_[layer][b];
    if (layer + 1 < homes_.size()) {
      const CountTable& next = *chain_.next[layer];
      for (std::size_t j = 0; j < next.columns; ++j)
        move(ties_[layer + 1][j * gpus_ + from], ties_[layer + 1][j * gpus_ + to],
             next.at(a, j) - next.at(b, j));
    }
    if (layer > 0) {
      const CountTable& next = *chain_.next[layer - 1];
      for (std::size_t i = 0; i < next.rows; ++i)
        move(ties_[layer - 1][i * gpus_ + from], ties_[layer - 1][i * gpus_ + to],
             next.at(i, a) - next.at(i, b));
    }
    std::swap(homes_[layer][a], homes_[layer][b]);
  }

  /// Swaps while any is a gain.
  void descend() {
    for (bool improved = true; improved;) {
      improved = false;
      for (std::size_t layer = 0; layer < homes_.size(); ++layer)
        for (std::size_t a = 0; a < homes_[layer].size(); ++a)
          for (std::size_t b = a + 1; b < homes_[layer].size(); ++b) {
            const Swap swap{layer, a, b};
            if (!changes(swap) || gain(swap) <= 0) continue;
            carry_out(swap);
            improved = true;
          }
    }
  }

 private:
  static void move(double& from, double& to, double tokens) {
    from -= tokens;
    to += tokens;
  }

  const LayerChain& chain_;
  std::size_t gpus_;
  ChainHomes homes_;
  std::vector<std::vector<double>>
      ties_;  // by layer; by expert and GPU: tokens it shares with neighbours there
  std::vector<std::pair<std::size_t, std::size_t>> places_;  // (layer, expert)
};

/// Simulated annealing: a loss is taken with probability exp(-loss / temperature). From the mean size of a
/// swap's change the temperature falls a thousandfold.
void anneal(Search& search, cache::SplitMix random) {
  const auto draws =
      static_cast<std::int64_t>(std::clamp(1000.0 * static_cast<double>(search.experts()), 1e5, 2e7));
  double size = 0;
  constexpr int samples = 1000;
  for (int i = 0; i < samples; ++i) size += std::abs(search.gain(search.draw(random))) / samples;
  if (size <= 0) return;
  constexpr std::int64_t levels = 200;
  double temperature = size;
  for (std::int64_t level = 0; level < levels; ++level) {
    for (std::int64_t i = 0; i < draws / levels; ++i) {
      const Search::Swap swap = search.draw(random);
      if (!search.changes(swap)) continue;
      const double gain = search.gain(swap);
      if (gain >= 0 || random.unit() < std::exp(gain / temperature)) search.carry_out(swap);
    }
    temperature *= std::pow(1e-3, 1.0 / levels);
  }
}

}  // namespace

AffinityHomes affinity_by_search(const LayerChain& chain, std::uint64_t seed) {
  constexpr int starts = 4;
  AffinityHomes best{.method = AffinityMethod::local_search};
  best.bound = crossings_bound(chain);
  cache::SplitMix seeds(seed);
  for (int start = 0; start < starts; ++start) {
    Search search(chain);
    anneal(search, cache::SplitMix(seeds()));
    search.descend();
    ChainHomes homes = std::move(search).take();
    const double crossed = crossings(chain, homes);
    if (start > 0 && crossed >= best.crossings) continue;
    best.homes = std::move(homes);
    best.crossings = crossed;
  }
  return best;
}

}  // namespace pregate::sim
