// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

class Threshold final : public MissService {
 public:
  void decide(const Moment& moment, const Misses& misses, std::span<Serving> of_each) override {
    for (std::size_t i = 0; i < of_each.size(); ++i) {
      const std::uint32_t tokens = misses.tokens[i];
      const Picoseconds fetched =
          moment.estimates->fetch() + moment.estimates->on_gpu(moment.layer_class, tokens);
      if (moment.estimates->on_cpu(moment.layer_class, 1, tokens) <= fetched)
        of_each[i] = computed_at(moment.cpu);
    }
  }
};

}  // namespace

/// Fiddler (arXiv:2402.07033): each expert for itself, as if nothing else were going on.
MissServiceEntry cpu_if_sooner() {
  MissServiceEntry entry;
  entry.name = "threshold";
  entry.help = "the CPU computes it if that takes no longer than copying it and computing it on the GPU";
  entry.mechanism = "by threshold on CPU or GPU";
  entry.make = [](const std::any&) { return std::make_unique<Threshold>(); };
  entry.uses_cpu = true;
  return entry;
}

}  // namespace pregate::sim
