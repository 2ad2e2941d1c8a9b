// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/several_gpus.hpp"

#include <algorithm>
#include <memory>
#include <tuple>

#include "cli/run.hpp"
#include "models/error.hpp"
#include "runtime/integer_program/open_solver.hpp"
#include "sim/expert_placement/homes_file.hpp"
#include "sim/expert_placement/placement_kinds.hpp"
#include "sim/parallel/parallel_fields.hpp"
#include "sim/parallel/simulate_group.hpp"

namespace pregate::cli {

namespace {

bool is_same(const Node& a, const Node& b) {
  const auto values = [](const Node& node) {
    return std::tuple(node.kind, node.text, node.integer, node.real, node.boolean, node.members.size());
  };
  return values(a) == values(b) && std::equal(a.members.begin(), a.members.end(), b.members.begin(),
                                              [](const Member& one, const Member& other) {
                                                return one.key == other.key &&
                                                       is_same(one.value, other.value);
                                              });
}

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

namespace {

/// The way over GPUs that policies have in their files: all are run on the same GPUs.
const Node& parallel_of_policies(const Run& run) {
  static const Node none;
  const Node* found = &none;
  const PolicySpec* whose = nullptr;
  if (run.configuration.all_policies) return none;
  for (const PolicySpec& policy : run.policies) {
    if (policy.parallel.kind != Node::Kind::table) continue;
    if (whose != nullptr && !is_same(*found, policy.parallel)) {
      throw InputError("--policy",
                       whose->name + " and " + policy.name +
                           " spread models over GPUs in different ways, and a run has one",
                       "one of them at a time, or --gpus, --tp, --pp, --dp, --ep for all");
    }
    found = &policy.parallel;
    whose = &policy;
  }
  return *found;
}

}  // namespace

void resolve_gpus(const Parsed& parsed, Run& run) {
  const sim::ParallelFlags flags = parallel_flags(parsed);
  const bool is_told = flags.gpus || flags.tensor || flags.pipeline || flags.data || flags.expert;
  if (is_told && run.policies.size() > 1) {
    for (const PolicySpec& policy : run.policies) {
      if (policy.parallel.kind == Node::Kind::table)
        run.configuration.notes.push_back(policy.name +
                                          " runs on the GPUs of the command line, as all others "
                                          "here: not as its file says");
    }
  }
  run.options.parallel = sim::load_parallel(
      flags, run.set, is_told && run.policies.size() > 1 ? Node{} : parallel_of_policies(run));
  run.configuration.parallel = run.options.parallel;
  if (!run.options.parallel.is_one())
    run.configuration.machine = sim::with_gpus(run.configuration.machine, run.options.parallel.gpus());
}

void use_usual_batches(Run& run) {
  sim::ParallelSpec& spec = run.options.parallel;
  const std::optional<SoftwareSpec>& software = run.configuration.software;
  const bool is_said =
      spec.batches > 1 || std::any_of(run.set.begin(), run.set.end(),
                                      [](const Override& each) { return each.path == "parallel.batches"; });
  if (!software || is_said || spec.pipeline == 1 || spec.rebalance_every > 0) return;
  const bool is_lock_step = run.options.serving.is_lock_step();
  if (is_lock_step && run.configuration.prompt_in_chunks) spec.batches = software->pipeline.prompt_parts;
  if (!is_lock_step && software->pipeline.batch_a_stage)
    spec.batches = std::min(spec.pipeline, sim::most_batches);
  spec.usual_batches = spec.batches > 1;
  run.configuration.parallel = spec;
}

namespace {

/// By a kind of placement, from the first half of the run's own steps.
void place_by_trace(Run& run) {
  sim::ParallelSpec& spec = run.options.parallel;
  if (!spec.spreads_experts() || spec.gpus_a_stage() == 1)
    throw InputError("parallel.placement", "no experts are spread over GPUs", "--ep N");
  const sim::PlacementKind& kind = sim::placement_kind(spec.placement, "parallel.placement");
  sim::PlacementRequest request;
  request.gpus = spec.gpus_a_stage();
  if (spec.redundant > 0 || spec.rebalance_every > 0) {
    throw InputError("parallel.placement", "EPLB places the experts of this run itself",
                     "parallel.redundant and parallel.rebalance_every of 0");
  }
  if (request.gpus > sim::max_expert_gpus) {
    throw InputError("parallel.placement", "of " + std::to_string(request.gpus) + " GPUs",
                     "at most " + std::to_string(sim::max_expert_gpus));
  }
  const runtime::OpenSolver solver = runtime::open_cbc();
  request.solve = solver.solve;
  if (kind.needs_solver && !request.solve)
    throw InputError("parallel.placement " + kind.name, solver.problem, solver.hint);
  const OpenTrace trace = run.open();
  const sim::ExpertMap map(trace.source().info());
  std::int64_t steps = 0;
  for (trace::Step step; trace.source().next(step);) ++steps;
  trace.source().rewind();
  const sim::RoutingStatistics statistics =
      sim::measure_routing(trace.source(), map, {0, std::max<std::int64_t>(1, steps / 2)}, run.trace_name);
  sim::PlacedExperts placed = sim::place_experts(kind, map, statistics, request);
  run.configuration.notes.push_back("experts are spread over GPUs by " + kind.name + ", from the first " +
                                    std::to_string(steps / 2) + " of " + std::to_string(steps) +
                                    " steps, which are part of the run" +
                                    (placed.how.empty() ? "" : ": " + placed.how));
  spec.homes = std::make_shared<const sim::ExpertHomes>(std::move(placed.homes));
  run.configuration.parallel = spec;
}

}  // namespace

void resolve_expert_homes(const Parsed& parsed, Run& run) {
  if (!run.options.parallel.placement.empty() && !parsed.has("expert-homes")) place_by_trace(run);
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
  spec.homes = std::make_shared<const sim::ExpertHomes>(homes);
  run.configuration.parallel = spec;
  run.configuration.notes.push_back("experts are spread over GPUs as " + printable(path) + " says");
}

}  // namespace pregate::cli
