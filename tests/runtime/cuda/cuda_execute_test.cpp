// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "tests/runtime/execute_checks.hpp"

namespace pregate::runtime::test {
namespace {

constexpr char device[] = "cuda";

class CudaExecute : public testing::TestWithParam<std::tuple<std::string, std::string, int>> {};

// The right weights were there in time, and the device was told the simulator's schedule.
TEST_P(CudaExecute, OutputsAreTheReferencesAndTheScheduleIsTheSimulators) {
  const auto& [policy, capacity, staging] = GetParam();
  check_policy(device, {3, 8, 2, 1, 4, 4}, policy_of(policy, capacity, staging));
}

INSTANTIATE_TEST_SUITE_P(Policies, CudaExecute,
                         testing::Combine(testing::ValuesIn(policies_of_devices()),
                                          testing::Values("0", "25%"), testing::Values(0, 1)));

TEST(CudaExecute, BatchesAndTokensWithFewerExperts) { check_batches_and_tokens_with_fewer_experts(device); }
TEST(CudaExecute, ChunksAndWaves) { check_chunks_and_waves(device); }
TEST(CudaExecute, SharedBuffersMoveTheSameBytes) { check_shared_buffers(device); }
TEST(CudaExecute, ACorruptCopyIsSeen) { check_that_a_corrupt_copy_is_seen(device); }
TEST(CudaExecute, OutOfMemoryIsAResult) { check_that_out_of_memory_is_a_result(device); }
TEST(CudaExecute, AnInterruptEndsItAfterAPass) { check_that_an_interrupt_ends_it_after_a_pass(device); }

// Rows of more than a page, which the stand-in closes to the host while copies use them.
TEST(CudaExecute, ManyRowsForTheCpu) {
  check_policy(device, {2, 8, 2, 1, 24, 2}, policy_of("experts-on-cpu", "0"));
}

TEST(CudaExecute, WrongGuessesAreTakenBack) { check_that_wrong_guesses_are_taken_back(device); }
TEST(CudaExecute, SecondFormat) { check_second_format(device); }
TEST(CudaExecute, AStaleFormatIsSeen) { check_that_a_stale_format_is_seen(device); }
TEST(CudaExecute, HostMemoryHoldsBothFormats) { check_that_host_memory_holds_both_formats(device); }
TEST(CudaExecute, DroppedExperts) { check_dropped_experts(device); }
TEST(CudaExecute, PromptsInChunks) { check_prompts_in_chunks(device); }
TEST(CudaExecute, MicroBatches) { check_micro_batches(device); }
TEST(CudaExecute, MicroBatchesInWaves) { check_micro_batches_in_waves(device); }
TEST(CudaExecute, ExpertsInBlocks) { check_experts_in_blocks(device); }
TEST(CudaExecute, ExpertsInSuperBlocks) { check_experts_in_super_blocks(device); }
TEST(CudaExecute, AttentionOverACache) { check_attention_over_a_cache(device); }
TEST(CudaExecute, MistakesOfAttentionAreSeen) { check_that_mistakes_of_attention_are_seen(device, {5}); }
TEST(CudaExecute, DriveBehindHostMemory) { check_drive_behind_host_memory(device, PREGATE_SOURCE_DIR); }
TEST(CudaExecute, WhatWeighsTimesNeedsThem) { check_that_what_weighs_times_needs_them(device); }

TEST(CudaExecute, ExpertsOnADriveAreRefused) {
  const ModelSpec model = pregate::test::tiny_model(2, 8, 2);
  ListSource source = pregate::test::random_source(4, 2, 8, 2, 1, 0, 1);
  try {
    run_live(device, model, policy_of("on-demand", "0"), source, {.experts = {.directory = "/"}});
    ADD_FAILURE() << "it was executed";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("--device host"), std::string::npos) << error.what();
  }
}

// The 16-bit types, in which every operation rounds its result: a few roundings of 2^-11 or 2^-8 remain of
// the residual stream, and the policy must not change a bit.
TEST(CudaExecute, SixteenBitModels) {
  for (const auto& [format, tolerance_of_type] : {std::pair{"fp16", 4e-3}, std::pair{"bf16", 3e-2}}) {
    ModelSpec model = pregate::test::tiny_model(2, 8, 2);
    model.expert_format = model.dense_format = weight_format(format, "test");
    ListSource source = pregate::test::random_source(6, 2, 8, 2, 1, 3, 3);
    const LiveRun all = run_live(device, model, policy_of("gpu-only", "0"), source);
    EXPECT_LT(error_of(all, reference(device, model, source)), tolerance_of_type) << format;
    for (const char* policy : {"on-demand", "pre-gated"})
      EXPECT_EQ(run_live(device, model, policy_of(policy, "25%"), source).outputs, all.outputs) << policy;
  }
}

}  // namespace
}  // namespace pregate::runtime::test
