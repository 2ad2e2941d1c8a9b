// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/activation_matrices.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/cache/lowest_score.hpp"

namespace pregate::cache {

namespace {

struct ActivationMatrixParameters {
  int matrices = 128;
  double least = 1e-6;
};

/// MoE-Infinity's (p + e) (1 - l / L): the probability by matched activation matrices, and early layers
/// before late ones. The source divides by the tokens, which are the same for all and change no order.
class MatchedActivation {
 public:
  explicit MatchedActivation(const CacheGeometry& geometry)
      : matrices_(geometry,
                  static_cast<std::uint32_t>(parameters_of<ActivationMatrixParameters>(geometry).matrices)),
        least_(parameters_of<ActivationMatrixParameters>(geometry).least) {}

  void begin_pass(const PassStart& start) { matrices_.begin_pass(start); }
  void gate(const GateOutcome& outcome) { matrices_.gate(outcome); }
  double operator()(ExpertKey key) const {
    const CachedLayers& layers = matrices_.layers();
    const std::uint32_t ordinal = layers.ordinal_of(key);
    const double early = 1 - static_cast<double>(layers.place(ordinal)) / layers.depth(ordinal);
    return (matrices_.probability(key) + least_) * early;
  }

 private:
  ActivationMatrices matrices_;
  double least_;
};

}  // namespace

void register_activation_matrix(EvictionRegistry& registry) {
  Fields<ActivationMatrixParameters> fields;
  fields.add("matrices", &ActivationMatrixParameters::matrices, "earlier requests that are matched with",
             pregate::Range{1, 1 << 16, "from 1 to 65536"});
  fields.add("least_probability", &ActivationMatrixParameters::least, "added to each probability",
             pregate::Range{0, 1, "from 0 to 1"});
  EvictionEntry& entry = registry.add<LowestScore<MatchedActivation>>(
      "activation-matrix", "evicts who is unlikely by the most similar earlier request, late layers first");
  entry.parameters = sim::PartParameters(fields);
  entry.matches_requests = true;
}

}  // namespace pregate::cache
