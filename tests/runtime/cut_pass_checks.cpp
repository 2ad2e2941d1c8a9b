// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Passes that are parts of others: prompts in chunks, and layers that are computed in micro-batches.
#include <gtest/gtest.h>

#include "runtime/device_error.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/serve/prompt_chunks.hpp"
#include "tests/runtime/execute_checks.hpp"
#include "traces/reader.hpp"

namespace pregate::runtime::test {

using pregate::test::random_source;

void check_prompts_in_chunks(const std::string& device) {
  const ModelSpec model = narrow_model(2, 8, 2);
  ListSource source = random_source(5, 2, 8, 2, 3, 11, 3);
  for (const int batch : {1, 3}) {
    const auto batched = trace::compose_batches(source, batch);
    for (const int chunk : {4, 7}) {
      const auto chunked = sim::cut_prompts(*batched, chunk);
      for (const char* name : {"on-demand-cache", "pre-gated", "experts-on-cpu"}) {
        SCOPED_TRACE(std::string(name) + ", batch " + std::to_string(batch) + ", chunk " +
                     std::to_string(chunk));
        const LiveRun live = check_run(device, model, policy_of(name, "25%"), *chunked);
        // 11 tokens each; of a batch as many of each sequence as the chunk has room for.
        const int share = chunk / batch, passes = (11 + share - 1) / share;
        EXPECT_EQ(live.execution.result.prompt_chunks, passes * (3 / batch));
        EXPECT_EQ(live.outputs.size(), static_cast<std::size_t>((passes + 3) * (3 / batch)));
      }
    }
  }
}

void check_micro_batches(const std::string& device) {
  const ModelSpec model = narrow_model(2, 8, 2);
  ListSource source = random_source(5, 2, 8, 2, 5, 3, 2);
  const auto batched = trace::compose_batches(source, 5);
  const auto expected = reference(device, model, *batched);
  for (const char* name : {"gpu-only", "on-demand-cache", "prefetch-all", "klotski"}) {
    for (const int parts : {2, 9}) {  // 9: as many as there are sequences
      for (const ExpertCompute compute : {ExpertCompute::grouped, ExpertCompute::per_expert}) {
        PolicySpec policy = policy_of(name, "25%");
        policy.kv_cache = {};  // Klotski's is in the host's memory, which no device attends to
        policy.compute.synchronized = Synchronized::never;
        policy.compute.micro_batches = parts;
        policy.compute.experts = compute;
        SCOPED_TRACE(std::string(name) + " in " + std::to_string(parts));
        const LiveRun live = check_run(device, model, policy, *batched);
        EXPECT_LT(error_of(live, expected), tolerance);  // the parts come to what the whole does
        policy.compute.micro_batches = 1;
        EXPECT_GT(live.execution.result.tally.operations,
                  run_live(device, model, policy, *batched).execution.result.tally.operations);
      }
    }
  }
}

void check_that_late_copies_for_micro_batches_are_seen(const std::string& device) {
  // No expert is used twice, save by both parts of the first step's first layer.
  const ModelSpec model = narrow_model(2, 8, 1);
  ListSource source(pregate::test::decoder_info(2, 8, 1));
  source.add(trace::Phase::decode, 2, {0, 0, 7, 6}, true, {}, 0, 2);
  source.add(trace::Phase::decode, 2, {1, 2, 5, 4}, false, {}, 0, 2);
  source.add(trace::Phase::decode, 2, {3, 4, 3, 2}, false, {}, 0, 2);
  const auto expected = reference(device, model, source);
  for (const char* name : {"on-demand", "pre-gated"}) {
    for (const ExpertCompute compute : {ExpertCompute::grouped, ExpertCompute::per_expert}) {
      PolicySpec policy = policy_of(name, "0");
      policy.compute.micro_batches = 2;
      policy.compute.experts = compute;
      EXPECT_EQ(check_run(device, model, policy, source).execution.result.tally.fetches, 11) << name;
      for (std::int64_t at = 0; at < 11; ++at) {
        try {
          const LiveRun late = run_live(device, model, policy, source,
                                        {.fault = {.kind = PlantedFault::Kind::late_copy, .at = at}});
          EXPECT_FALSE(error_of(late, expected) <= 1e-3) << name << ", fetch " << at;
        } catch (const DeviceError&) {  // it reached a gate
        }
      }
    }
  }
}

void check_micro_batches_in_waves(const std::string& device) {
  // More experts than slots: each wave serves all parts before the next one is copied.
  const ModelSpec model = narrow_model(2, 16, 4);
  ListSource source = random_source(6, 2, 16, 4, 4, 12, 2);
  const auto batched = trace::compose_batches(source, 4);
  PolicySpec policy = policy_of("on-demand-cache", "10%");
  policy.compute.micro_batches = 3;
  const sim::PreparedTrace prepared(*batched, model, "test");
  const sim::MemoryUse whole = run_live(device, model, policy, *batched).execution.result.memory;
  const Bytes little = whole.total() - narrow_expert * 6;
  const LiveRun live = run_live(device, model, policy, *batched, {.recorded_steps = 100, .memory = little});
  ASSERT_FALSE(live.execution.result.out_of_memory) << live.execution.result.out_of_memory_reason;
  EXPECT_LT(live.execution.result.memory.peak[static_cast<std::size_t>(sim::MemoryPurpose::prefill_buffers)],
            whole.peak[static_cast<std::size_t>(sim::MemoryPurpose::prefill_buffers)])
      << "it was to run in waves";
  sim::SimulationOptions options{.costs = {.attention_scores = false}, .recorded_steps = 100};
  options.memory = sim::memory_limits(pregate::test::tiny_machine());
  options.memory->gpu = little;
  const sim::SimulationResult simulated =
      sim::simulate(model, pregate::test::tiny_machine(), policy, prepared, *batched, options);
  EXPECT_TRUE(is_same_work(simulated.schedule, live.execution.result.schedule));
  EXPECT_LT(error_of(live, reference(device, model, *batched)), tolerance);
}

}  // namespace pregate::runtime::test
