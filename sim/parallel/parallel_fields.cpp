// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/parallel_fields.hpp"

#include <array>

#include "models/error.hpp"
#include "models/fields/read_fields.hpp"
#include "models/machine.hpp"

namespace pregate {
namespace {

constexpr std::array<Choice<sim::ExpertShare>, 2> shares{{
    {sim::ExpertShare::columns, "columns", "each GPU of a stage has a part of every expert's columns", "",
     ""},
    {sim::ExpertShare::whole, "whole", "each has whole experts, others than the rest (--ep)", "", ""},
}};
constexpr std::array<Choice<sim::ExpertSpread>, 2> spreads{{
    {sim::ExpertSpread::contiguous, "contiguous", "the first n / g of a layer to the first GPU", "", ""},
    {sim::ExpertSpread::round_robin, "round-robin", "expert e to GPU e mod g", "", ""},
}};
constexpr std::array<Choice<sim::TokenExchange>, 2> exchanges{{
    {sim::TokenExchange::gather, "gather", "all tokens to all GPUs, the sums scattered back", "", ""},
    {sim::TokenExchange::route, "route",
     "a token once for each of its experts that is elsewhere (all-to-all)", "", ""},
}};

}  // namespace

template <>
std::span<const Choice<sim::ExpertShare>> choices() {
  return shares;
}
template <>
std::span<const Choice<sim::ExpertSpread>> choices() {
  return spreads;
}
template <>
std::span<const Choice<sim::TokenExchange>> choices() {
  return exchanges;
}

}  // namespace pregate

namespace pregate::sim {

const Fields<ParallelSpec>& parallel_fields() {
  static const Fields<ParallelSpec> all = [] {
    const pregate::Range number{1, most_gpus, "from 1 to 8"};
    Fields<ParallelSpec> fields;
    fields.add("pipeline", &ParallelSpec::pipeline, "stages of layers, one after the other (--pp)", number);
    fields.add("tensor", &ParallelSpec::tensor, "GPUs that share every layer: heads, columns (--tp)", number);
    fields.add("data", &ParallelSpec::data, "groups of GPUs that attend to requests of their own (--dp)",
               number);
    fields.add("experts", &ParallelSpec::experts, "what a GPU of a stage has of the experts");
    fields.add("spread", &ParallelSpec::spread, "whole experts: which of them");
    fields.add("tokens", &ParallelSpec::tokens, "data > 1: how tokens come to the experts of other GPUs");
    return fields;
  }();
  return all;
}

namespace {

void apply(const ParallelFlags& flags, ParallelSpec& spec) {
  spec.tensor = flags.tensor.value_or(1);
  spec.pipeline = flags.pipeline.value_or(1);
  spec.data = flags.data.value_or(1);
  if (flags.expert && *flags.expert > 1) {
    spec.experts = ExpertShare::whole;
    if (!flags.tensor && !flags.data) spec.tensor = *flags.expert;
  }
  if (flags.gpus && !flags.tensor && !flags.pipeline && !flags.data && !flags.expert)
    spec.pipeline = *flags.gpus;
}

void check(const ParallelFlags& flags, const ParallelSpec& spec) {
  const std::string product = std::to_string(spec.pipeline) + " stages x " + std::to_string(spec.data) +
                              " groups x " + std::to_string(spec.tensor) + " parts";
  if (flags.gpus && *flags.gpus != spec.gpus()) {
    throw InputError("--gpus", std::to_string(*flags.gpus) + " is not " + product,
                     "leave --gpus out, or one of --tp, --pp, --dp");
  }
  if (flags.expert && *flags.expert != 1 && *flags.expert != spec.gpus_a_stage()) {
    throw InputError("--ep",
                     "experts are spread over all GPUs of a stage: " + std::to_string(spec.gpus_a_stage()),
                     "--ep " + std::to_string(spec.gpus_a_stage()));
  }
  if (spec.gpus() > most_gpus) {
    throw InputError("--gpus", product + " are " + std::to_string(spec.gpus()) + " GPUs",
                     "at most " + std::to_string(most_gpus));
  }
}

}  // namespace

ParallelSpec load_parallel(const ParallelFlags& flags, std::span<const Override> overrides) {
  ParallelSpec spec;
  apply(flags, spec);
  const Node root = settings_under("parallel.", overrides);
  TableReader top(root, "");
  read_fields(parallel_fields(), spec, top);
  top.finish();
  check(flags, spec);
  return spec;
}

std::string in_words(const ParallelSpec& spec) {
  const auto number = [](int count) { return std::to_string(count); };
  const int stage = spec.gpus_a_stage();
  std::string text = number(spec.gpus()) + " GPUs: ";
  if (spec.pipeline > 1) text += number(spec.pipeline) + " stages of layers";
  if (stage == 1) return text;
  if (spec.pipeline > 1) text += " of " + number(stage) + " GPUs each: ";
  if (spec.data > 1) text += number(spec.data) + " groups with requests of their own";
  if (spec.data > 1 && spec.tensor > 1) text += " of ";
  if (spec.tensor > 1) text += number(spec.tensor) + " GPUs that share attention";
  if (spec.spreads_experts()) return text + ", whole experts spread over " + number(stage);
  return text + " and every expert";
}

}  // namespace pregate::sim
