// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/run.hpp"
#include "sim/simulate.hpp"

namespace pregate::cli {

/// What a command line that runs a setting is made of.
struct CommandFacts {
  std::string model;   ///< a name, or the path of a .gguf
  std::string format;  ///< of the routed experts
  int context = 0;     ///< most tokens of a request: prompt and answer
  int batch = 1;       ///< requests at a time
  int cpu_layers = 0;  ///< layers of the model, from the first, whose experts are not on the GPU
  int cores = 0;
};

/// A way to run a model, before it is sized to a machine.
struct Way {
  std::string label;     ///< as people call it
  std::string policy;    ///< of the catalogue
  std::string software;  ///< empty: the usual one, as nobody sells it
  std::string weights;   ///< format of the routed experts; empty: as the user said, or the model's own
  std::string (*command)(const CommandFacts&) = nullptr;  ///< null: research, which nobody can simply run
};

/// The ways that are tried: first those with a command, then every other policy of the catalogue.
/// `model`: nobody's software of these runs one of several stacks. `own_format`: the user chose no other, so
/// that what serves checkpoints serves this.
std::vector<Way> ways(const ModelSpec& model, bool own_format);

/// A way, sized to the machine and simulated.
struct Tried {
  Way way;
  std::string knobs;     ///< what fills the card, in words; empty: there is nothing to choose
  std::string command;   ///< empty: research
  std::string left_out;  ///< why it cannot be run so; then nothing below is set
  sim::SimulationResult result;
  std::optional<sim::Confidence> confidence;

  /// Decode tokens/s where there are answers, else tokens/s; 0 where it does not fit.
  [[nodiscard]] double rate() const;
  [[nodiscard]] bool runs() const { return left_out.empty() && result.has_figures(); }
};

/// The run of a way's software and format, its routing resolved; its policies are not yet those.
using RunOf = std::function<Run(const Way&)>;

/// One that cannot be tried.
Tried left_out(const Way& way, const std::string& why);

/// Sizes the way to the run's machine (as many layers, experts or cache slots as fit) and simulates it.
Tried try_way(const Way& way, Run run, const std::string& model);

/// The fastest of those that run, `with_command` only; null without any.
const Tried* fastest(const std::vector<Tried>& tried, bool with_command);

}  // namespace pregate::cli
