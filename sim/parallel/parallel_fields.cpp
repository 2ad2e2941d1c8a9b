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
constexpr std::array<Choice<sim::TokenExchange>, 3> exchanges{{
    {sim::TokenExchange::gather, "gather", "all tokens to all GPUs, the sums scattered back", "", ""},
    {sim::TokenExchange::route, "route",
     "a token once for each of its experts that is elsewhere (all-to-all)", "", ""},
    {sim::TokenExchange::follow, "follow",
     "as route, but a token stays where its first expert is: all GPUs know all contexts (ExFlow)", "", ""},
}};
constexpr std::array<Choice<sim::AllToAllWay>, 2> ways{{
    {sim::AllToAllWay::hierarchical, "hierarchical", "within each host, then between hosts (DeepSpeed-MoE)",
     "", ""},
    {sim::AllToAllWay::flat, "flat", "each GPU sends to each other one itself", "", ""},
}};

}  // namespace

template <>
std::span<const Choice<sim::AllToAllWay>> choices() {
  return ways;
}
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
    const pregate::Range number{1, most_gpus, "from 1 to 256"};
    Fields<ParallelSpec> fields;
    fields.add("pipeline", &ParallelSpec::pipeline, "stages of layers, one after the other (--pp)", number);
    fields.add("layers", &ParallelSpec::layers,
               "of the stages, e.g. 20,28; empty: as many each, or of GPUs that differ by their memory");
    fields.add("batches", &ParallelSpec::batches,
               "passes under way at once, each in other stages: batches of their own requests, or parts of "
               "a prompt",
               pregate::Range{1, most_batches, "from 1 to 64"});
    fields.add("tensor", &ParallelSpec::tensor, "GPUs that share every layer: heads, columns (--tp)", number);
    fields.add("data", &ParallelSpec::data, "groups of GPUs that attend to requests of their own (--dp)",
               number);
    fields.add("experts", &ParallelSpec::experts, "what a GPU of a stage has of the experts");
    fields.add("spread", &ParallelSpec::spread, "whole experts: which of them");
    fields.add("placement", &ParallelSpec::placement,
               "whole experts: placed by the first half of the trace's steps (a kind of pregate place)");
    fields.add("redundant", &ParallelSpec::redundant,
               "whole experts: copies of a layer's most loaded ones beside them (EPLB)",
               pregate::Range{0, most_redundant, "from 0 to 63"});
    fields
        .add("rebalance_every", &ParallelSpec::rebalance_every,
             "whole experts: passes after which EPLB places them anew",
             pregate::Range{1, 1'000'000'000, "from 1 to 1000000000"})
        .or_zero("never");
    fields
        .add("rebalance_window", &ParallelSpec::rebalance_window,
             "passes by whose tokens it does (rebalance_every)",
             pregate::Range{1, 1'000'000'000, "from 1 to 1000000000"})
        .or_zero("as many as rebalance_every");
    fields.add("tokens", &ParallelSpec::tokens, "data > 1: how tokens come to the experts of other GPUs");
    fields.add("all_to_all", &ParallelSpec::all_to_all, "tokens = route, over several hosts: how they go");
    fields
        .add("capacity_factor", &ParallelSpec::capacity_factor,
             "tokens = route, static gating: an expert's room, as a multiple of its even share",
             pregate::Range{1e-3, 1e6, "from 0.001 to 1000000"})
        .or_zero("dynamic gating: what is routed is sent");
    return fields;
  }();
  return all;
}

namespace {

void apply(const ParallelFlags& flags, ParallelSpec& spec) {
  if (!flags.gpus && !flags.tensor && !flags.pipeline && !flags.data && !flags.expert) return;
  spec.layers.clear();
  spec.tensor = flags.tensor.value_or(1);
  spec.pipeline = flags.pipeline.value_or(1);
  spec.data = flags.data.value_or(1);
  if (flags.expert && *flags.expert > 1) {
    spec.experts = ExpertShare::whole;
    if (!flags.tensor && !flags.data) spec.tensor = *flags.expert;
  }
  if (flags.gpus && !flags.tensor && !flags.pipeline && !flags.data && !flags.expert)
    spec.pipeline = *flags.gpus;
  if (spec.is_one()) spec = {};  // of a policy that has several
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
  if (spec.batches > 1 && spec.pipeline == 1) {
    throw InputError("parallel.batches", "one stage has one pass at a time", "--pp N");
  }
  if (spec.batches > 1 && spec.rebalance_every > 0) {
    throw InputError("parallel.batches",
                     "experts are placed anew between passes, and here one is always under way",
                     "parallel.rebalance_every of 0");
  }
  if (spec.capacity_factor > 0 && !(spec.routes() && spec.spreads_experts())) {
    throw InputError("parallel.capacity_factor",
                     "rooms of experts are simulated where GPUs route tokens of their own requests",
                     "--dp D --ep D --set parallel.tokens=route");
  }
  const bool has_eplb = spec.redundant > 0 || spec.rebalance_every > 0;
  if (has_eplb && !(spec.spreads_experts() && spec.gpus_a_stage() > 1)) {
    throw InputError(spec.redundant > 0 ? "parallel.redundant" : "parallel.rebalance_every",
                     "no whole experts are spread over GPUs", "--ep N");
  }
  if (spec.rebalance_window > 0 && spec.rebalance_every == 0) {
    throw InputError("parallel.rebalance_window", "experts are never placed anew",
                     "--set parallel.rebalance_every=N");
  }
  if (has_eplb && spec.capacity_factor > 0) {
    throw InputError("parallel.capacity_factor", "rooms are of experts that are there once and stay",
                     "parallel.redundant and parallel.rebalance_every of 0");
  }
  if (spec.gpus() > most_gpus) {
    throw InputError("--gpus", product + " are " + std::to_string(spec.gpus()) + " GPUs",
                     "at most " + std::to_string(most_gpus));
  }
}

}  // namespace

ParallelSpec load_parallel(const ParallelFlags& flags, std::span<const Override> overrides,
                           const Node& of_policy) {
  ParallelSpec spec;
  if (of_policy.kind == Node::Kind::table) {
    TableReader own(of_policy, "parallel");
    read_fields(parallel_fields(), spec, own);
    own.finish();
  }
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
  if (spec.batches > 1) text += " (up to " + number(spec.batches) + " passes under way)";
  if (stage == 1) return text;
  if (spec.pipeline > 1) text += " of " + number(stage) + " GPUs each: ";
  if (spec.data > 1) text += number(spec.data) + " groups with requests of their own";
  if (spec.data > 1 && spec.tensor > 1) text += " of ";
  if (spec.tensor > 1) text += number(spec.tensor) + " GPUs that share attention";
  if (spec.spreads_experts()) return text + ", whole experts spread over " + number(stage);
  return text + " and every expert";
}

}  // namespace pregate::sim
