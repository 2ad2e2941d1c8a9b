// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

class ComputeOnCpu final : public MissService {
 public:
  void decide(const Moment& moment, const Misses&, std::span<Serving> of_each) override {
    std::fill(of_each.begin(), of_each.end(), computed_at(moment.cpu));
  }
};

}  // namespace

MissServiceEntry compute_on_cpu() {
  MissServiceEntry entry;
  entry.name = "compute-on-cpu";
  entry.help = "the CPU computes it where it is";
  entry.mechanism = "cpu-computed";
  entry.make = [](const std::any&) { return std::make_unique<ComputeOnCpu>(); };
  entry.fetches = false;
  entry.uses_cpu = entry.all_on_cpu = true;
  return entry;
}

}  // namespace pregate::sim
