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
  int gpus = 1;                     ///< that the machine has
  sim::ParallelSpec parallel = {};  ///< over those that the model is spread over
  std::vector<int> stages = {};     ///< layers of each, where there are several
};

/// A way to run a model, before it is sized to a machine.
struct Way {
  std::string label;     ///< as people call it
  std::string policy;    ///< of the catalogue
  std::string software;  ///< empty: the usual one, as nobody sells it
  std::string weights;   ///< format of the routed experts; empty: as the user said, or the model's own
  std::string (*command)(const CommandFacts&) = nullptr;  ///< null: research, which nobody can simply run
  sim::ParallelSpec parallel = {};  ///< over which GPUs, how; layers of stages are dealt out when it is sized
};

/// What ways there are depends on this.
struct WaysAsked {
  bool own_format = true;  ///< the user chose no other, so that what serves checkpoints serves this
  int gpus = 1;            ///< of the machine: on several, also ways over all of them
  int batch = 1;           ///< requests at a time: GPUs attend to requests of their own where each has one
};
/// The ways that are tried: first those with a command, then every other policy of the catalogue, on several
/// GPUs as stages of layers. `model`: nobody's software of these runs one of several stacks.
std::vector<Way> ways(const ModelSpec& model, const WaysAsked& asked);
/// Of them those over all of several GPUs that have a command.
std::vector<Way> ways_over_gpus(const WaysAsked& asked, bool is_wide);
/// Weights that people mostly run where the model's own are wider.
inline constexpr const char* usual_weights = "q4_k_m";

/// How layers are dealt out where those at the end have experts on their GPUs and the others none.
struct StagesOfExperts {
  std::vector<int> layers;  ///< of each stage
  int count = 0;            ///< most MoE layers of a stage whose experts are on its GPU: the first stage's
};
/// `on_gpus` of the MoE layers, at least as many as there are stages, those at the end: every later stage has
/// only such, the first one all others beside its own. By `memory` of the stages' GPUs, the first of which
/// has the most; one more to the first stage where they do not divide. `layers`: of the model.
StagesOfExperts stages_of_experts(const sim::ExpertMap& map, int layers, int on_gpus,
                                  const std::vector<Bytes>& memory);

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
