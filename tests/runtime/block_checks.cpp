// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Experts that are stored in blocks and unpacked before they are multiplied.
#include <gtest/gtest.h>

#include "sim/policy/load_policy.hpp"
#include "tests/runtime/execute_checks.hpp"

namespace pregate::runtime::test {

using pregate::test::random_source;
using pregate::test::tiny_machine;

namespace {

struct Stored {
  const char* format;
  int values, bytes;  ///< of a block
  ModelSpec model;    ///< its rows are whole blocks
  Bytes expert;       ///< as fp32
  std::vector<std::string> policies;
  std::vector<std::int64_t> stale;  ///< matrices that are not unpacked
};

/// Two matrices of 256 x 256 an expert: the fewest values that have rows of whole blocks of q4_k.
ModelSpec wide_model(int layers, int experts) {
  ModelSpec model = narrow_model(layers, experts, 1);
  model.d_model = 256;
  model.stacks[0].feed_forwards[0].moe.ffn_dim = 256;
  model.stacks[0].feed_forwards[0].moe.gated = false;
  return model;
}
constexpr Bytes wide_expert{2 * 256 * 256 * 4};

void check_stored(const std::string& device, const Stored& stored, ListSource source) {
  ModelSpec model = stored.model;
  model.expert_format = weight_format(stored.format, "test");
  const auto expected = reference(device, model, source);
  for (const std::string& name : stored.policies) {
    SCOPED_TRACE(std::string(stored.format) + ", " + name);
    const PolicySpec policy = policy_of(name, "25%");
    const LiveRun live = run_live(device, model, policy, source, {.recorded_steps = 100});
    EXPECT_LT(error_of(live, expected), tolerance);
    const sim::SimulationResult simulated = pregate::test::run(
        model, tiny_machine(), policy, source, {.costs = {.attention_scores = false}, .recorded_steps = 100});
    EXPECT_TRUE(is_same_work(simulated.schedule, live.execution.result.schedule));
  }
  const LiveRun fetched = run_live(device, model, policy_of("on-demand", "0"), source);
  EXPECT_LT(error_of(fetched, expected), tolerance);
  EXPECT_EQ(
      fetched.execution.result.tally.fetched.count,
      fetched.execution.result.tally.fetches * (stored.expert.count / 4 / stored.values * stored.bytes));
  EXPECT_GT(error_of(fetched, reference(device, stored.model, source)), 1e-3) << "it was rounded";
  for (const std::int64_t at : stored.stale) {
    const LiveRun stale = run_live(device, model, policy_of("on-demand", "0"), source,
                                   {.fault = {.kind = PlantedFault::Kind::stale_unpacking, .at = at}});
    EXPECT_GT(error_of(stale, expected), 1e-3) << stored.format << ", matrix " << at;
  }
}

}  // namespace

void check_experts_in_blocks(const std::string& device) {
  const std::vector<std::string> policies{"gpu-only", "pre-gated-cache", "experts-on-cpu",
                                          "llama-cpp-expert-cache"};
  const ListSource source = random_source(6, 2, 8, 2, 1, 2, 3);
  const ModelSpec model = narrow_model(2, 8, 2);
  check_stored(device, {"q8_0", 32, 34, model, narrow_expert, policies, {1, 6}}, source);
  check_stored(device, {"mxfp4", 32, 17, model, narrow_expert, policies, {1, 6}}, source);
}

void check_experts_in_super_blocks(const std::string& device) {
  ListSource source(pregate::test::decoder_info(1, 4, 1));
  source.add(trace::Phase::decode, 1, {2}, true);
  source.add(trace::Phase::decode, 1, {1}, false);
  check_stored(device, {"q4_k", 256, 144, wide_model(1, 4), wide_expert, {"experts-on-cpu"}, {2}}, source);
}

void check_super_blocks_beside(const std::string& device) {
  const ModelSpec model = wide_model(1, 4);
  ListSource source(pregate::test::decoder_info(1, 4, 1));
  for (const std::uint16_t expert : std::initializer_list<std::uint16_t>{1, 1, 2, 3, 1})
    source.add(trace::Phase::decode, 1, {expert});
  PolicySpec policy = policy_of("mc-moe", "25%");
  policy.formats.low = "q4_k";
  const LiveRun live = check_run(device, model, policy, source);
  EXPECT_GT(live.execution.result.decode_cache.low_fetched, 0);
}

}  // namespace pregate::runtime::test
