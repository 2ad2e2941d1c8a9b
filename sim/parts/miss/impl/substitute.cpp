// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>
#include <vector>

#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

struct Kept {
  int kept = 1;
};

/// In decode passes; whoever is the best of some token is not replaced. A stand-in is an expert of the layer
/// that is on the GPU anyway. Traces hold the gate weights of the chosen experts alone: instead of the one
/// that the gate ranks next, the one that the layer has activated most often so far.
class Substitute final : public MissService {
 public:
  Substitute(const Kept& kept, Service of_kept)
      : kept_(static_cast<std::size_t>(kept.kept)), of_kept_(of_kept) {}

  void decide(const Moment& moment, const Misses& misses, std::span<Serving> of_each) override {
    count(misses.keys, misses.tokens);
    count(misses.there_keys, misses.there_tokens);
    idle_.assign(misses.idle.begin(), misses.idle.end());
    std::stable_sort(idle_.begin(), idle_.end(),
                     [this](ExpertKey a, ExpertKey b) { return used_of(a) > used_of(b); });
    order_.resize(misses.keys.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return misses.better[a] < misses.better[b]; });
    const std::size_t kept = kept_ - std::min(kept_, misses.begun_ahead);
    std::size_t next = 0;
    for (std::size_t rank = 0; rank < order_.size(); ++rank) {
      Serving& serving = of_each[order_[rank]];
      const bool is_best_of_a_token = misses.better[order_[rank]] <= 0;
      if (!moment.decode || rank < kept || is_best_of_a_token || next == idle_.size()) {
        if (of_kept_ == Service::compute) serving = computed_at(moment.cpu);
      } else {
        serving = {.service = Service::substitute, .instead = idle_[next++]};
      }
    }
  }

 private:
  void count(std::span<const ExpertKey> keys, std::span<const std::uint32_t> tokens) {
    for (std::size_t i = 0; i < keys.size(); ++i) used_of(keys[i]) += tokens[i];
  }
  std::uint64_t& used_of(ExpertKey key) {
    if (used_.size() <= key) used_.resize(std::size_t{key} + 1);
    return used_[key];
  }

  std::size_t kept_;
  Service of_kept_;
  std::vector<std::uint64_t> used_;  // by key: tokens
  std::vector<ExpertKey> idle_;
  std::vector<std::size_t> order_;
};

MissServiceEntry substituting(Service of_kept) {
  MissServiceEntry entry;
  Fields<Kept> fields;
  fields.add("kept", &Kept::kept, "misses of a layer, the heaviest first, that are not replaced",
             pregate::Range{0, 1e6, "from 0 to 1000000"});
  entry.parameters = PartParameters(fields);
  entry.make = [of_kept](const std::any& parameters) {
    return std::make_unique<Substitute>(std::any_cast<const Kept&>(parameters), of_kept);
  };
  entry.needs_weights = entry.substitutes = true;
  return entry;
}

}  // namespace

MissServiceEntry substitute() {
  MissServiceEntry entry = substituting(Service::fetch);
  entry.name = "substitute";
  entry.help = "another expert of the layer that is on the GPU is computed in its place; 'kept' are copied";
  entry.mechanism = "misses substituted";
  return entry;
}

/// DAOP (arXiv:2501.10375): where both experts of a token are absent, the lighter one is replaced.
MissServiceEntry cpu_or_substitute() {
  MissServiceEntry entry = substituting(Service::compute);
  entry.name = "cpu-or-substitute";
  entry.help = "as substitute; 'kept', and those that nobody can replace, are computed by the CPU";
  entry.mechanism = "cpu-computed, light misses substituted";
  entry.uses_cpu = true;
  entry.fetches = false;
  return entry;
}

}  // namespace pregate::sim
