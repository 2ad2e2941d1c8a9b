// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <stdexcept>

#include "cli/advise/setting.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/cost/memory_model.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/policy/load_policy.hpp"

namespace pregate::cli {

namespace {

/// A policy's one number that takes what GPU memory is left.
struct Knob {
  enum class Kind { none, cache_slots, placed_layers, placed_experts } kind = Kind::none;
  std::int64_t most = 0;
};

Knob knob_of(const PolicySpec& policy, const sim::ExpertMap& map) {
  std::int64_t experts = 0;
  for (const sim::MoeLayer& layer : map.layers()) experts = std::max<std::int64_t>(experts, layer.experts);
  const std::string& placement = policy.placement.kind->name;
  if (policy.cache.capacity.kind != CapacityKind::none)
    return {Knob::Kind::cache_slots,
            policy.cache.scope == CacheScope::layer ? experts : static_cast<std::int64_t>(map.keys())};
  if (placement == "last-layers" || placement == "first-layers")
    return {Knob::Kind::placed_layers, static_cast<std::int64_t>(map.layers().size())};
  if (placement == "popular") return {Knob::Kind::placed_experts, experts};
  return {};
}

PolicySpec turned(PolicySpec policy, const Knob& knob, std::int64_t value) {
  if (knob.kind == Knob::Kind::cache_slots) {
    policy.cache.capacity = {};
    if (value > 0) policy.cache.capacity = {CapacityKind::slots, value, {}, 0};
  } else if (knob.kind != Knob::Kind::none) {
    policy.placement.kind.set("count", std::to_string(value));
  }
  return policy;
}

std::string in_words(const PolicySpec& policy, const Knob& knob, std::int64_t value) {
  switch (knob.kind) {
    case Knob::Kind::none:
      return {};
    case Knob::Kind::cache_slots:
      return "--cache '" + std::to_string(value) + " slots'" +
             (policy.cache.scope == CacheScope::layer ? " a layer" : "");
    case Knob::Kind::placed_layers:
      return std::to_string(value) + " of " + std::to_string(knob.most) + " MoE layers on the GPU";
    case Knob::Kind::placed_experts:
      return std::to_string(value) + " experts a layer on the GPU";
  }
  return {};
}

/// What a mapped file has of the host's memory: all but a tenth, which the system and its programs are taken
/// to hold.
Capacity page_cache(const HostSpec& host, const ModelSpec& model) {
  constexpr double share = 0.9;
  const auto room = static_cast<std::int64_t>(share * static_cast<double>(host.memory.count));
  return {CapacityKind::bytes, 0, std::min(Bytes{room}, model.all_expert_bytes()), 0};
}

/// The largest value in [0, knob.most] that fits; without one, `told` says why not even 0 does.
std::optional<std::int64_t> largest_that_fits(const Run& run, const PolicySpec& policy, const Knob& knob,
                                              const sim::PreparedTrace& prepared, trace::StepSource& source,
                                              sim::SimulationResult& told) {
  const sim::MemoryLimits limits = sim::memory_limits(run.configuration.machine);
  const sim::Topology topology = sim::topology_of(run.configuration.machine);
  const auto fits = [&](std::int64_t value, const sim::MemoryLimits& within) {
    source.rewind();
    return sim::fits_in_memory(run.configuration.model, within, turned(policy, knob, value), prepared,
                               topology, source, run.options.counted, run.options.prompt_chunk);
  };
  // What goes to the GPU may leave the host's memory, so that more on the GPU may fit where less does not.
  sim::MemoryLimits of_gpu = limits;
  if (!limits.is_one_memory) of_gpu.host = std::nullopt;
  std::int64_t fit = 0, too_many = knob.most + 1;
  const bool none_fits = !fits(0, of_gpu);
  while (!none_fits && too_many - fit > 1) {
    const std::int64_t middle = fit + (too_many - fit) / 2;
    (fits(middle, of_gpu) ? fit : too_many) = middle;
  }
  if (!none_fits && fits(fit, limits)) return fit;
  told.topology = topology;
  source.rewind();
  if (!sim::plan_run(run.configuration.model, limits, turned(policy, knob, fit), prepared, source,
                     run.options.counted, told, run.options.prompt_chunk))
    return std::nullopt;
  throw std::logic_error("a plan fits that does not");
}

CommandFacts facts_of(const Run& run, const std::string& model, const sim::PreparedTrace& prepared,
                      const Knob& knob, std::int64_t value) {
  CommandFacts facts{.model = model.ends_with(".gguf") ? model
                              : is_path(model)         ? run.configuration.model.name
                                                       : model,
                     .format = run.configuration.model.expert_format.name,
                     .context = prepared.scan().most_context,
                     .batch = run.configuration.batch,
                     .cpu_layers = 0,
                     .cores = run.configuration.machine.host.cores};
  if (run.configuration.routing)
    facts.context = run.configuration.routing->prompt_tokens + run.configuration.routing->output_tokens;
  if (knob.kind == Knob::Kind::placed_layers) {
    // The option counts layers of the model from the first, those without experts as well.
    const auto on_cpu = static_cast<std::size_t>(knob.most - value);
    facts.cpu_layers = on_cpu == 0 ? 0 : prepared.map().layers()[on_cpu - 1].layer + 1;
  }
  return facts;
}

}  // namespace

double Tried::rate() const {
  if (!runs()) return 0;
  return result.decode_steps > 0 ? result.decode_tokens_per_second() : result.tokens_per_second();
}

Tried left_out(const Way& way, const std::string& why) {
  return {.way = way,
          .knobs = {},
          .command = {},
          .left_out = why.substr(0, why.find('\n')),
          .result = {},
          .confidence = {}};
}

Tried try_way(const Way& way, Run run, const std::string& model) {
  Tried tried = left_out(way, "");
  try {
    PolicySpec policy = load_policy(way.policy, run.set, run.cache_flags);
    if (way.command != nullptr && policy.host_cache.capacity.kind != CapacityKind::none)
      policy.host_cache.capacity = page_cache(run.configuration.machine.host, run.configuration.model);
    const OpenTrace trace = run.reopen();
    const sim::PreparedTrace prepared(trace.source(), run.configuration.model, run.trace_name,
                                      run.options.serving);
    const Knob knob = knob_of(policy, prepared.map());
    const std::optional<std::int64_t> fitting =
        largest_that_fits(run, policy, knob, prepared, trace.source(), tried.result);
    if (!fitting) return tried;
    const std::int64_t value = *fitting;
    if (knob.kind == Knob::Kind::placed_layers && value == knob.most)
      throw InputError("", "all layers fit, which is everything on the GPU");
    policy = turned(policy, knob, value);
    tried.knobs = in_words(policy, knob, value);
    if (way.command != nullptr) tried.command = way.command(facts_of(run, model, prepared, knob, value));
    run.policies = {policy};
    run.policy_names = {way.policy};
    trace.source().rewind();
    tried.result = sim::simulate(run.configuration.model, run.configuration.machine, policy, prepared,
                                 trace.source(), run.options);
    if (tried.result.has_figures()) tried.confidence = confidences_in(run, {&tried.result, 1}).front();
  } catch (const InputError& error) {
    return left_out(way, error.what());
  }
  return tried;
}

const Tried* fastest(const std::vector<Tried>& tried, bool with_command) {
  const Tried* best = nullptr;
  for (const Tried& each : tried) {
    if (!each.runs() || (with_command && each.command.empty())) continue;
    if (best == nullptr || each.rate() > best->rate()) best = &each;
  }
  return best;
}

}  // namespace pregate::cli
