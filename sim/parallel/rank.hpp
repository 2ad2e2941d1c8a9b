// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/model.hpp"
#include "sim/parallel/parallel_spec.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// One GPU's part of a model that several have together, and of what is routed in it. To everything that
/// plans for it, it is a model of its own, with a trace of its own.
struct Rank {
  int number = 0;  ///< 0, 1, ...: of its GPU
  int stage = 0, group = 0, part = 0;
  int first_layer = 0;        ///< of its stage, in the whole model
  std::size_t first_moe = 0;  ///< MoE layers of the trace before its stage
  ModelSpec model;            ///< layers of its stage, its part of each
  trace::TraceInfo info;      ///< of its part of the trace; layers count from its first
  /// Of each of its MoE layers, by expert of the whole layer: its number here, trace::no_expert where the
  /// expert is another GPU's. Empty: every expert has a part here.
  std::vector<std::vector<std::uint16_t>> here;
};

/// Where experts are when a run begins, and their copies: by key of the whole trace, a GPU of a stage. As
/// `spec` says: a table, a rule, or with copies EPLB's packing where nothing was counted yet.
ExpertHomes first_homes(const trace::TraceInfo& info, const ParallelSpec& spec);

/// Ranks in the order of their GPUs: stages one after the other, in a stage groups, in a group parts.
/// InputError for a model or a trace that cannot be spread so: fewer layers than stages or experts than GPUs,
/// what models/shares.hpp refuses, and parts of experts on GPUs that attend to requests of their own.
/// `memory`: of the GPU of each stage, where they differ.
std::vector<Rank> make_ranks(const ModelSpec& model, const trace::TraceInfo& info, const ParallelSpec& spec,
                             std::span<const Bytes> memory = {});

/// Model layers of each stage, [first, second): as spec.layers says; else as equal as they can be, the first
/// ones longer; else, where stages have `memory` that differs, by it as llama.cpp does (--tensor-split):
/// layer i of n is of the first stage that, with those before it, has more than the share i / (n + 1) of all
/// memory; the last place is the head's. InputError for layers that are not the model's, or a stage without
/// any.
std::vector<std::pair<int, int>> stage_layers(int layers, const ParallelSpec& spec,
                                              std::span<const Bytes> memory = {});

/// The model that prices a layer of any rank: heads and columns are a rank's, experts and layers are all
/// there.
ModelSpec priced_model(const ModelSpec& model, const ParallelSpec& spec);

}  // namespace pregate::sim
