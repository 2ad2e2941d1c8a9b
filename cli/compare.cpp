// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/report/compare_page.hpp"
#include "cli/run.hpp"
#include "cli/without_effect.hpp"
#include "models/error.hpp"

namespace pregate::cli {

ExitCode compare(const Arguments& arguments) {
  po::options_description options = run_options();
  options.add_options()(
      "policy", po::value<std::string>()->default_value("gpu-only,on-demand,prefetch-all,pre-gated"),
      "policies to compare, comma-separated (pregate list policies); all: every one that can be run so");
  options.add_options()("report", po::value<std::string>(),
                        "write a page with charts and all figures to this .html");
  const Parsed parsed =
      parse("pregate compare [--trace FILE] [--model NAME] [--machine NAME] [--policy A,B,...]", options,
            arguments);
  if (parsed.help) return 0;
  Run run = resolve(parsed, parsed.text("policy"));
  std::vector<sim::SimulationResult> results =
      run.configuration.all_policies ? run_permitted_policies(run) : run_policies(run);
  note_without_effect(parsed, run, results);
  const sim::Confidences confidences = confidences_in(run, results);
  std::vector<TextFile> pages;
  if (parsed.has("report"))
    pages.push_back({parsed.text("report"), compare_page(run.configuration, results, confidences)});
  write_outputs(parsed, run, results, confidences, pages);
  const Channel channel = people(parsed);
  show(channel, sim::results_table(run.configuration, results, text_layout(channel, parsed.flag("wide")),
                                   confidences));
  return 0;
}

}  // namespace pregate::cli
