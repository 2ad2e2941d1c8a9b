// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "cli/advise/asked.hpp"
#include "cli/advise/setting.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/cost/memory_model.hpp"
#include "sim/parallel/group_plan.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/policy/load_policy.hpp"

namespace pregate::cli {

namespace {

/// A policy's one number that takes what GPU memory is left.
struct Knob {
  enum class Kind { none, cache_slots, placed_layers, first_layers, placed_experts } kind = Kind::none;
  std::int64_t most = 0;
  int layers = 0;             ///< MoE layers of the model
  std::vector<Bytes> memory;  ///< of the GPU of each stage; empty: one GPU
  [[nodiscard]] int stages() const { return std::max(1, static_cast<int>(memory.size())); }
  /// MoE layers whose experts are on GPUs, where the number is of placed layers. Each of several stages has
  /// one at least, or none has any.
  [[nodiscard]] int on_gpus(std::int64_t value) const {
    return value == 0 ? 0 : static_cast<int>(value) + stages() - 1;
  }
};

Knob knob_of(const PolicySpec& policy, const sim::ExpertMap& map, std::vector<Bytes> memory) {
  std::int64_t experts = 0;
  for (const sim::MoeLayer& layer : map.layers()) experts = std::max<std::int64_t>(experts, layer.experts);
  Knob knob;
  knob.layers = static_cast<int>(map.layers().size());
  knob.memory = std::move(memory);
  const std::string& placement = policy.placement.kind->name;
  if (policy.cache.capacity.kind != CapacityKind::none) {
    knob.kind = Knob::Kind::cache_slots;
    knob.most = policy.cache.scope == CacheScope::layer ? experts : static_cast<std::int64_t>(map.keys());
  } else if (placement == "last-layers") {
    knob.kind = Knob::Kind::placed_layers;
    knob.most = std::max(0, knob.layers - knob.stages() + 1);
  } else if (placement == "first-layers") {
    knob.kind = Knob::Kind::first_layers;
    knob.most = (knob.layers + knob.stages() - 1) / knob.stages();
  } else if (placement == "popular") {
    knob.kind = Knob::Kind::placed_experts;
    knob.most = experts;
  }
  return knob;
}

/// The way's policy and layers of stages, with a value of the number.
struct Setting {
  PolicySpec policy;
  sim::ParallelSpec parallel;
};

std::string listed(const std::vector<int>& layers) {
  std::string text;
  for (const int count : layers) text += (text.empty() ? "" : ",") + std::to_string(count);
  return text;
}

/// Stages as llama.cpp deals them out, by the GPUs' memory, the head as one more layer; of others their own
/// way, which is as many each.
std::string usual_stages(const Way& way, const ModelSpec& model, const std::vector<Bytes>& memory) {
  if (memory.empty() || way.software != "llama-cpp") return {};
  std::vector<int> layers;
  for (const auto& [first, end] :
       sim::stage_layers(static_cast<int>(model.stacks.front().layers.size()), way.parallel, memory))
    layers.push_back(end - first);
  return listed(layers);
}

Setting turned(Setting setting, const Knob& knob, std::int64_t value, const ModelSpec& model,
               const sim::ExpertMap& map) {
  if (knob.kind == Knob::Kind::cache_slots) {
    setting.policy.cache.capacity = {};
    if (value > 0) setting.policy.cache.capacity = {CapacityKind::slots, value, {}, 0};
  } else if (knob.kind == Knob::Kind::placed_layers && knob.stages() > 1 && value > 0) {
    const StagesOfExperts stages = stages_of_experts(
        map, static_cast<int>(model.stacks.front().layers.size()), knob.on_gpus(value), knob.memory);
    setting.policy.placement.kind.set("count", std::to_string(stages.count));
    setting.parallel.layers = listed(stages.layers);
  } else if (knob.kind != Knob::Kind::none) {
    setting.policy.placement.kind.set("count", std::to_string(value));
  }
  return setting;
}

std::string in_words(const PolicySpec& policy, const Knob& knob, std::int64_t value) {
  const std::string gpus = knob.stages() > 1 ? "the GPUs" : "the GPU";
  const std::string each = knob.stages() > 1 ? " on each GPU" : "";
  switch (knob.kind) {
    case Knob::Kind::none:
      return {};
    case Knob::Kind::cache_slots:
      return "--cache '" + std::to_string(value) + " slots'" +
             (policy.cache.scope == CacheScope::layer ? " a layer" : each);
    case Knob::Kind::placed_layers:
      return std::to_string(knob.on_gpus(value)) + " of " + std::to_string(knob.layers) + " MoE layers on " +
             gpus;
    case Knob::Kind::first_layers:
      if (knob.stages() > 1) return std::to_string(value) + " MoE layers" + each;
      return std::to_string(value) + " of " + std::to_string(knob.layers) + " MoE layers on " + gpus;
    case Knob::Kind::placed_experts:
      return std::to_string(value) + " experts a layer on " + gpus;
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

/// What is sized: a way on a run's machine.
struct Sized {
  const Run& run;
  const Setting& setting;
  const Knob& knob;
  const sim::PreparedTrace& prepared;
  trace::StepSource& source;
  [[nodiscard]] Setting at(std::int64_t value) const {
    return turned(setting, knob, value, run.configuration.model, prepared.map());
  }
};

/// Whether a value fits the GPUs. What goes there may leave the host's memory, so that more on the GPUs may
/// fit where less does not: whether the host holds the rest is seen when it is simulated.
bool fits(const Sized& sized, std::int64_t value) {
  const auto& [run, setting, knob, prepared, source] = sized;
  const sim::RunConfiguration& configuration = run.configuration;
  const Setting tried = sized.at(value);
  source.rewind();
  if (!tried.parallel.is_one()) {
    sim::SimulationOptions options = run.options;
    options.parallel = tried.parallel;
    return sim::fits_on_gpus(configuration.model, configuration.machine, tried.policy, prepared, source,
                             options);
  }
  sim::MemoryLimits limits = sim::memory_limits(configuration.machine);
  if (!limits.is_one_memory) limits.host = std::nullopt;
  return sim::fits_in_memory(configuration.model, limits, tried.policy, prepared,
                             sim::topology_of(configuration.machine), source, run.options.counted,
                             run.options.prompt_chunk);
}

/// The largest value in [0, knob.most] that fits the GPUs; 0 where none does.
std::int64_t largest_that_fits(const Sized& sized) {
  std::int64_t fit = 0, too_many = sized.knob.most + 1;
  if (!fits(sized, 0)) return 0;
  while (too_many - fit > 1) {
    const std::int64_t middle = fit + (too_many - fit) / 2;
    (fits(sized, middle) ? fit : too_many) = middle;
  }
  return fit;
}

CommandFacts facts_of(const Run& run, const std::string& model, const sim::PreparedTrace& prepared,
                      const Knob& knob, std::int64_t value) {
  const sim::RunConfiguration& configuration = run.configuration;
  CommandFacts facts{.model = model.ends_with(".gguf") ? model
                              : is_path(model)         ? configuration.model.name
                                                       : model,
                     .format = configuration.model.expert_format.name,
                     .context = prepared.scan().most_context,
                     .batch = configuration.batch,
                     .cpu_layers = 0,
                     .cores = configuration.machine.host.cores,
                     .gpus = gpus_of_host(configuration.machine),
                     .parallel = run.options.parallel};
  if (configuration.routing)
    facts.context = configuration.routing->prompt_tokens + configuration.routing->output_tokens;
  if (knob.kind == Knob::Kind::placed_layers) {
    // The option counts layers of the model from the first, those without experts as well.
    const auto on_cpu = static_cast<std::size_t>(knob.layers - knob.on_gpus(value));
    facts.cpu_layers = on_cpu == 0 ? 0 : prepared.map().layers()[on_cpu - 1].layer + 1;
  }
  if (facts.parallel.layers.empty()) return facts;
  for (const auto& [first, end] :
       sim::stage_layers(static_cast<int>(configuration.model.stacks.front().layers.size()), facts.parallel))
    facts.stages.push_back(end - first);
  return facts;
}

/// Usable, of the GPU of each stage.
std::vector<Bytes> memory_of_stages(const MachineSpec& machine, const sim::ParallelSpec& parallel) {
  std::vector<Bytes> memory;
  if (parallel.is_one()) return memory;
  for (int stage = 0; stage < parallel.pipeline; ++stage)
    memory.push_back(sim::memory_limits(sim::machine_of_gpu(machine, static_cast<std::size_t>(stage))).gpu);
  return memory;
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
    sim::RunConfiguration& configuration = run.configuration;
    Setting setting{load_policy(way.policy, run.set, run.cache_flags), run.options.parallel};
    if (way.command != nullptr && setting.policy.host_cache.capacity.kind != CapacityKind::none)
      setting.policy.host_cache.capacity = page_cache(configuration.machine.host, configuration.model);
    const OpenTrace trace = run.reopen();
    const sim::PreparedTrace prepared(trace.source(), configuration.model, run.trace_name,
                                      run.options.serving);
    const std::vector<Bytes> memory = memory_of_stages(configuration.machine, way.parallel);
    setting.parallel.layers = usual_stages(way, configuration.model, memory);
    const Knob knob = knob_of(setting.policy, prepared.map(), memory);
    const Sized sized{run, setting, knob, prepared, trace.source()};
    const std::int64_t value = knob.most > 0 ? largest_that_fits(sized) : 0;
    const bool are_layers = knob.kind == Knob::Kind::placed_layers || knob.kind == Knob::Kind::first_layers;
    if (are_layers && value == knob.most)
      throw InputError("", "all layers fit, which is everything on the GPU");
    const Setting found = sized.at(value);
    tried.knobs = in_words(found.policy, knob, value);
    run.options.parallel = configuration.parallel = found.parallel;
    if (way.command != nullptr) tried.command = way.command(facts_of(run, model, prepared, knob, value));
    run.policies = {found.policy};
    run.policy_names = {way.policy};
    trace.source().rewind();
    tried.result = sim::simulate(configuration.model, configuration.machine, found.policy, prepared,
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
