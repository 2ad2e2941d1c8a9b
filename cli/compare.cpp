// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/run.hpp"
#include "models/error.hpp"

namespace pregate::cli {

ExitCode compare(const Arguments& arguments) {
  po::options_description options = run_options();
  options.add_options()("policy",
                        po::value<std::string>()->default_value("gpu-only,on-demand,prefetch-all,pre-gated"),
                        "policies to compare, comma-separated (pregate list policies)");
  const Parsed parsed =
      parse("pregate compare [--trace FILE] [--model NAME] [--machine NAME] [--policy A,B,...]", options,
            arguments);
  if (parsed.help) return 0;
  const Run run = resolve(parsed, parsed.text("policy"));
  const std::vector<sim::SimulationResult> results = run_policies(run);
  const sim::Confidences confidences = confidences_in(run, results);
  write_outputs(parsed, run, results, confidences);
  print(sim::results_table(run.configuration, results, colour_output(), confidences));
  return 0;
}

}  // namespace pregate::cli
