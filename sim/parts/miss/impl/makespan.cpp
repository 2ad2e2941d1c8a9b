// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>
#include <vector>

#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

/// A layer as three queues: experts with few tokens go to the CPU one by one, those with many over the link,
/// and the GPU computes what it has and what arrives. Whoever is free first takes the next.
class Makespan final : public MissService {
 public:
  void decide(const Moment& moment, const Misses& misses, std::span<Serving> of_each) override {
    order_.resize(misses.keys.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return misses.tokens[a] < misses.tokens[b]; });
    const Estimates& times = *moment.estimates;
    Picoseconds gpu{};
    for (const std::uint32_t tokens : misses.there_tokens) gpu += times.on_gpu(moment.layer_class, tokens);
    Picoseconds cpu{}, link{};
    std::int64_t on_cpu = 0;  // the CPU computes its experts in one go: what it has, and one more
    std::uint32_t routed = 0;
    std::size_t lightest = 0, heaviest = order_.size();
    while (lightest < heaviest) {
      const std::uint32_t few = misses.tokens[order_[lightest]], many = misses.tokens[order_[heaviest - 1]];
      const Picoseconds computed = times.on_cpu(moment.layer_class, on_cpu + 1, routed + few);
      const Picoseconds copied = link + times.fetch();
      const Picoseconds then = std::max(gpu, copied) + times.on_gpu(moment.layer_class, many);
      // The last one goes where it is done sooner; of others the CPU takes its own while it is free first.
      const bool is_last = lightest + 1 == heaviest;
      if (is_last ? computed <= then : cpu <= link) {
        of_each[order_[lightest++]] = computed_at(moment.cpu);
        cpu = computed;
        ++on_cpu;
        routed += few;
      } else {
        --heaviest;
        link = copied;
        gpu = then;
      }
    }
  }

 private:
  std::vector<std::size_t> order_;
};

}  // namespace

/// HybriMoE (arXiv:2504.05897), for what is missing: experts that are on the GPU are computed there.
MissServiceEntry makespan() {
  MissServiceEntry entry;
  entry.name = "makespan";
  entry.help = "the CPU takes those with the fewest tokens, the link those with the most, as each is free";
  entry.mechanism = "scheduled over CPU, link and GPU";
  entry.make = [](const std::any&) { return std::make_unique<Makespan>(); };
  entry.uses_cpu = true;
  return entry;
}

}  // namespace pregate::sim
