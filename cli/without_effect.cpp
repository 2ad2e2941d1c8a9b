// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/without_effect.hpp"

#include <algorithm>
#include <map>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/cost/cost_model.hpp"
#include "sim/policy/load_policy.hpp"

namespace pregate::cli {

namespace {

/// Operations of all policies up to which a run is done again without a key: about a second.
constexpr std::int64_t most_operations = 3'000'000;

/// A machine of more devices has more streams; those that carry nothing are no figure.
bool is_same_work(std::vector<Picoseconds> a, std::vector<Picoseconds> b) {
  for (std::vector<Picoseconds>* busy : {&a, &b}) {
    while (!busy->empty() && busy->back().count == 0) busy->pop_back();
  }
  return a == b;
}

bool is_same(const sim::SimulationResult& a, const sim::SimulationResult& b) {
  const auto counts = [](const sim::CacheResult& c) {
    return std::vector<std::int64_t>{
        c.hits,         c.misses,      c.prefetched,  c.wasted,        c.computed_on_cpu, c.written_back,
        c.drive_reads,  c.foreseeable, c.guesses,     c.right_guesses, c.cancelled,       c.near_data,
        c.read_through, c.dropped,     c.substituted, c.low_hits,      c.low_fetched,     c.computed_ahead};
  };
  return a.out_of_memory == b.out_of_memory && a.memory.peak == b.memory.peak &&
         a.memory.usable == b.memory.usable && a.memory.host == b.memory.host &&
         a.memory.host_usable == b.memory.host_usable && a.memory.drive == b.memory.drive &&
         a.total == b.total && a.decode == b.decode && a.ttft_ms == b.ttft_ms && a.tpot_ms == b.tpot_ms &&
         a.cache_slots == b.cache_slots && a.buffer_slots == b.buffer_slots &&
         a.prefill_slots == b.prefill_slots && counts(a.decode_cache) == counts(b.decode_cache) &&
         counts(a.other_cache) == counts(b.other_cache) && a.tally.operations == b.tally.operations &&
         a.tally.fetched == b.tally.fetched && is_same_work(a.tally.busy, b.tally.busy) &&
         a.path.transfer() == b.path.transfer() && a.path.host() == b.path.host() &&
         a.path.waiting == b.path.waiting;
}

/// The run with all of its overrides but that one; false where it then cannot be resolved.
bool resolve_without(const Parsed& parsed, std::size_t left_out, Run& run) {
  std::vector<Override> set = run.set;
  set.erase(set.begin() + static_cast<std::ptrdiff_t>(left_out));
  try {
    run.configuration.machine = load_machine(parsed.text("machine"), set, parsed.text("host"), run.software);
    for (std::size_t i = 0; i < run.policies.size(); ++i)
      run.policies[i] = load_policy(run.policy_names[i], set, run.cache_flags);
    return true;
  } catch (const InputError&) {
    return false;
  }
}

bool changes_nothing(const Parsed& parsed, const Run& run, std::size_t key,
                     const std::vector<sim::SimulationResult>& results) {
  Run other = run;
  if (!resolve_without(parsed, key, other)) return false;
  other.options.recorded_steps = 0;
  try {
    const std::vector<sim::SimulationResult> without = run_policies(other);
    return std::equal(results.begin(), results.end(), without.begin(), without.end(), is_same);
  } catch (const InputError&) {
    return false;  // e.g. an expert is larger than the GPU without it
  }
}

void note_keys(const Parsed& parsed, Run& run, const std::vector<sim::SimulationResult>& results) {
  std::int64_t operations = 0;
  for (const sim::SimulationResult& result : results) operations += result.tally.operations;
  if (operations == 0) return;  // nothing ran: there are no figures
  for (std::size_t i = 0; i < run.set.size(); ++i) {
    const Override& change = run.set[i];
    const std::string said = "--set " + printable(change.path, 100) + "=" + printable(change.value);
    const bool reads_drive = std::any_of(results.begin(), results.end(), [](const auto& result) {
      return result.policy.host_cache.capacity.kind != CapacityKind::none;
    });
    if (change.path.starts_with("machine.ssd.") && !reads_drive) {
      run.configuration.notes.push_back(
          said + " changes nothing: no policy of this run reads from a drive (policy.host_cache.capacity)");
    } else if (change.path.starts_with("software.") && !run.configuration.software) {
      run.configuration.notes.push_back(said +
                                        " changes nothing: the machine says itself what software costs");
    } else if (change.path == "software.prompt_chunk") {
      if (parsed.has("prompt-chunk"))
        run.configuration.notes.push_back(said + " changes nothing: --prompt-chunk comes before it");
    } else if (change.path == "policy.miss.admission" || change.path.starts_with("serve.") ||
               change.path.starts_with("parallel.")) {
      continue;  // note_policy() says why; what passes there are is resolved with the routing
    } else if (!change.path.starts_with("model.") && operations <= most_operations &&
               changes_nothing(parsed, run, i, results)) {
      run.configuration.notes.push_back(said + " changes nothing here: without it every figure is the same");
    }
  }
}

void note_flags(Run& run) {
  const bool offloads = std::any_of(run.policies.begin(), run.policies.end(), [](const PolicySpec& policy) {
    return !policy.placement.kind->keeps_all;
  });
  if (offloads) return;
  for (const Override& flag : run.cache_flags)
    run.configuration.notes.push_back(flag.option + " changes nothing: no policy of this run offloads");
}

void note_prompt_chunk(const Parsed& parsed, Run& run, const std::vector<sim::SimulationResult>& results) {
  if (!parsed.has("prompt-chunk") || !run.configuration.prompt_in_chunks) return;
  bool ran = false;
  for (const sim::SimulationResult& result : results) {
    if (result.prompt_chunks > 0) return;
    ran = ran || result.has_figures();
  }
  if (!ran) return;  // then nobody knows
  run.configuration.notes.push_back("--prompt-chunk " + std::to_string(run.configuration.prompt_chunk) +
                                    " cuts nothing: no pass over prompts has more tokens");
}

void note_link(Run& run, const std::vector<sim::SimulationResult>& results) {
  const bool copies = std::any_of(results.begin(), results.end(), [](const sim::SimulationResult& result) {
    return result.has_figures() && result.tally.fetches > 0;
  });
  if (!copies) return;
  Bytes expert;
  const ModelSpec& model = run.configuration.model;
  for (const Stack& stack : model.stacks) expert = std::max(expert, model.expert_bytes(stack));
  const MachineSpec& machine = run.configuration.machine;
  const BytesPerSecond link = sim::copy_rate(machine.h2d, expert);
  if (link.value <= machine.host.memory_bandwidth.value) return;
  run.configuration.notes.push_back(
      "the link's " + to_string(link) + " is not reached: copies read host memory, which gives " +
      to_string(machine.host.memory_bandwidth) + " (machine.host.memory_bandwidth)");
}

void note_policy(const Run& run, sim::SimulationResult& result) {
  const PolicySpec& policy = result.policy;
  std::map<int, int> layers;  // by stack
  for (const trace::TraceLayer& layer : run.configuration.trace.layers) ++layers[layer.stack];
  int most = 0;
  for (const auto& [stack, count] : layers) most = std::max(most, count);
  if (policy.lookahead.predictor->predicts() && policy.lookahead.distance >= most) {
    result.notes.push_back("lookahead.distance " + std::to_string(policy.lookahead.distance) +
                           " changes nothing: with " + std::to_string(most) +
                           " MoE layers no layer is that far ahead, so nothing is known early");
  }
  if (!policy.miss.service->uses_cpu && policy.miss.admission == MissAdmission::background) {
    result.notes.emplace_back(
        "miss.admission changes nothing where misses are fetched (miss.service = compute-on-cpu makes the "
        "CPU "
        "compute them)");
  }
}

/// Whether the policies of the run would do the same without that override of theirs.
bool policies_are_same_without(const Run& run, std::size_t key,
                               const std::vector<sim::SimulationResult>& results) {
  Run other = run;
  other.set.erase(other.set.begin() + static_cast<std::ptrdiff_t>(key));
  try {
    for (std::size_t i = 0; i < other.policies.size(); ++i)
      other.policies[i] = load_policy(other.policy_names[i], other.set, other.cache_flags);
    const std::vector<sim::SimulationResult> without = run_policies(other);
    return std::equal(results.begin(), results.end(), without.begin(), without.end(), is_same);
  } catch (const InputError&) {
    return false;
  }
}

}  // namespace

void note_without_effect_on_device(const Parsed& parsed, Run& run,
                                   const std::vector<sim::SimulationResult>& measured) {
  note_prompt_chunk(parsed, run, measured);
  std::int64_t operations = 0;
  for (const sim::SimulationResult& result : measured) operations += result.tally.operations;
  const auto is_of_policy = [](const Override& change) { return change.path.starts_with("policy."); };
  if (operations == 0 || operations > most_operations ||
      std::none_of(run.set.begin(), run.set.end(), is_of_policy))
    return;
  try {
    const std::vector<sim::SimulationResult> simulated = run_policies(run);
    for (std::size_t i = 0; i < run.set.size(); ++i) {
      if (!is_of_policy(run.set[i]) || !policies_are_same_without(run, i, simulated)) continue;
      run.configuration.notes.push_back("--set " + printable(run.set[i].path, 100) + "=" +
                                        printable(run.set[i].value) +
                                        " changes nothing here: the schedule is the same without it");
    }
  } catch (const InputError&) {
    return;  // a device executes what this description of it does not permit
  }
}

void note_without_effect(const Parsed& parsed, Run& run, std::vector<sim::SimulationResult>& results) {
  note_keys(parsed, run, results);
  note_flags(run);
  note_prompt_chunk(parsed, run, results);
  note_link(run, results);
  for (sim::SimulationResult& result : results) {
    if (!result.out_of_memory) note_policy(run, result);
  }
}

}  // namespace pregate::cli
