// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/group_plan.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "sim/memory_needed.hpp"
#include "sim/parallel/group_checks.hpp"
#include "sim/parallel/group_memory.hpp"
#include "sim/parallel/group_topology.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "sim/platform/machine_topology.hpp"

namespace pregate::sim {

namespace {

std::string name_of(const Rank& rank, const ModelSpec& whole) {
  return "the part of " + whole.name + " on GPU " + std::to_string(rank.number);
}

/// Of the GPU that has least left, and of the hosts the one whose GPUs take most. `part`: the model of a
/// rank, as it is or in other formats.
template <class Part>
MemoryUse memory_of(const PlannedRanks& ranks, Part&& part, const PolicySpec& policy,
                    const Topology& topology, trace::StepSource& source, const SimulationOptions& options) {
  MemoryUse fullest;
  HostsMemory hosts;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    PlannedRank& rank = *ranks[i];
    const MemoryUse use = memory_needed(part(i), rank.limits, policy, rank.prepared, topology, rank.served,
                                        options.counted, options.prompt_chunk);
    source.rewind();
    hosts.add(rank, use);
    if (i == 0 || use.left() < fullest.left()) fullest = use;
  }
  hosts.fill(fullest);
  return fullest;
}

/// The same of their own models.
MemoryUse memory_of(const PlannedRanks& ranks, const PolicySpec& policy, const Topology& topology,
                    trace::StepSource& source, const SimulationOptions& options) {
  const auto own = [&](std::size_t i) -> const ModelSpec& { return ranks[i]->rank.model; };
  return memory_of(ranks, own, policy, topology, source, options);
}

}  // namespace

PlannedRank::PlannedRank(const Rank& of, MemoryLimits within, trace::StepSource& source,
                         const ServingSpec& serving, const ModelSpec& whole, const TraceScan* scanned)
    : rank(of),
      limits(std::move(within)),
      steps(source, this->rank),
      served(steps, serving),
      prepared(scanned != nullptr
                   ? PreparedTrace(this->rank.info, this->rank.model, name_of(rank, whole), *scanned)
                   : PreparedTrace(steps, this->rank.model, name_of(rank, whole), serving)) {}

namespace {

/// How a model is shared.
struct Sharing {
  ModelSpec model;
  ParallelSpec spec;
  std::vector<Bytes> memory;  ///< of GPUs that differ
};

/// Other traces of the model, that policies learn from, are shared as the run's is.
WholeModel whole_of(const std::shared_ptr<const Sharing>& sharing, const ExpertMap& whole, int rank) {
  return {.layers = whole.layers(), .part_of = [sharing, rank](std::unique_ptr<trace::StepSource> source) {
            const std::vector<Rank> ranks =
                make_ranks(sharing->model, source->info(), sharing->spec, sharing->memory);
            return std::make_unique<PartOfTrace>(std::move(source), ranks[static_cast<std::size_t>(rank)]);
          }};
}

}  // namespace

PlannedRanks ranks_of_run(const ModelSpec& model, const MachineSpec& used, const PolicySpec& policy,
                          const PreparedTrace& prepared, trace::StepSource& source, const Topology& topology,
                          const SimulationOptions& options) {
  const ParallelSpec& spec = options.parallel;
  if (!used.others.empty() && (spec.gpus_a_stage() > 1 || is_large(spec))) {
    throw InputError("machine " + printable(used.name),
                     "its GPUs differ, and layers are shared by GPUs alike",
                     "--pp " + std::to_string(spec.gpus()) + " gives each its own layers");
  }
  if (!used.others.empty() && policy.compute.micro_batches > 1) {
    throw InputError("machine " + printable(used.name),
                     "its GPUs differ, and micro-batches are priced on GPUs alike",
                     "--set policy.compute.micro_batches=1");
  }
  std::vector<MemoryLimits> limits;
  std::vector<Bytes> memory;  // of GPUs that differ
  for (int stage = 0; stage < spec.pipeline; ++stage) {
    limits.push_back(
        options.memory.value_or(memory_limits(machine_of_gpu(used, static_cast<std::size_t>(stage)))));
    if (!used.others.empty()) memory.push_back(limits.back().gpu);
  }
  const auto sharing = std::make_shared<const Sharing>(Sharing{model, spec, memory});
  PlannedRanks ranks;
  const TraceScan* const scanned = policy.placement.kind->keeps_all ? &prepared.scan() : nullptr;
  for (const Rank& rank : make_ranks(model, source.info(), spec, memory)) {
    source.rewind();
    ranks.push_back(std::make_unique<PlannedRank>(rank, limits[static_cast<std::size_t>(rank.stage)], source,
                                                  options.serving, model, scanned));
    PlannedRank& planned = *ranks.back();
    planned.host = rank.number / std::max(1, used.gpu.count);
    planned.result.topology = topology;
    planned.prepared.name_layers_from(rank.first_layer);
    planned.prepared.take_part_of(whole_of(sharing, prepared.map(), rank.number));
    // Where tokens follow their experts every GPU caches all contexts.
    if (spec.tokens != TokenExchange::follow) planned.prepared.deal_sequences(spec.data);
  }
  source.rewind();
  return ranks;
}

bool fits_on_gpus(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                  const PreparedTrace& prepared, trace::StepSource& source,
                  const SimulationOptions& options) {
  check_group_policy(policy, options, source.info());
  const MachineSpec used = with_gpus(machine, options.parallel.gpus());
  const Topology topology = topology_to_plan(used, options.parallel);
  const PlannedRanks ranks = ranks_of_run(model, used, policy, prepared, source, topology, options);
  const MemoryUse use = memory_of(ranks, policy, topology, source, options);
  return use.total() <= use.usable;
}

FitsWith what_fits_on_gpus(const ModelSpec& model, const MachineSpec& used, const PolicySpec& policy,
                           const PreparedTrace& prepared, trace::StepSource& source,
                           const PlannedRanks& ranks, const Topology& topology,
                           const SimulationOptions& options) {
  const auto memory = [&](const ModelSpec& changed, const PolicySpec& tried) {
    if (!used.others.empty()) {  // how layers are dealt to unlike GPUs follows from what they weigh
      const PlannedRanks dealt = ranks_of_run(changed, used, tried, prepared, source, topology, options);
      return memory_of(dealt, tried, topology, source, options);
    }
    const std::vector<Rank> parts = make_ranks(changed, source.info(), options.parallel);
    const auto part = [&](std::size_t i) -> const ModelSpec& { return parts[i].model; };
    return memory_of(ranks, part, tried, topology, source, options);
  };
  FitsWith found = what_fits(model, policy, prepared.map(), memory, may_offload(options.parallel));
  found.on_each_gpu = true;
  return found;
}

}  // namespace pregate::sim
