// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Crossings couple a layer with the next one only, so the best homes are a shortest path through the ways to
// deal out each layer. GPUs of equal quotas are interchangeable: of the ways that differ by their names
// alone, one is followed.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "sim/expert_placement/affinity.hpp"
#include "sim/expert_placement/expert_homes.hpp"

namespace pregate::sim {

namespace {

using Deal = std::vector<std::uint8_t>;  // of a layer: by expert, its GPU

/// By GPU: the first GPU that holds as many experts in every layer.
std::vector<int> alike(const LayerChain& chain) {
  std::vector<int> first(static_cast<std::size_t>(chain.gpus));
  for (int gpu = 0; gpu < chain.gpus; ++gpu) {
    int other = 0;
    while (!std::all_of(chain.experts.begin(), chain.experts.end(), [&](std::size_t experts) {
      return quota(experts, chain.gpus, gpu) == quota(experts, chain.gpus, other);
    }))
      ++other;
    first[static_cast<std::size_t>(gpu)] = other;
  }
  return first;
}

/// The names of alike GPUs in the order in which a deal first uses them.
Deal canonical(const Deal& deal, const std::vector<int>& alike) {
  std::vector<int> name(alike.size(), -1), used(alike.size(), 0);
  Deal renamed;
  for (const std::uint8_t gpu : deal) {
    if (name[gpu] < 0) {
      const auto group = static_cast<std::size_t>(alike[gpu]);
      // The group's GPUs in rising order; the one numbered used[group] in it.
      int at = alike[gpu], left = used[group]++;
      while (left > 0) left -= alike[static_cast<std::size_t>(++at)] == alike[gpu] ? 1 : 0;
      name[gpu] = at;
    }
    renamed.push_back(static_cast<std::uint8_t>(name[gpu]));
  }
  return renamed;
}

/// All deals of a layer with the quotas, and which of them are canonical.
struct Deals {
  std::vector<Deal> all;
  std::vector<std::uint32_t> kind;     // by deal: index of its canonical form in `canonical`
  std::vector<std::uint32_t> of_kind;  // by kind: the canonical deal
};

Deals deals_of(std::size_t experts, const LayerChain& chain, const std::vector<int>& alike) {
  Deals deals;
  Deal deal;
  for (int gpu = 0; gpu < chain.gpus; ++gpu)
    deal.insert(deal.end(), static_cast<std::size_t>(quota(experts, chain.gpus, gpu)),
                static_cast<std::uint8_t>(gpu));
  std::map<std::string, std::uint32_t> kinds;
  do {
    const Deal form = canonical(deal, alike);
    const auto [at, is_new] = kinds.try_emplace({form.begin(), form.end()}, kinds.size());
    // In rising order a deal's canonical form, which is the lowest of its kind, comes first.
    if (is_new) deals.of_kind.push_back(static_cast<std::uint32_t>(deals.all.size()));
    deals.kind.push_back(at->second);
    deals.all.push_back(deal);
  } while (std::next_permutation(deal.begin(), deal.end()));
  return deals;
}

/// By expert of the next layer and GPU, expert-major: what crosses to it from `from` when it is there.
std::vector<double> prices(const CountTable& next, const Deal& from, std::size_t gpus) {
  std::vector<double> price(next.columns * gpus);
  for (std::size_t i = 0; i < next.rows; ++i)
    for (std::size_t j = 0; j < next.columns; ++j) {
      for (std::size_t gpu = 0; gpu < gpus; ++gpu) price[j * gpus + gpu] += next.at(i, j);
      price[j * gpus + from[i]] -= next.at(i, j);
    }
  return price;
}

/// The best way to each kind of a layer's deals.
struct Reached {
  double crossings = std::numeric_limits<double>::infinity();
  std::uint32_t from = 0, deal = 0;  // kind in the layer before, and the deal beside its canonical form
};

double ways(std::size_t experts, int gpus) {
  double log = std::lgamma(static_cast<double>(experts) + 1);
  for (int gpu = 0; gpu < gpus; ++gpu) log -= std::lgamma(quota(experts, gpus, gpu) + 1.0);
  return std::exp(log);
}

}  // namespace

double states_work(const LayerChain& chain) {
  double names = 1;
  std::map<int, int> groups;
  for (const int first : alike(chain)) names *= ++groups[first];
  double work = 0;
  for (std::size_t layer = 0; layer < chain.experts.size(); ++layer) {
    const double all = ways(chain.experts[layer], chain.gpus);
    const double before = layer > 0 ? ways(chain.experts[layer - 1], chain.gpus) / names : 1;
    // A deal's canonical form takes a search tree.
    work += all * static_cast<double>(chain.experts[layer]) * (layer > 0 ? before + 64 : 64);
  }
  return work;
}

AffinityHomes affinity_by_states(const LayerChain& chain) {
  const std::vector<int> names = alike(chain);
  std::map<std::size_t, Deals> by_experts;
  for (const std::size_t experts : chain.experts)
    if (!by_experts.contains(experts)) by_experts.emplace(experts, deals_of(experts, chain, names));
  const auto gpus = static_cast<std::size_t>(chain.gpus);
  std::vector<std::vector<Reached>> reached(chain.experts.size());
  reached[0].assign(by_experts.at(chain.experts[0]).of_kind.size(), {0, 0, 0});
  for (std::size_t layer = 1; layer < chain.experts.size(); ++layer) {
    const Deals &before = by_experts.at(chain.experts[layer - 1]),
                &here = by_experts.at(chain.experts[layer]);
    reached[layer].resize(here.of_kind.size());
    for (std::uint32_t from = 0; from < before.of_kind.size(); ++from) {
      const std::vector<double> price =
          prices(*chain.next[layer - 1], before.all[before.of_kind[from]], gpus);
      for (std::uint32_t deal = 0; deal < here.all.size(); ++deal) {
        double sum = reached[layer - 1][from].crossings;
        const double* of_expert = price.data();
        for (const std::uint8_t gpu : here.all[deal]) {
          sum += of_expert[gpu];
          of_expert += gpus;
        }
        Reached& best = reached[layer][here.kind[deal]];
        if (sum < best.crossings) best = {sum, from, deal};
      }
    }
  }

  const std::vector<Reached>& last = reached.back();
  const auto end = std::min_element(
      last.begin(), last.end(), [](const Reached& a, const Reached& b) { return a.crossings < b.crossings; });
  AffinityHomes found{.method = AffinityMethod::states};
  found.crossings = found.bound = end->crossings;
  std::vector<std::uint32_t> kinds(chain.experts.size());
  kinds.back() = static_cast<std::uint32_t>(end - last.begin());
  for (std::size_t layer = kinds.size() - 1; layer > 0; --layer)
    kinds[layer - 1] = reached[layer][kinds[layer]].from;
  // Forward: `real` says what the GPUs are called that the followed canonical deal names.
  std::vector<std::uint8_t> real(gpus);
  for (std::size_t gpu = 0; gpu < gpus; ++gpu) real[gpu] = static_cast<std::uint8_t>(gpu);
  for (std::size_t layer = 0; layer < kinds.size(); ++layer) {
    const Deals& deals = by_experts.at(chain.experts[layer]);
    const Deal& followed = deals.all[deals.of_kind[kinds[layer]]];
    Deal home = layer == 0 ? followed : deals.all[reached[layer][kinds[layer]].deal];
    for (std::uint8_t& gpu : home) gpu = real[gpu];
    for (std::size_t expert = 0; expert < home.size(); ++expert) real[followed[expert]] = home[expert];
    found.homes.push_back(std::move(home));
  }
  return found;
}

}  // namespace pregate::sim
