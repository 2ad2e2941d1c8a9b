// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/group_plan.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "sim/memory_needed.hpp"
#include "sim/parallel/group_checks.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "sim/platform/machine_topology.hpp"

namespace pregate::sim {

namespace {

std::string name_of(const Rank& rank, const ModelSpec& whole) {
  return "the part of " + whole.name + " on GPU " + std::to_string(rank.number);
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

PlannedRanks ranks_of_run(const ModelSpec& model, const MachineSpec& used, const PolicySpec& policy,
                          const PreparedTrace& prepared, trace::StepSource& source, const Topology& topology,
                          const SimulationOptions& options) {
  const ParallelSpec& spec = options.parallel;
  if (!used.others.empty() && (spec.gpus_a_stage() > 1 || is_large(spec))) {
    throw InputError("machine " + printable(used.name),
                     "its GPUs differ, and layers are shared by GPUs alike",
                     "--pp " + std::to_string(spec.gpus()) + " gives each its own layers");
  }
  std::vector<MemoryLimits> limits;
  std::vector<Bytes> memory;  // of GPUs that differ
  for (int stage = 0; stage < spec.pipeline; ++stage) {
    limits.push_back(
        options.memory.value_or(memory_limits(machine_of_gpu(used, static_cast<std::size_t>(stage)))));
    if (!used.others.empty()) memory.push_back(limits.back().gpu);
  }
  PlannedRanks ranks;
  const TraceScan* const scanned = policy.placement.kind->keeps_all ? &prepared.scan() : nullptr;
  for (const Rank& rank : make_ranks(model, source.info(), spec, memory)) {
    source.rewind();
    ranks.push_back(std::make_unique<PlannedRank>(rank, limits[static_cast<std::size_t>(rank.stage)], source,
                                                  options.serving, model, scanned));
    PlannedRank& planned = *ranks.back();
    planned.result.topology = topology;
    planned.prepared.name_layers_from(rank.first_layer);
    // Where tokens follow their experts every GPU caches all contexts.
    if (spec.tokens != TokenExchange::follow) planned.prepared.deal_sequences(spec.data);
  }
  source.rewind();
  return ranks;
}

MemoryUse memory_of(const PlannedRanks& ranks, const ModelSpec& model, const PolicySpec& policy,
                    const Topology& topology, trace::StepSource& source, const SimulationOptions& options) {
  std::optional<MemoryUse> fullest;
  Bytes host;
  for (const std::unique_ptr<PlannedRank>& rank : ranks) {
    ModelSpec part = rank->rank.model;
    part.expert_format = model.expert_format;
    part.dense_format = model.dense_format;
    part.embedding_format = model.embedding_format;
    const MemoryUse use = memory_needed(part, rank->limits, policy, rank->prepared, topology, rank->served,
                                        options.counted, options.prompt_chunk);
    source.rewind();
    host += use.host;
    if (!fullest || use.usable.count - use.total().count < fullest->usable.count - fullest->total().count)
      fullest = use;
  }
  fullest->host = host;
  return *fullest;
}

bool fits_on_gpus(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                  const PreparedTrace& prepared, trace::StepSource& source,
                  const SimulationOptions& options) {
  check_group_policy(policy, options, source.info());
  const MachineSpec used = with_gpus(machine, options.parallel.gpus());
  const Topology topology = topology_of(used);
  const PlannedRanks ranks = ranks_of_run(model, used, policy, prepared, source, topology, options);
  const MemoryUse use = memory_of(ranks, model, policy, topology, source, options);
  return use.total() <= use.usable;
}

}  // namespace pregate::sim
