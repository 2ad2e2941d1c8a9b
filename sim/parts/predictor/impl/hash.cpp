// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/predictor/degraded_oracle.hpp"

namespace pregate::sim {

namespace {

struct Hash {
  double accuracy = 0.95;
  bool exact = true;
  std::uint64_t seed = 1;
};

const Hash& hash_of(const std::any& parameters) { return std::any_cast<const Hash&>(parameters); }

}  // namespace

/// SiDA (2310.18859), ExpertFlow (2410.17954): a small network knows from the tokens alone whom every layer
/// will activate.
PredictorEntry foretold_by_hash() {
  PredictorEntry entry;
  entry.name = "hash";
  entry.help = "from the tokens alone, of all layers before the pass";
  entry.mechanism = "hash prefetch";
  Fields<Hash> fields;
  fields.add("accuracy", &Hash::accuracy, "probability that a token's expert is foretold",
             pregate::Range{0, 1, "from 0 to 1"});
  fields.add("exact", &Hash::exact,
             "the gates choose; false: what was foretold is computed, which changes the model's output");
  fields.add("seed", &Hash::seed, "of its draws");
  entry.parameters = PartParameters(fields);
  // What is computed instead of the gates' choice is foretold for certain.
  entry.make = [](const std::any& parameters, const ExpertMap& map) {
    const Hash& hash = hash_of(parameters);
    const double recall = hash.exact ? hash.accuracy : 1;
    return std::make_unique<DegradedOracle>(GuessQuality{.recall = recall, .seed = hash.seed}, map);
  };
  entry.replaces = [](const std::any& parameters, const ExpertMap& map) {
    const Hash& hash = hash_of(parameters);
    return hash.exact ? nullptr : std::make_unique<GuessedRouting>(hash.accuracy, hash.seed, map);
  };
  entry.is_exact = [](const std::any& parameters) { return hash_of(parameters).exact; };
  entry.is_oracle = entry.knows_pass = entry.keeps_to_most_guesses = true;
  return entry;
}

}  // namespace pregate::sim
