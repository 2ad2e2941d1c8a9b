// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

struct FewTokens {
  int below = 32;
};

class CpuForFewTokens final : public MissService {
 public:
  explicit CpuForFewTokens(const FewTokens& few) : below_(few.below) {}
  void decide(const Moment& moment, const Misses&, std::span<Serving> of_each) override {
    if (moment.tokens < below_) std::fill(of_each.begin(), of_each.end(), computed_at(moment.cpu));
  }

 private:
  int below_;
};

}  // namespace

MissServiceEntry cpu_for_few_tokens() {
  MissServiceEntry entry;
  entry.name = "cpu-for-few-tokens";
  entry.help =
      "the CPU computes it in passes of fewer than 'below' tokens; in others it is copied to the GPU";
  entry.mechanism = "cpu-computed";
  Fields<FewTokens> fields;
  fields.add("below", &FewTokens::below, "tokens of a pass from which its misses are copied",
             pregate::Range{1, 1e9, "from 1 to 1000000000"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& few) {
    return std::make_unique<CpuForFewTokens>(std::any_cast<const FewTokens&>(few));
  };
  entry.uses_cpu = true;
  return entry;
}

}  // namespace pregate::sim
