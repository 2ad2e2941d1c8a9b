// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/execute_checks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"

namespace pregate::runtime::test {
namespace {

using pregate::test::random_source;
using pregate::test::tiny_model;

constexpr char device[] = "host";

class Execute : public testing::TestWithParam<std::tuple<std::string, std::string, int>> {};

// The right weights were there in time, and the device was told the simulator's schedule.
TEST_P(Execute, OutputsAreTheReferencesAndTheScheduleIsTheSimulators) {
  const auto& [policy, capacity, staging] = GetParam();
  check_policy(device, {4, 16, 3, 2, 7, 6}, policy_of(policy, capacity, staging));
}

INSTANTIATE_TEST_SUITE_P(Policies, Execute,
                         testing::Combine(testing::ValuesIn(policies_of_devices()),
                                          testing::Values("0", "25%", "80%"), testing::Values(0, 1)));

TEST(Execute, BatchesAndTokensWithFewerExperts) { check_batches_and_tokens_with_fewer_experts(device); }
TEST(Execute, ChunksAndWaves) { check_chunks_and_waves(device); }
TEST(Execute, SharedBuffersMoveTheSameBytes) { check_shared_buffers(device); }
TEST(Execute, ACorruptCopyIsSeen) { check_that_a_corrupt_copy_is_seen(device); }
TEST(Execute, OutOfMemoryIsAResult) { check_that_out_of_memory_is_a_result(device); }
TEST(Execute, AnInterruptEndsItAfterAPass) { check_that_an_interrupt_ends_it_after_a_pass(device); }

TEST(Execute, EveryLateCopyIsSeen) { check_that_every_late_copy_is_seen(device); }

TEST(Execute, WrongGuessesAreTakenBack) { check_that_wrong_guesses_are_taken_back(device); }
TEST(Execute, SecondFormat) { check_second_format(device); }
TEST(Execute, SecondFormatOnADrive) { check_second_format_on_a_drive(device, PREGATE_SOURCE_DIR); }
TEST(Execute, AStaleFormatIsSeen) { check_that_a_stale_format_is_seen(device); }
TEST(Execute, HostMemoryHoldsBothFormats) { check_that_host_memory_holds_both_formats(device); }
TEST(Execute, DroppedExperts) { check_dropped_experts(device); }
TEST(Execute, PromptsInChunks) { check_prompts_in_chunks(device); }
TEST(Execute, MicroBatches) { check_micro_batches(device); }
TEST(Execute, LateCopiesForMicroBatchesAreSeen) { check_that_late_copies_for_micro_batches_are_seen(device); }
TEST(Execute, MicroBatchesInWaves) { check_micro_batches_in_waves(device); }
TEST(Execute, ExpertsInBlocks) { check_experts_in_blocks(device); }
TEST(Execute, ExpertsInSuperBlocks) { check_experts_in_super_blocks(device); }
TEST(Execute, SuperBlocksBesideAnotherFormat) { check_super_blocks_beside(device); }
TEST(Execute, AttentionOverACache) { check_attention_over_a_cache(device); }
TEST(Execute, MistakesOfAttentionAreSeen) { check_that_mistakes_of_attention_are_seen(device, {4, 5, 6}); }
TEST(Execute, AttentionRefuses) { check_what_attention_over_a_cache_refuses(device); }
TEST(Execute, DriveBehindHostMemory) { check_drive_behind_host_memory(device, PREGATE_SOURCE_DIR); }
TEST(Execute, WhatWeighsTimesNeedsThem) { check_that_what_weighs_times_needs_them(device); }

TEST(Execute, WhatItCannotDoIsSaidAtOnce) {
  const ModelSpec model = tiny_model(2, 8, 2);
  ListSource source = random_source(4, 2, 8, 2, 1, 0, 2);
  const auto refusal_of = [&](const ModelSpec& which, const PolicySpec& policy) -> std::string {
    try {
      run_live(device, which, policy, source);
      return "executed";
    } catch (const InputError& error) {
      return error.what();
    }
  };
  const auto refusal = [&](const PolicySpec& policy) { return refusal_of(model, policy); };
  const auto service = [](const char* name) {
    PolicySpec policy = policy_of("on-demand-cache", "25%");
    choose(policy.miss.service, sim::built_in_parts().miss_services, name);
    return policy;
  };
  using testing::HasSubstr;
  PolicySpec policy = policy_of("pre-gated", "0");
  policy.transfer.announced = AnnouncedCopies::one_layer;
  EXPECT_THAT(refusal(policy), HasSubstr("transfer.announced"));
  policy = service("compute-on-cpu");
  policy.transfer.write_back = WriteBack::swap;
  EXPECT_THAT(refusal(policy), HasSubstr("transfer.write_back"));
  EXPECT_THAT(refusal(service("near-data")), HasSubstr("miss.service = near-data"));
  EXPECT_THAT(refusal(service("read-through")), HasSubstr("its own memory alone"));
  EXPECT_THAT(refusal(service("substitute")), HasSubstr("and no others"));
  policy = service("precision");
  policy.formats.low = "q2_k";
  EXPECT_THAT(refusal(policy), HasSubstr("not q2_k (formats.low)"));
  policy = policy_of("pre-gated", "0");
  policy.lookahead.cost = from_seconds(1e-3);
  EXPECT_THAT(refusal(policy), HasSubstr("lookahead.cost"));
  policy = policy_of("on-demand", "0");
  policy.formats.copied = 0.5;
  EXPECT_THAT(refusal(policy), HasSubstr("formats.copied"));
  policy = policy_of("on-demand", "0");
  policy.host_cache.capacity = parse_capacity("50%", "test");
  EXPECT_THAT(refusal(policy), HasSubstr("--experts-on-ssd"));
  policy.host_cache.preload = 1;
  EXPECT_THAT(refusal(policy), HasSubstr("host_cache.preload"));
  policy = policy_of("on-demand-cache", "25%");
  policy.cache.eviction = "given-rate";
  policy.cache.hit_rate = 0.5;
  EXPECT_THAT(refusal(policy), HasSubstr("cache.eviction = given-rate"));
  EXPECT_THAT(refusal(load_policy("sida")), HasSubstr("'hash'"));
  ModelSpec narrow = model;
  narrow.expert_format = weight_format("q4_k", "test");
  EXPECT_THAT(refusal_of(narrow, policy_of("on-demand", "0")),
              HasSubstr("no whole number of blocks of 256, as q4_k has them"));
  ModelSpec half = model;
  half.expert_format = half.dense_format = weight_format("bf16", "test");
  EXPECT_THROW(run_live(device, half, policy_of("pre-gated", "0"), source), InputError);
  // 1.6 TB of experts: said before anything is allocated, with the way out.
  ModelSpec huge = tiny_model(2, 64, 2);
  huge.stacks[0].feed_forwards[0].moe.ffn_dim = 1 << 24;
  ListSource routing = random_source(4, 2, 64, 2, 1, 0, 1);
  try {
    run_live(device, huge, policy_of("on-demand", "0"), routing);
    ADD_FAILURE() << "it was executed";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("--distinct-experts"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace pregate::runtime::test
