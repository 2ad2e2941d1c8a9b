// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Two GPUs each of which does what one GPU does with its half of the model: of every layer's columns, or of
// the experts, where tokens have the same of either half.
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/parallel/rank.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "tests/sim/group_runs.hpp"
#include "tests/sim/timed_operations.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;

/// GPUs that tell each other anything in no time.
MachineSpec with_instant_exchanges() {
  MachineSpec machine = with_host_memory(1e12);
  machine.peer = {.bandwidth = {1e21}, .latency = {}, .per_copy = {}};
  return machine;
}

/// Both GPUs have all that they use to themselves, but the host's memory, which carries the copies of both.
bool shares_nothing(const PolicySpec& policy) {
  return !policy.miss.service->uses_cpu && !policy.miss.service->uses_near_data &&
         policy.kv_cache.attention == AttentionPlace::gpu &&
         policy.host_cache.capacity.kind == CapacityKind::none;
}

std::optional<PolicySpec> loaded(const std::string& name, const Set& set) {
  try {
    return policy(set, name);
  } catch (const InputError&) {
    return std::nullopt;  // does not go together, also on one GPU
  }
}

void expect_as_one(const SimulationResult& two, const SimulationResult& one) {
  EXPECT_EQ(two.out_of_memory, one.out_of_memory);
  EXPECT_EQ(two.total, one.total);
  EXPECT_EQ(two.decode, one.decode);
  EXPECT_EQ(two.ttft_ms, one.ttft_ms);
  EXPECT_EQ(two.tally.fetches, one.tally.fetches * 2);
  EXPECT_EQ(two.decode_cache.hits, one.decode_cache.hits * 2);
  EXPECT_EQ(two.decode_cache.misses, one.decode_cache.misses * 2);
  EXPECT_EQ(two.gpus[0].misses, two.gpus[1].misses);
}

/// Null: refused on several GPUs.
std::optional<SimulationResult> on_two(const ModelSpec& model, const MachineSpec& machine,
                                       const PolicySpec& policy, const ParallelSpec& spec,
                                       trace::StepSource& source) {
  try {
    return run(model, machine, policy, source, {.parallel = spec});
  } catch (const InputError&) {
    return std::nullopt;
  }
}

TEST(GroupHalves, EveryPolicyOnAPairIsOneGpuWithHalfTheModel) {
  const ParallelSpec spec{.tensor = 2};
  const ModelSpec model = test::tiny_model(4, 16, 3), half = priced_model(model, spec);
  const MachineSpec machine = with_instant_exchanges();
  CostModel costs(half, with_gpus(machine, 2), load_policy("gpu-only"), {});
  ASSERT_EQ(costs.exchange({.exchange = Exchange::all_reduce, .gpus = 2, .bytes = Bytes{1 << 16}}).count, 0);
  const Set waits = {{"compute.synchronized", "micro-batch"}, cut_into(3)};
  const Set on_host = {{"kv_cache.memory", "host"}, cut_into(2)};
  int compared = 0;
  for (const std::string& name : policy_names()) {
    for (const Set& set : {Set{}, Set{cut_into(3)}, waits, on_host, joined(on_host, {waits.front()})}) {
      const std::optional<PolicySpec> tried = loaded(name, set);
      if (!tried || !shares_nothing(*tried)) continue;
      SCOPED_TRACE(name + ", " + std::to_string(set.size()));
      ListSource source = test::random_source(3, 4, 16, 3, 10, 7, 12);
      source.weigh_by_halves(3);
      const auto batches = trace::compose_batches(source, 5);
      const std::optional<SimulationResult> two = on_two(model, machine, *tried, spec, *batches);
      if (!two) continue;
      const SimulationResult one = run(half, machine, *tried, *batches);
      expect_as_one(*two, one);
      EXPECT_EQ(two->memory.total(), one.memory.total());
      EXPECT_EQ(two->memory.host, one.memory.host * 2);
      ++compared;
    }
  }
  EXPECT_GT(compared, 100);
}

/// Every token also has the experts `experts` further on, with the same weights.
ListSource mirrored(ListSource& source, int layers, std::uint16_t experts, std::size_t top_k) {
  ListSource both(test::decoder_info(layers, 2 * experts, static_cast<int>(2 * top_k)));
  trace::Step step;
  for (source.rewind(); source.next(step);) {
    std::vector<std::uint16_t> ids;
    std::vector<float> weights;
    for (std::size_t at = 0; at < step.experts.size(); at += top_k) {
      for (const std::uint16_t further : {std::uint16_t{0}, experts}) {
        for (std::size_t i = at; i < at + top_k; ++i) {
          ids.push_back(static_cast<std::uint16_t>(step.experts[i] + further));
          weights.push_back(step.weights[i]);
        }
      }
    }
    both.add(step.phase, step.tokens, ids, step.first_of_request);
    both.weigh(weights);
  }
  source.rewind();
  return both;
}

class MirroredExperts : public testing::TestWithParam<int> {};

// Arithmetic takes no time and keys and values stay: what GPUs attend to does not matter, but which experts
// are copied, when, and kernels' launches.
TEST_P(MirroredExperts, OnAPairAreOneGpuWithHalfOfThem) {
  const ParallelSpec specs[] = {whole_experts(2),
                                {.data = 2, .experts = ExpertShare::whole},
                                {.data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::route},
                                {.data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::follow}};
  const ParallelSpec& spec = specs[GetParam()];
  MachineSpec machine = with_instant_exchanges();
  machine.gpu.memory_bandwidth = machine.gpu.device_copy_bandwidth = {1e30};
  for (auto& [precision, rate] : machine.gpu.rates) rate.value = 1e30;
  int compared = 0;
  for (const std::string& name : policy_names()) {
    for (const Set& set :
         {Set{}, Set{cut_into(4)}, Set{{"compute.synchronized", "micro-batch"}, cut_into(2)}}) {
      const auto guessing = [&](const char* guesses) {
        const std::optional<PolicySpec> some = loaded(name, joined(set, {{"lookahead.guesses", guesses}}));
        return some ? some : loaded(name, set);  // what guesses no number
      };
      // Of guesses for a token each GPU has the share of its experts.
      const std::optional<PolicySpec> of_one = guessing("2"), of_two = guessing("4");
      if (!of_one || !shares_nothing(*of_one) || of_one->kv_cache.on_host()) continue;
      SCOPED_TRACE(name + ", " + std::to_string(set.size()));
      ListSource half = test::random_source(3, 4, 8, 2, 8, 7, 12);
      half.weigh_by_halves(2);
      ListSource whole = mirrored(half, 4, 8, 2);
      const auto half_batches = trace::compose_batches(half, 8), batches = trace::compose_batches(whole, 8);
      const std::optional<SimulationResult> two =
          on_two(test::tiny_model(4, 16, 4), machine, *of_two, spec, *batches);
      if (!two) continue;
      expect_as_one(*two, run(test::tiny_model(4, 8, 2), machine, *of_one, *half_batches));
      ++compared;
    }
  }
  EXPECT_GT(compared, 60);
}

INSTANTIATE_TEST_SUITE_P(All, MirroredExperts, testing::Range(0, 4));

}  // namespace
}  // namespace pregate::sim
