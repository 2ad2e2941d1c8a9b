// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Experts that the planner has computed in another format than the model's, or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "runtime/device_error.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/runtime/execute_checks.hpp"

namespace pregate::runtime::test {

using pregate::test::random_source;
using testing::Contains;
using testing::HasSubstr;

namespace {

// Small: on the tests' stand-in for CUDA kernels that unpack are interpreted.
constexpr int layers = 2, experts = 8;

struct Formats {
  const char *model, *low;
};
constexpr Formats all_formats[] = {{"fp32", "q8_0"}, {"fp32", "mxfp4"}, {"q8_0", "mxfp4"}};

ModelSpec model_in(const Formats& formats) {
  ModelSpec model = narrow_model(layers, experts, 3);
  model.expert_format = weight_format(formats.model, "test");
  return model;
}

/// Weights by halves are 4 : 2 : 1, so that better-ranked ones have 0, 57 % and 86 % of all.
ListSource weighed_source() {
  ListSource source = random_source(5, layers, experts, 3, 1, 2, 7);
  source.weigh_by_halves(3);
  return source;
}

/// The best of a token's experts is copied as the model has it, the second in the other format, the third not
/// at all.
PolicySpec by_precision(const Formats& formats) {
  PolicySpec policy = policy_of("hobbit", "25%");
  policy.formats.low = formats.low;
  policy.formats.low_capacity = parse_capacity("30%", "test");
  policy.miss.service.set("high_below", "0.3");
  policy.miss.service.set("low_below", "0.7");
  return policy;
}

PolicySpec by_popularity(const Formats& formats) {
  PolicySpec policy = policy_of("mc-moe", "25%");
  policy.formats.low = formats.low;
  return policy;
}

}  // namespace

void check_second_format(const std::string& device) {
  for (const Formats& formats : all_formats) {
    const ModelSpec model = model_in(formats);
    ListSource source = weighed_source();
    PolicySpec degrading = by_precision(formats);
    degrading.formats.degrade = true;
    degrading.transfer.chunk = {10'000};
    PolicySpec ahead = by_popularity(formats);
    choose(ahead.lookahead.predictor, sim::built_in_parts().predictors, "pre-gate");
    for (const PolicySpec& policy : {by_precision(formats), degrading, ahead}) {
      SCOPED_TRACE(policy.name + " with " + formats.model + " and " + formats.low);
      const LiveRun live = check_run(device, model, policy, source);
      const sim::CacheResult& decode = live.execution.result.decode_cache;
      EXPECT_GT(decode.low_fetched, 0);
      EXPECT_GT(decode.low_hits, 0);
      EXPECT_GT(decode.hits, decode.low_hits);
      EXPECT_EQ(decode.dropped > 0, policy.miss.service->drops);
      EXPECT_THAT(live.execution.result.notes,
                  Contains(testing::AllOf(HasSubstr("not exact"),
                                          HasSubstr(std::string("computed in ") + formats.low))));
      // What the model itself would say is something else: the check could fail.
      EXPECT_GT(error_of(live, reference(device, model, source)), 1e-3);
    }
  }
}

void check_that_a_stale_format_is_seen(const std::string& device) {
  for (const Formats& formats : {all_formats[0], all_formats[2]}) {
    const ModelSpec model = model_in(formats);
    ListSource source = weighed_source();
    PolicySpec policy = by_precision(formats);
    // What is announced comes as the model has it, though the pool of the other format may have it.
    choose(policy.lookahead.predictor, sim::built_in_parts().predictors, "pre-gate");
    const auto expected = reference(device, model, source, 0, &policy);
    for (const std::int64_t at : {0, 1}) {
      const LiveRun stale = run_live(device, model, policy, source,
                                     {.fault = {.kind = PlantedFault::Kind::stale_format, .at = at}});
      EXPECT_GT(error_of(stale, expected), 10 * tolerance)
          << formats.model << " and " << formats.low << ", expert " << at;
    }
    EXPECT_LT(error_of(run_live(device, model, policy, source), expected), tolerance);
    for (const std::int64_t at : {2}) {
      const LiveRun stale = run_live(device, model, policy, source,
                                     {.fault = {.kind = PlantedFault::Kind::stale_unpacking, .at = at}});
      EXPECT_GT(error_of(stale, expected), 1e-3) << formats.low << ", matrix " << at;
    }
  }
}

void check_second_format_on_a_drive(const std::string& device, const std::string& directory) {
  try {
    DirectFile(directory, {1}, "test");
  } catch (const InputError& error) {
    GTEST_SKIP() << "SKIPPED: no direct reads: " << error.what();
  }
  ListSource source = weighed_source();
  check_run(device, model_in(all_formats[1]), by_popularity(all_formats[1]), source,
            {.directory = directory});
}

void check_dropped_experts(const std::string& device) {
  const ModelSpec model = narrow_model(layers, experts, 3);
  ListSource source = weighed_source();
  PolicySpec policy = policy_of("adapmoe", "25%");
  for (const char* above : {"0.7", "0.3", "0"}) {  // "0": of a token only the best is fetched
    policy.miss.service.set("above", above);
    const LiveRun live = check_run(device, model, policy, source);
    EXPECT_GT(live.execution.result.decode_cache.dropped, 0) << above;
    EXPECT_THAT(live.execution.result.notes,
                Contains(testing::AllOf(HasSubstr("not exact"), HasSubstr("dropped"))));
    EXPECT_GT(error_of(live, reference(device, model, source)), 1e-3) << above;
  }
  policy.miss.service.set("above", "1");
  EXPECT_EQ(check_run(device, model, policy, source).execution.result.decode_cache.dropped, 0);
}

void check_that_host_memory_holds_both_formats(const std::string& device) {
  // 1.6 TB of experts beside a quarter of that: said before anything is allocated, with both.
  ModelSpec huge = pregate::test::tiny_model(2, 64, 2);
  huge.stacks[0].feed_forwards[0].moe.ffn_dim = 1 << 24;
  ListSource source = random_source(4, 2, 64, 2, 1, 0, 1);
  PolicySpec policy = by_popularity(all_formats[0]);
  policy.cache.capacity = policy.formats.low_capacity = parse_capacity("0", "test");
  try {
    run_live(device, huge, policy, source);
    ADD_FAILURE() << "it was executed";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("those of formats.low"));
    EXPECT_THAT(error.what(), HasSubstr("--distinct-experts"));
  }
  const ModelSpec model = narrow_model(layers, experts, 3);
  ListSource small = weighed_source();
  const LiveRun few =
      run_live(device, model, by_popularity(all_formats[1]), small, {.experts = {.distinct_experts = 5}});
  const PolicySpec both = by_popularity(all_formats[1]);
  EXPECT_LT(error_of(few, reference(device, model, small, 5, &both)), tolerance);
}

}  // namespace pregate::runtime::test
