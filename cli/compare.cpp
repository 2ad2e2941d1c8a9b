// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/run.hpp"
#include "cli/without_effect.hpp"
#include "models/error.hpp"

namespace pregate::cli {

ExitCode compare(const Arguments& arguments) {
  po::options_description options = run_options();
  options.add_options()(
      "policy", po::value<std::string>()->default_value("gpu-only,on-demand,prefetch-all,pre-gated"),
      "policies to compare, comma-separated (pregate list policies); all: every one that can be run so");
  const Parsed parsed =
      parse("pregate compare [--trace FILE] [--model NAME] [--machine NAME] [--policy A,B,...]", options,
            arguments);
  if (parsed.help) return 0;
  Run run = resolve(parsed, parsed.text("policy"));
  std::vector<sim::SimulationResult> results =
      run.configuration.all_policies ? run_permitted_policies(run) : run_policies(run);
  note_without_effect(parsed, run, results);
  const sim::Confidences confidences = confidences_in(run, results);
  write_outputs(parsed, run, results, confidences);
  const Channel channel = people(parsed);
  show(channel, sim::results_table(run.configuration, results, text_layout(channel, parsed.flag("wide")),
                                   confidences));
  return 0;
}

}  // namespace pregate::cli
