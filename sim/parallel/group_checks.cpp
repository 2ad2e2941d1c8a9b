// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/group_checks.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "sim/parallel/simulate_group.hpp"

namespace pregate::sim {

namespace {

/// Stages whose hosts have ways of their own in a topology.
constexpr int most_large_stages = 4;

/// Experts have copies, are placed anew or have rooms.
bool moves_experts_about(const ParallelSpec& spec) {
  return spec.has_copies() || spec.rebalance_every > 0 || spec.capacity_factor > 0;
}

bool evicts_by_the_future(const PolicySpec& policy) {
  return policy.cache.capacity.kind != CapacityKind::none &&
         cache::eviction_registry().find(policy.cache.eviction, "--eviction").needs_future;
}

/// Beside the GPUs.
bool computes_elsewhere(const PolicySpec& policy) {
  return policy.miss.service->uses_cpu || policy.miss.service->uses_near_data;
}

const char* who_computes(const PolicySpec& policy) {
  return policy.miss.service->uses_near_data ? "a near-data device" : "the CPU";
}

/// All GPUs cut a pass alike.
void check_micro_batches(const PolicySpec& policy, const ParallelSpec& spec) {
  if (policy.compute.micro_batches == 1 || !moves_experts_about(spec)) return;
  throw InputError(
      "policy " + policy.name,
      "it cuts passes into micro-batches, which is simulated where each expert is on one GPU and "
      "stays there",
      "parallel.redundant, parallel.rebalance_every and parallel.capacity_factor of 0, or --set "
      "policy.compute.micro_batches=1");
}

void check_host_kv(const PolicySpec& policy, const ParallelSpec& spec) {
  if (!policy.kv_cache.on_host()) return;
  const auto refuse = [&](const std::string& where, const std::string& hint) {
    throw InputError("policy " + policy.name,
                     "its KV cache is in the host's memory, which is simulated where " + where,
                     hint + ", or --set policy.kv_cache.memory=gpu");
  };
  if (spec.batches > 1) refuse("one pass is under way at a time", "parallel.batches 1");
  if (spec.data > 1 && spec.tokens == TokenExchange::follow)
    refuse("each request is attended to by one group of GPUs", "parallel.tokens = route");
}

/// What is decided by what a token's gate gave all its experts, where a GPU has but some of them; and what
/// each GPU would hold of the host's memory, where what is said is for one.
void check_services(const PolicySpec& policy, const ParallelSpec& spec) {
  if (policy.miss.service->needs_weights && spec.spreads_experts() && spec.gpus_a_stage() > 1) {
    throw InputError("policy " + policy.name,
                     "miss.service = '" + policy.miss.service->name +
                         "' weighs an expert against the others of its token, which are on other GPUs",
                     "--tp without --ep: each GPU has a part of every expert");
  }
  const CapacityKind held = policy.host_cache.capacity.kind;
  if (spec.gpus() > 1 && held != CapacityKind::none && held != CapacityKind::share) {
    throw InputError("policy.host_cache.capacity",
                     "of the experts of each GPU the host's memory holds a share",
                     "e.g. --set policy.host_cache.capacity=50%, or none: it holds them all");
  }
}

}  // namespace

bool is_large(const ParallelSpec& spec) { return spec.gpus() > most_gpus_a_host || spec.even_for_few; }

void check_group_policy(const PolicySpec& policy, const SimulationOptions& options,
                        const trace::TraceInfo& info) {
  const ServingSpec& serving = options.serving;
  const auto refuse = [&](const std::string& what, const std::string& hint) {
    throw InputError("policy " + policy.name, what + ", which is simulated on one GPU only", hint);
  };
  check_services(policy, options.parallel);
  check_micro_batches(policy, options.parallel);
  check_host_kv(policy, options.parallel);
  if (policy.formats.cached < 1)
    refuse("its cache holds a part of each expert", "--set policy.formats.cached=1");
  if (options.parallel.data > 1 && serving.paged_kv()) {
    throw InputError("serve.kv_block",
                     "KV memory that may run out is simulated where all GPUs attend to the same requests",
                     "--tp in place of --dp, or serve.kv_block 0");
  }
  if (options.parallel.batches > 1 && serving.paged_kv()) {
    throw InputError("serve.kv_block",
                     "KV memory that may run out is simulated where one pass is under way at a time",
                     "parallel.batches 1, or serve.kv_block 0");
  }
  if (policy.lookahead.predictor->replaces)
    refuse("its predictor replaces the routing", "a predictor that only foresees it");
  if (policy.lookahead.predictor->predicts() && policy.prefetch.prefetcher->computes_ahead)
    refuse("the CPU begins with predicted experts", "another prefetch.kind");
  if (policy.lookahead.predictor->predicts() && policy.prefetch.prefetcher->crosses_steps)
    refuse("copies for a step begin in the one before", "another prefetch.kind");
  if (policy.lookahead.predictor->needs_future)
    refuse("its predictor knows the future", "another (pregate list parts)");
  const bool known_before = !serving.depends_on_time(info) && options.parallel.batches == 1;
  if (!known_before && evicts_by_the_future(policy))
    refuse("its eviction knows the future", "choose another (pregate list evictions)");
}

void check_large_group(const ParallelSpec& spec, const SimulationOptions& options) {
  if (!is_large(spec) || options.recorded_steps == 0) return;
  throw InputError("--gpus", "the schedule of " + std::to_string(spec.gpus()) + " GPUs is not written out",
                   "at most 8");
}

void check_large_stages(const ParallelSpec& spec, const MachineSpec& used) {
  if (!is_large(spec)) return;
  const std::string gpus = std::to_string(spec.gpus()) + " GPUs";
  if (spec.pipeline > most_large_stages) {
    throw InputError("--pp", std::to_string(spec.pipeline) + " stages of " + gpus,
                     "at most " + std::to_string(most_large_stages) +
                         " on more than 8 GPUs where all experts stay on them");
  }
  if (spec.pipeline > 1 && used.network.hosts > 1 && spec.gpus_a_stage() % used.gpu.count != 0) {
    throw InputError("--pp",
                     "of " + gpus + " a stage has " + std::to_string(spec.gpus_a_stage()) +
                         ", which are not whole hosts of " + std::to_string(used.gpu.count),
                     "stages of whole hosts");
  }
}

void check_spread(const ParallelSpec& spec, const trace::TraceInfo& info) {
  if (!spec.placement.empty() && !spec.homes) {
    throw InputError("parallel.placement", "nobody has placed the experts (ParallelSpec::homes)",
                     "pregate simulate does, or pregate place with --expert-homes");
  }
  if (spec.capacity_factor > 0 &&
      std::any_of(info.layers.begin(), info.layers.end(), [&](const trace::TraceLayer& layer) {
        return layer.experts != info.layers.front().experts || layer.top_k != info.layers.front().top_k;
      })) {
    throw InputError("parallel.capacity_factor",
                     "layers have different numbers of experts, or of experts a token",
                     "parallel.capacity_factor 0");
  }
  if (spec.homes) {
    const std::vector<ExpertCopy>& copies = spec.homes->copies;  // by key
    for (std::size_t i = most_redundant; i < copies.size(); ++i) {
      if (copies[i].key != copies[i - most_redundant].key) continue;
      throw InputError("--expert-homes",
                       "an expert has more than " + std::to_string(most_redundant) + " copies",
                       "fewer of them (pregate place --redundant)");
    }
  }
  if (spec.tokens == TokenExchange::follow &&
      (spec.pipeline > 1 || spec.has_copies() || spec.rebalance_every > 0 || spec.capacity_factor > 0)) {
    throw InputError("parallel.tokens",
                     "tokens follow their experts in one stage, to experts that have no copies and stay",
                     "parallel.tokens = route");
  }
  if (!spec.homes || spec.rebalance_every + spec.redundant == 0) return;
  throw InputError("--expert-homes", "EPLB places the experts of this run itself",
                   "parallel.redundant and parallel.rebalance_every of 0");
}

bool may_offload(const ParallelSpec& spec) { return !moves_experts_about(spec); }

bool moves_experts(const Plan& plan) {
  return plan.offloads() || plan.policy.lookahead.predictor->predicts();
}

bool is_drawn_by_itself(const Plan& plan) {
  return moves_experts(plan) || plan.policy.kv_cache.on_host() || plan.policy.compute.micro_batches > 1;
}

std::string why_one_pass(const PolicySpec& policy, const ServingSpec& serving) {
  if (policy.kv_cache.on_host()) return "its KV cache is in the host's memory";
  if (serving.paged_kv()) return "KV memory may run out";
  return evicts_by_the_future(policy) ? "its eviction knows the future" : "";
}

std::string why_one_pass(const Plan& plan) {
  if (plan.needs_clock()) return "it asks what time it is";
  return computes_elsewhere(plan.policy) ? std::string(who_computes(plan.policy)) + " computes experts" : "";
}

bool may_overlap(const Plan& plan) { return why_one_pass(plan).empty(); }

void check_group_plan(const Plan& plan, const ParallelSpec& spec, const PolicySpec& policy) {
  if (spec.batches > 1 && plan.needs_clock()) {
    throw InputError("policy " + policy.name,
                     "it asks what time it is, which is simulated where one pass is under way at a time",
                     "parallel.batches 1, or another policy");
  }
  if (spec.batches > 1 && computes_elsewhere(policy)) {
    throw InputError("policy " + policy.name,
                     std::string(who_computes(policy)) +
                         " computes experts, which is simulated where one pass is under way at a time",
                     "parallel.batches 1 (llama.cpp, too, has one then)");
  }
  if (moves_experts(plan) && moves_experts_about(spec)) {
    throw InputError("policy " + policy.name,
                     "further copies of experts, placing them anew and rooms of experts (static gating) are "
                     "simulated where all experts stay on their GPUs",
                     "--policy gpu-only");
  }
  if (!plan.home.empty()) {
    throw InputError(
        "policy " + policy.name,
        "its placement puts experts on GPUs beside the one that runs the layers, and here all run layers",
        "--ep spreads experts over the GPUs of a stage");
  }
}

MachineSpec with_gpus(MachineSpec machine, int gpus) {
  if (!machine.others.empty()) {
    const int has = static_cast<int>(machine.others.size()) + 1;
    if (gpus > has || machine.network.hosts > 1) {
      throw InputError("--gpus",
                       std::to_string(gpus) + " GPUs, where machine " + printable(machine.name) + " has " +
                           std::to_string(has) + " of different kinds (gpu.others)",
                       "at most so many, in one host");
    }
    machine.gpu.count = gpus;
    return machine;
  }
  const int has = machine.gpu.count * machine.network.hosts;
  if (has >= gpus) {  // of as many hosts as they take
    machine.network.hosts =
        std::min(machine.network.hosts, (gpus + machine.gpu.count - 1) / machine.gpu.count);
    return machine;
  }
  if (gpus > most_gpus_a_host && gpus <= most_gpus && machine.network.hosts == 1) {
    const int hosts = (gpus + most_gpus_a_host - 1) / most_gpus_a_host;
    throw InputError("--gpus",
                     std::to_string(gpus) + " GPUs are in several hosts, and machine " +
                         printable(machine.name) + " has one",
                     "--set machine.gpu.count=8 --set machine.network.hosts=" + std::to_string(hosts) +
                         " --set machine.network.bandwidth=50GB/s --set machine.network.latency=5us");
  }
  if (machine.network.hosts > 1) {
    throw InputError("--gpus",
                     "machine " + printable(machine.name) + " has " + std::to_string(has) + " GPUs in " +
                         std::to_string(machine.network.hosts) + " hosts",
                     "--set machine.gpu.count=N for more in each");
  }
  if (gpus > most_gpus) {
    throw InputError("--gpus", std::to_string(gpus) + " GPUs", "at most " + std::to_string(most_gpus));
  }
  machine.gpu.count = gpus;
  return machine;
}

}  // namespace pregate::sim
