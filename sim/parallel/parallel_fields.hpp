// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>

#include "models/catalog.hpp"
#include "models/fields/choice.hpp"
#include "models/fields/fields.hpp"
#include "sim/parallel/parallel_spec.hpp"

namespace pregate {
template <>
std::span<const Choice<sim::ExpertShare>> choices();
template <>
std::span<const Choice<sim::ExpertSpread>> choices();
template <>
std::span<const Choice<sim::TokenExchange>> choices();
template <>
std::span<const Choice<sim::AllToAllWay>> choices();
}  // namespace pregate

namespace pregate::sim {

/// What it is described by, field by field: keys `parallel.…` of --set.
const Fields<ParallelSpec>& parallel_fields();

/// The usual names of the same: --gpus, --tp, --pp, --dp, --ep.
struct ParallelFlags {
  std::optional<int> gpus = {}, tensor = {}, pipeline = {}, data = {}, expert = {};
};

/// Of the flags and the overrides whose root is `parallel`, which come before them. --gpus alone gives every
/// GPU a stage of layers, with --ep as many parts of attention. InputError for what there is not, cannot be
/// that, or does not agree: GPUs that are not the product of the others, experts spread over other than the
/// GPUs of a stage, more than most_gpus.
/// `of_policy`: table [parallel] of a policy's file, which they both come before; null: none.
ParallelSpec load_parallel(const ParallelFlags& flags, std::span<const Override> overrides,
                           const Node& of_policy = {});

/// "4 GPUs: 2 stages of layers, 2 GPUs each, which share attention, and spread over them the experts".
std::string in_words(const ParallelSpec& spec);

}  // namespace pregate::sim
