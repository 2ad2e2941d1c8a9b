// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "sim/parts/prefetch/prefetcher.hpp"

namespace pregate::sim {

namespace {

struct ComputedAhead {
  int most = 1;
};

/// Copies nothing: of those that are predicted and not on the GPU, the likeliest ones begin on the CPU when
/// the running layer's own misses are issued, with that layer's activations for input.
class CpuAhead final : public Prefetcher {
 public:
  CpuAhead(const ComputedAhead& ahead, int distance) : most_(ahead.most), distance_(distance) {}
  [[nodiscard]] bool reaches(const LayersAhead& ahead) const override {
    return ahead.has(ahead.ordinal + distance_);
  }
  void look_ahead(const Moment& moment, const LayersAhead&, Predictor& predictor,
                  Announcements& announced) override {
    const int target = moment.ordinal + distance_;
    auto left = static_cast<std::size_t>(most_) * static_cast<std::size_t>(moment.tokens);
    absent_.clear();
    for (const ExpertKey key : predictor.predict(moment.ordinal, target)) {
      if (left == 0) break;
      if (announced.is_brought(key)) continue;
      absent_.push_back(key);
      --left;
    }
    announced.compute_ahead(target, absent_);
  }

 private:
  int most_, distance_;
  std::vector<ExpertKey> absent_;
};

}  // namespace

/// DAOP (arXiv:2501.10375), which starts one of a token's two experts.
PrefetcherEntry cpu_ahead() {
  PrefetcherEntry entry;
  entry.name = "cpu-ahead";
  entry.help = "nothing is copied: the CPU begins with predicted experts that are not on the GPU";
  entry.mechanism = "begun early on the CPU";
  Fields<ComputedAhead> fields;
  fields.add("most", &ComputedAhead::most, "of them, for each token",
             pregate::Range{1, 65536, "from 1 to 65536"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& ahead, int distance) {
    return std::make_unique<CpuAhead>(std::any_cast<const ComputedAhead&>(ahead), distance);
  };
  entry.computes_ahead = true;
  return entry;
}

}  // namespace pregate::sim
