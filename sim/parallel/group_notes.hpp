// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/cost/cost_model.hpp"
#include "sim/parallel/group_run.hpp"
#include "sim/parallel/parallel_spec.hpp"
#include "sim/simulate.hpp"

/// What a result of several GPUs says beside its figures.
namespace pregate::sim {

void say_where_times_come_from(const ParallelSpec& spec, const CostModel& costs, SimulationResult& result);
/// Each GPU counts its own layers and experts, where a policy places so many of them.
void say_who_counts(const ParallelSpec& spec, SimulationResult& result);
/// Rooms, drops and re-balancing, in numbers and in words.
void say_what_spreading_took(const ParallelSpec& spec, const SpreadTotals& totals, SimulationResult& result);
/// `batches` is what the software has under way.
void say_why_one_pass(int batches, const std::string& reason, SimulationResult& result);
/// `may_overlap`: several passes could be under way (parallel.batches), as far as the plans go.
void say_how_passes_follow(const ParallelSpec& spec, const trace::TraceInfo& info, bool may_overlap,
                           SimulationResult& result);

}  // namespace pregate::sim
