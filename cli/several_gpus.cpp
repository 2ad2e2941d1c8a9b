// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/several_gpus.hpp"

#include <memory>

#include "cli/run.hpp"
#include "models/error.hpp"
#include "sim/expert_placement/homes_file.hpp"
#include "sim/parallel/parallel_fields.hpp"
#include "sim/parallel/simulate_group.hpp"

namespace pregate::cli {

namespace {

sim::ParallelFlags parallel_flags(const Parsed& parsed) {
  const auto number = [&](const char* option) -> std::optional<int> {
    if (!parsed.has(option)) return std::nullopt;
    return static_cast<int>(parsed.integer(option, 1, 1, most_gpus));
  };
  return {.gpus = number("gpus"),
          .tensor = number("tp"),
          .pipeline = number("pp"),
          .data = number("dp"),
          .expert = number("ep")};
}

}  // namespace

po::options_description several_gpus_options() {
  po::options_description options("Several GPUs");
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()                                                                         //
      ("gpus", text(), "GPUs alike: each has its part of the layers, or as the next four say")  //
      ("tp", text(), "GPUs that share every layer (tensor parallel)")                           //
      ("pp", text(), "stages of layers, one after the other (pipeline)")                        //
      ("dp", text(), "groups of GPUs with requests of their own (data-parallel attention)")     //
      ("ep", text(), "whole experts spread over so many GPUs: all of a stage")                  //
      ("expert-homes", text(), "whole experts: which GPU has which (pregate place -o FILE)");
  return options;
}

void resolve_gpus(const Parsed& parsed, Run& run) {
  run.options.parallel = sim::load_parallel(parallel_flags(parsed), run.set);
  run.configuration.parallel = run.options.parallel;
  if (!run.options.parallel.is_one())
    run.configuration.machine = sim::with_gpus(run.configuration.machine, run.options.parallel.gpus());
}

void resolve_expert_homes(const Parsed& parsed, Run& run) {
  if (!run.options.parallel.is_one())
    run.configuration.notes.push_back("on " + sim::in_words(run.options.parallel));
  if (!parsed.has("expert-homes")) return;
  const std::string path = parsed.text("expert-homes");
  sim::ParallelSpec& spec = run.options.parallel;
  if (!spec.spreads_experts() || spec.gpus_a_stage() == 1) {
    throw InputError("--expert-homes", "no experts are spread over GPUs",
                     "--ep N, for the N GPUs of the file");
  }
  const sim::ExpertHomes homes = sim::read_homes(path, run.configuration.trace);
  if (homes.gpus != spec.gpus_a_stage()) {
    throw InputError("--expert-homes",
                     printable(path) + " is of " + std::to_string(homes.gpus) +
                         " GPUs, and experts are spread over " + std::to_string(spec.gpus_a_stage()),
                     "--ep " + std::to_string(homes.gpus) + ", or pregate place --gpus " +
                         std::to_string(spec.gpus_a_stage()));
  }
  if (!homes.copies.empty()) {
    throw InputError("--expert-homes",
                     printable(path) + " has further copies of experts, which no run is simulated with",
                     "a kind of placement without copies (pregate place)");
  }
  spec.homes = std::make_shared<const std::vector<std::uint8_t>>(homes.of_key);
  run.configuration.parallel = spec;
  run.configuration.notes.push_back("experts are spread over GPUs as " + printable(path) + " says");
}

}  // namespace pregate::cli
