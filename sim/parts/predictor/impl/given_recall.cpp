// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Predictors of which only the quality of their guesses is known.
#include "sim/parts/predictor/degraded_oracle.hpp"

namespace pregate::sim {

namespace {

const pregate::Range from_0_to_1{0, 1, "from 0 to 1"};

Fields<GuessQuality> quality_fields() {
  Fields<GuessQuality> fields;
  fields.add(
      "recall", &GuessQuality::recall,
      "probability that an expert which will be activated is announced, rather than another in its place",
      from_0_to_1);
  fields.add("recall_loss", &GuessQuality::loss, "of the recall, with every MoE layer behind the next one",
             from_0_to_1);
  fields
      .add("guesses", &GuessQuality::guesses, "experts that are named for a token",
           pregate::Range{0, 65536, "from 0 to 65536"})
      .or_zero("as many as it activates");
  fields.add("seed", &GuessQuality::seed, "of its draws");
  return fields;
}

PredictorEntry degraded(const GuessQuality& quality) {
  PredictorEntry entry;
  entry.parameters = PartParameters(quality_fields(), quality);
  entry.make = [](const std::any& given, const ExpertMap& map) {
    return std::make_unique<DegradedOracle>(std::any_cast<const GuessQuality&>(given), map);
  };
  entry.is_oracle = true;
  entry.keeps_to_most_guesses = true;
  entry.most_guesses = &DegradedOracle::most_guesses;
  return entry;
}

/// What a trace has recorded of it, instead of a recall that is given.
class GateReuse final : public Oracle {
 public:
  GateReuse(const GuessQuality& quality, const ExpertMap& map) : by_recall_(quality, map) {}
  void begin_pass(trace::Phase phase, bool first_of_request) override {
    by_recall_.begin_pass(phase, first_of_request);
  }
  std::span<const ExpertKey> predict(int ordinal, int target) override {
    if (has_recorded()) return recorded().predicted(ordinal, target);
    by_recall_.show(truth(), nullptr);
    return by_recall_.predict(ordinal, target);
  }

 private:
  DegradedOracle by_recall_;
};

}  // namespace

PredictorEntry given_recall() {
  PredictorEntry entry = degraded({});
  entry.name = "given-recall";
  entry.help = "a guess that is right with the probability 'recall'";
  entry.mechanism = "given-recall";
  entry.former = "predictor";
  return entry;
}

/// Recall of Mixtral's two experts by the gates of the next four layers on the input of this one: .858, then
/// down to .809.
PredictorEntry gate_reuse() {
  PredictorEntry entry = degraded({.recall = 0.858, .loss = 0.0163});
  entry.name = "gate-reuse";
  entry.help =
      "the gate of that layer on the input of this one: as the trace recorded it, else how often that is "
      "right "
      "is given";
  entry.mechanism = "gate-reuse prefetch";
  entry.reads_recorded = true;
  entry.make = [](const std::any& given, const ExpertMap& map) {
    return std::make_unique<GateReuse>(std::any_cast<const GuessQuality&>(given), map);
  };
  entry.most_guesses = [](const std::any& given, const ExpertMap& map, const TraceScan& scan) {
    return scan.predicted_by == "gate-reuse" ? scan.most_predicted
                                             : DegradedOracle::most_guesses(given, map, scan);
  };
  return entry;
}

/// ProMoE (2410.22134): .847 in the mean, .05 less two layers ahead.
PredictorEntry learned() {
  PredictorEntry entry = degraded({.recall = 0.847, .loss = 0.05});
  entry.name = "learned";
  entry.help =
      "a trained network of its own; how often it is right is given, what it costs is lookahead.cost";
  entry.mechanism = "learned prefetch";
  return entry;
}

}  // namespace pregate::sim
