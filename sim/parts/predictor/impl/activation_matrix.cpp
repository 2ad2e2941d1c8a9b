// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "sim/cache/activation_matrices.hpp"
#include "sim/parts/predictor/likeliest.hpp"
#include "sim/parts/predictor/predictor.hpp"
#include "sim/planner/plan.hpp"

namespace pregate::sim {

namespace {

struct Matching {
  int matrices = 128, after = 1, guesses = 0;
};

cache::CacheGeometry layers_of(const ExpertMap& map) {
  return cache_geometry({}, map, std::vector<std::uint8_t>(map.keys()), false);
}

class ByActivationMatrix final : public Predictor {
 public:
  ByActivationMatrix(const Matching& matching, const ExpertMap& map)
      : map_(map),
        given_(matching),
        matrices_(layers_of(map), static_cast<std::uint32_t>(matching.matrices),
                  "policy.lookahead.matrices") {}

  void begin_pass(trace::Phase phase, bool first_of_request) override {
    matrices_.begin_pass({.is_encoder = phase == trace::Phase::encoder,
                          .is_decode = phase == trace::Phase::decode,
                          .first_of_request = first_of_request});
    layers_ = 0;
  }
  void observe(int ordinal, std::span<const ExpertKey> activated,
               std::span<const std::uint32_t> tokens) override {
    cache::GateOutcome outcome;
    outcome.ordinal = static_cast<std::uint32_t>(ordinal);
    outcome.activated = activated;
    outcome.tokens = tokens;
    matrices_.gate(outcome);
    activated_ = activated.size();
    ++layers_;
  }
  std::span<const ExpertKey> predict(int ordinal, int target) override {
    const MoeLayer &from = map_.layers()[static_cast<std::size_t>(ordinal)],
                   &to = map_.layers()[static_cast<std::size_t>(target)];
    scores_.assign(static_cast<std::size_t>(to.experts), 0);
    if (layers_ >= given_.after) {
      for (std::size_t i = 0; i < scores_.size(); ++i)
        scores_[i] = matrices_.probability(to.first_key + static_cast<ExpertKey>(i));
    }
    likeliest_.choose(scores_, to.first_key, guesses_for(activated_, given_.guesses, from.top_k));
    return likeliest_.keys();
  }
  [[nodiscard]] std::span<const double> probabilities() const override { return likeliest_.scores(); }

 private:
  const ExpertMap& map_;
  Matching given_;
  cache::ActivationMatrices matrices_;
  int layers_ = 0;             // whose ids are known in this pass
  std::size_t activated_ = 0;  // of the last of them
  std::vector<double> scores_;
  Likeliest likeliest_;
};

}  // namespace

/// MoE-Infinity (2401.14361).
PredictorEntry by_activation_matrix() {
  PredictorEntry entry;
  entry.name = "activation-matrix";
  entry.help = "those that an earlier request activated whose layers so far are most alike";
  entry.mechanism = "activation-matrix prefetch";
  entry.matches_requests = true;
  Fields<Matching> fields;
  fields.add("matrices", &Matching::matrices, "earlier requests that are remembered",
             pregate::Range{1, 65536, "from 1 to 65536"});
  fields.add("after", &Matching::after, "MoE layers of a pass that must have run",
             pregate::Range{1, 10000, "from 1 to 10000"});
  fields
      .add("guesses", &Matching::guesses, "experts that are named for a token",
           pregate::Range{0, 65536, "from 0 to 65536"})
      .or_zero("as many as it activates");
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& matching, const ExpertMap& map) {
    return std::make_unique<ByActivationMatrix>(std::any_cast<const Matching&>(matching), map);
  };
  entry.most_guesses = [](const std::any& matching, const ExpertMap& map, const TraceScan& scan) {
    return most_guesses_of(std::any_cast<const Matching&>(matching).guesses, map, scan);
  };
  entry.keeps_to_most_guesses = true;
  return entry;
}

}  // namespace pregate::sim
