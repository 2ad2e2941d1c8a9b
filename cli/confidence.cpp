// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/confidence.hpp"

#include <algorithm>

#include "cli/run.hpp"

namespace pregate::cli {

sim::Confidences confidences_in(const Run& run, std::span<const sim::SimulationResult> results) {
  static const validation::Evidence evidence(validation::known_residuals());
  const auto& provenance = run.configuration.trace.provenance;
  const auto format = provenance.find("format");
  validation::RunFacts facts{
      .model = run.configuration.model,
      .machine = run.configuration.machine,
      .is_catalogue_machine = run.is_catalogue_machine,
      .machine_changed = run.machine_changed,
      .model_changed = run.model_changed,
      .batch = run.configuration.batch,
      .generated_routing = format != provenance.end() && format->second == "generated"};
  const sim::ParallelSpec& parallel = run.options.parallel;
  facts.several_gpus = !parallel.is_one();
  facts.shares_layers = parallel.tensor > 1 && parallel.gpus() == parallel.tensor;
  facts.software_changed = std::any_of(run.set.begin(), run.set.end(), [](const Override& each) {
    return each.path.starts_with("software.");
  });
  sim::Confidences confidences;
  for (const sim::SimulationResult& result : results) {
    if (result.out_of_memory) {
      confidences.emplace_back();
    } else {
      facts.largest_pass = result.largest_pass;
      confidences.emplace_back(validation::confidence_in(facts, result.policy, evidence));
    }
  }
  return confidences;
}

}  // namespace pregate::cli
