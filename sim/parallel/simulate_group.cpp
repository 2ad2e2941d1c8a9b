// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/simulate_group.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "models/error.hpp"
#include "sim/engine/event_executor.hpp"
#include "sim/engine/stream_clock.hpp"
#include "sim/parallel/group_checks.hpp"
#include "sim/parallel/group_memory.hpp"
#include "sim/parallel/group_notes.hpp"
#include "sim/parallel/group_plan.hpp"
#include "sim/parallel/group_run.hpp"
#include "sim/parallel/group_topology.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/run/drive.hpp"
#include "sim/serving_checks.hpp"

namespace pregate::sim {

namespace {

/// What the copies of one GPU carry at a time, those that come and those that go.
double most_carried(const MachineSpec& machine, const PolicySpec& policy, const CostModel& costs) {
  const bool kv = policy.kv_cache.on_host();
  const bool goes = kv || policy.transfer.write_back != WriteBack::none;
  return (kv ? fastest(machine.h2d).value : costs.fetch().rate.value) +
         (goes ? fastest(machine.d2h).value : 0);
}

/// Kernels read over the link that copies are on as well.
bool reads_beside_copies(const Plan& plan) {
  const PolicySpec& policy = plan.policy;
  return plan.offloads() && policy.miss.service->read_rate &&
         (policy.lookahead.predictor->predicts() || plan.cache_swaps);
}

/// Copies to several GPUs that the host's memory cannot carry at once, or that cross each other's links. Or
/// that overtake each other or are taken back: where one GPU waits for a copy the timed engine decides all
/// that would start before it, to other GPUs, too, before it knows what their layers, or the next pass, ask
/// for.
bool shares_resources(const MachineSpec& machine, const ParallelSpec& spec, const PlannedRanks& ranks,
                      const CostModel& costs) {
  const bool offloads =
      std::any_of(ranks.begin(), ranks.end(), [](const auto& rank) { return rank->plan->offloads(); });
  const bool copies = std::any_of(ranks.begin(), ranks.end(),
                                  [](const auto& rank) { return is_drawn_by_itself(*rank->plan); });
  const bool through_host =
      spec.pipeline > 1 && (machine.peer.bandwidth.value <= 0 || (copies && machine.network.hosts > 1));
  const PolicySpec& policy = ranks.front()->plan->policy;
  const auto& kv = policy.kv_cache;
  if (!offloads && !through_host && !kv.on_host()) return false;
  const bool overtake =
      policy.transfer.queue->order() == StreamOrder::priority ||
      std::any_of(ranks.begin(), ranks.end(), [](const auto& rank) { return rank->plan->needs_clock(); });
  if (overtake && spec.gpus() > 1) return true;
  if (machine.gpu.host_memory_traffic.value > 0 || !machine.others.empty()) return true;
  const bool cpu =
      std::any_of(ranks.begin(), ranks.end(), [](const auto& rank) { return rank->plan->computes_on_cpu(); });
  // One GPU's activations go there while it computes another's experts: both take of its memory's bandwidth.
  // Stages need it one after the other.
  const bool share_device =
      policy.miss.service->uses_near_data && machine.gpu.count > 1 && spec.gpus_a_stage() > 1;
  const bool share_link = std::any_of(ranks.begin(), ranks.end(),
                                      [](const auto& rank) { return reads_beside_copies(*rank->plan); });
  if (share_device || share_link) return true;
  // Stages compute one after the other, but copy at the same time.
  const double copied = most_carried(machine, policy, costs) * std::min(spec.gpus(), machine.gpu.count);
  const bool reads = std::any_of(ranks.begin(), ranks.end(),
                                 [](const auto& rank) { return rank->plan->make_host_tier != nullptr; });
  const double read = reads ? machine.ssd.read_bandwidth.value : 0;
  return cpu || kv.attention == AttentionPlace::cpu || through_host ||
         copied + read > machine.host.memory_bandwidth.value;
}

/// What operations on a GPU's streams call its experts: as the whole layer numbers them.
void name_experts(const PlannedRank& planned, const Topology& topology, PlaceId gpu, ExpertNames& names) {
  const ExpertMap& map = planned.prepared.map();
  std::vector<std::int32_t> of_key(map.keys());
  for (std::size_t i = 0; i < map.layers().size(); ++i) {
    const MoeLayer& layer = map.layers()[i];
    for (int expert = 0; expert < layer.experts; ++expert)
      of_key[layer.first_key + static_cast<ExpertKey>(expert)] = expert;
    if (planned.rank.here.empty()) continue;
    const std::vector<std::uint16_t>& here = planned.rank.here[i];
    for (std::size_t expert = 0; expert < here.size(); ++expert) {
      if (here[expert] != trace::no_expert)
        of_key[layer.first_key + here[expert]] = static_cast<std::int32_t>(expert);
    }
  }
  const MemoryId host = topology[topology.cpu_of(gpu)].memory;
  names.set(topology.route(host, topology[gpu].memory).front().stream, of_key);
  names.set(topology.route(topology[gpu].memory, host).front().stream, of_key);
}

Bytes values_of(double count, double element) {
  return {static_cast<std::int64_t>(std::ceil(element * count))};
}

/// Each GPU's part. InputError for what a group does not simulate.
void plan_all(const PlannedRanks& ranks, const PolicySpec& policy, trace::StepSource& source,
              const SimulationOptions& options) {
  for (const std::unique_ptr<PlannedRank>& rank : ranks) {
    rank->plan = plan_part(rank->rank.model, rank->limits, policy, rank->prepared, rank->served,
                           options.counted, rank->result, options.prompt_chunk);
    source.rewind();
  }
}

bool all_may_overlap(const PlannedRanks& ranks) {
  return std::all_of(ranks.begin(), ranks.end(),
                     [](const auto& rank) { return rank->plan && may_overlap(*rank->plan); });
}

/// Their slots follow each other's. Experts of GPUs that are drawn get their names.
std::vector<RankPlan> plans_of(const PlannedRanks& ranks, const Topology& topology, bool are_drawn,
                               ExpertNames& names) {
  std::vector<RankPlan> plans;
  const std::vector<PlaceId> gpus = gpus_of(topology);
  std::int64_t slots = 0;
  for (const std::unique_ptr<PlannedRank>& rank : ranks) {
    Plan& plan = *rank->plan;
    plan.first_slot = static_cast<std::int32_t>(slots);
    slots += plan.cache_slots + plan.buffer_slots + plan.prefill_slots;
    if (plan.low) slots += plan.low->cache_slots + plan.low->buffer_slots;
    plans.push_back({rank->rank, rank->prepared.map(), plan});
    if (are_drawn) name_experts(*rank, topology, gpus[static_cast<std::size_t>(rank->rank.number)], names);
  }
  return plans;
}

Loop loop_of(const std::vector<RankPlan>& plans) {
  const bool needs_clock =
      std::any_of(plans.begin(), plans.end(), [](const RankPlan& rank) { return rank.plan.needs_clock(); });
  return needs_clock ? Loop::closed : Loop::open;
}

GroupSetting setting_of(const ModelSpec& model, const trace::TraceInfo& whole, const ExpertMap& map,
                        const MachineSpec& used, const SimulationOptions& options, CostModel& costs,
                        bool are_alike) {
  const double element = std::max(2.0, model.dense_format.bits_per_parameter / 8);
  GroupSetting setting{.whole = whole,
                       .map = map,
                       .gpus_a_host = used.gpu.count,
                       .token = values_of(model.d_model, element),
                       .logits = values_of(static_cast<double>(model.vocabulary), element),
                       .drawn = Drawn::one_of_alike};
  if (options.recorded_steps > 0 || options.parallel.even_for_one) setting.drawn = Drawn::all;
  if (are_alike && is_large(options.parallel)) {
    setting.drawn = Drawn::slowest_of_alike;
    setting.expert_time = [&costs](int layer_class, std::span<const std::uint32_t> tokens,
                                   std::uint32_t routed, int pass_tokens) {
      return costs.experts(layer_class, tokens, routed, pass_tokens, true).whole();
    };
  }
  return setting;
}

void count_by_gpu(const GroupRun& run, SimulationResult& result) {
  for (std::size_t i = 0; i < result.gpus.size(); ++i) {
    result.gpus[i].routed = run.routed_by_gpu()[i];
    result.gpus[i].hits = run.counts_by_gpu()[i].hits;
    result.gpus[i].misses = run.counts_by_gpu()[i].misses;
  }
}

/// As the policy permits where the software, and nobody else, has several under way: why it does not.
std::string choose_batches(const PlannedRanks& ranks, ParallelSpec& spec) {
  std::string reason;
  for (const std::unique_ptr<PlannedRank>& rank : ranks)
    if (rank->plan && reason.empty()) reason = why_one_pass(*rank->plan);
  if (!spec.usual_batches || spec.batches == 1 || reason.empty()) return "";
  spec.batches = 1;
  return reason;
}

/// Every GPU's part, how passes follow each other, and what lacks memory, into the result. InputError for
/// what a group does not simulate.
PlannedRanks plan_group(const ModelSpec& model, const MachineSpec& used, const PolicySpec& policy,
                        const PreparedTrace& prepared, trace::StepSource& source, SimulationOptions& options,
                        SimulationResult& result) {
  ParallelSpec& spec = options.parallel;
  const int batches = spec.batches;
  std::string reason;  // why those of the software are not under way
  if (spec.usual_batches) reason = why_one_pass(policy, options.serving);
  if (!reason.empty()) spec.batches = 1;
  check_group_policy(policy, options, source.info());
  check_serving(options.serving, policy, source.info());
  check_large_group(spec, options);
  check_spread(spec, source.info());
  result.topology = topology_to_plan(used, spec);
  PlannedRanks ranks = ranks_of_run(model, used, policy, prepared, source, result.topology, options);
  plan_all(ranks, policy, source, options);
  if (reason.empty()) reason = choose_batches(ranks, spec);
  for (const std::unique_ptr<PlannedRank>& rank : ranks)
    if (rank->plan) check_group_plan(*rank->plan, spec, policy);
  result.notes = add_up_memory(ranks, result).result.notes;
  if (!reason.empty()) say_why_one_pass(batches, reason, result);
  say_how_passes_follow(spec, source.info(), all_may_overlap(ranks), result);
  result.out_of_memory_reason = what_lacks_memory(ranks, result.memory, spec, policy.name);
  result.out_of_memory = !result.out_of_memory_reason.empty();
  return ranks;
}

/// Whether the event queue must carry the run out. InputError where the other engine is asked for then.
bool goes_by_events(const SimulationOptions& options, bool shares) {
  const bool needs_events = options.recorded_steps > 0 || shares;
  if (options.engine == Engine::timed && needs_events) {
    throw InputError("--engine",
                     "the timed engine cannot record a schedule, share a memory bus or let copies to several "
                     "GPUs overtake each other or be taken back",
                     "--engine auto or --engine event");
  }
  return options.engine == Engine::event || needs_events;
}

}  // namespace

SimulationResult simulate_group(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                                const PreparedTrace& prepared, trace::StepSource& source,
                                const SimulationOptions& asked) {
  SimulationOptions options = asked;
  const ParallelSpec& spec = options.parallel;
  SimulationResult result;
  result.policy = policy;
  const MachineSpec used = with_gpus(machine, spec.gpus());
  const PlannedRanks ranks = plan_group(model, used, policy, prepared, source, options, result);
  if (result.out_of_memory) {
    result.fits_with =
        what_fits_on_gpus(model, used, policy, prepared, source, ranks, result.topology, options);
    return result;
  }

  const bool are_alike = std::none_of(ranks.begin(), ranks.end(),
                                      [](const auto& rank) { return is_drawn_by_itself(*rank->plan); });
  if (are_alike) check_large_stages(spec, used);
  const StreamOrder order = policy.transfer.queue->order();
  result.topology = are_alike ? topology_of_alike(used, spec, order) : topology_of_each(used, spec, order);
  CostModel costs(priced_model(model, spec), used, policy, options.costs);
  costs.price_streams(result.topology);
  ranks.front()->plan->late_tokens = costs.late_tokens();
  say_where_times_come_from(spec, costs, result);
  say_who_counts(spec, result);
  ExpertNames names(prepared.map());
  const std::vector<RankPlan> plans = plans_of(ranks, result.topology, !(are_alike && is_large(spec)), names);
  const CostEstimates estimates(costs);
  const auto run_on = [&](Executor& executor) {
    executor.observe(of_operations(options.observers));
    const GroupSetting setting =
        setting_of(model, source.info(), prepared.map(), used, options, costs, are_alike);
    GroupRun runner(result.topology, spec, setting, plans, work_shape(costs), &estimates, executor);
    const std::unique_ptr<Batcher> batcher = options.serving.make(source, kv_of(ranks), spec.batches);
    drive_trace(model, prepared, *ranks.front()->plan, layer_class_of(costs), source.info(), *batcher,
                options, runner, result);
    source.rewind();
    count_by_gpu(runner, result);
    say_what_spreading_took(spec, runner.totals(), result);
  };
  if (goes_by_events(options, shares_resources(used, spec, ranks, costs))) {
    EventExecutor executor(result.topology, costs, names, options.recorded_steps);
    executor.record_from(options.first_recorded_step);
    run_on(executor);
    result.schedule = executor.schedule();
    result.timeline = executor.timeline();
  } else {
    StreamClock executor(result.topology, costs, loop_of(plans));
    run_on(executor);
  }
  note_altered_routing(result);
  return result;
}

}  // namespace pregate::sim
