// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Experts in two formats, as HOBBIT (arXiv:2411.01433) has them: by what the router gave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/engine/event_engine.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

using testing::HasSubstr;

/// The low format's, a quarter of test::tiny_expert: 8 bits of 32.
constexpr std::int64_t low_expert = 3 * 64 * 128;

struct Formats : testing::Test {
  ModelSpec model = test::tiny_model(1, 8, 2);
  MachineSpec machine = test::tiny_machine();
  test::ListSource source{test::decoder_info(1, 8, 2)};
  PolicySpec policy = load_policy("on-demand");

  Formats() {
    choose(policy.miss.service, built_in_parts().miss_services, "precision");
    policy.formats.low = "fp8";
  }
  void add(std::uint16_t first, std::uint16_t second, float weight) {
    source.add(trace::Phase::decode, 1, {first, second});
    source.weigh({weight, 1 - weight});
  }
};

// Top-2: s = 0 and .70 -> as it is, low; 0 and .55 -> both as they are; 0 and .95 -> the second dropped.
TEST(PrecisionService, AsksByWhatBetterExpertsHave) {
  const Chosen<MissServiceEntry> chosen = built_in_parts().miss_services.find("precision", "test");
  const std::vector<ExpertKey> keys{1, 2, 3, 4, 5};
  const std::vector<std::uint32_t> tokens(5, 1);
  const std::vector<double> better{0, .6, .7, .9, .95};
  std::vector<Serving> of_each(keys.size());
  chosen->make(chosen.parameters())->decide({}, {keys, tokens, {}, {}, better}, of_each);
  for (const std::size_t high : {0U, 1U}) EXPECT_EQ(of_each[high].format, model_format);
  for (const std::size_t low : {2U, 3U}) EXPECT_EQ(of_each[low].format, low_format);
  EXPECT_EQ(of_each[3].service, Service::fetch);
  EXPECT_EQ(of_each[4].service, Service::skip);
}

// HOBBIT reports 67 / 30 / 3 % high, low and dropped; with a low format of a quarter of the bytes a miss then
// moves .67 + .30 / 4 = .745 of an expert. 50 steps miss two each: the second as it is in 17 of them, low in
// 30, dropped in 3.
TEST_F(Formats, MoveTheBytesOfTheirShares) {
  for (int i = 0; i < 50; ++i) add(1, 2, i < 17 ? .55F : i < 47 ? .70F : .95F);
  const SimulationResult result = test::run(model, machine, policy, source);
  EXPECT_EQ(result.decode_cache.misses, 100);
  EXPECT_EQ(result.decode_cache.low_fetched, 30);
  EXPECT_EQ(result.decode_cache.dropped, 3);
  EXPECT_EQ(result.tally.fetches, 97);
  EXPECT_EQ(result.tally.fetched.count, 67 * test::tiny_expert.count + 30 * low_expert);
  EXPECT_DOUBLE_EQ(static_cast<double>(result.tally.fetched.count) /
                       (100.0 * static_cast<double>(test::tiny_expert.count)),
                   .745);
  EXPECT_THAT(result.notes.back(), HasSubstr("not exact: 3 % of the activated experts are dropped, 30 %"));
  EXPECT_EQ(test::run(model, machine, policy, source, {.engine = Engine::event}).total, result.total);
}

// The layer waits for a copy of 98,304 B and one of 24,576 B, each after 10 us; both kernels follow, each
// with its launch.
TEST_F(Formats, CopyAndComputeEachInItsOwn) {
  add(1, 2, .7F);
  const SimulationResult result = recorded(model, policy, source, machine);
  std::vector<std::int64_t> copied;
  int kernels = 0;
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    const Operation& operation = result.schedule.operation(static_cast<OpId>(i));
    if (operation.kind == OpKind::fetch)
      copied.push_back((result.timeline.finish[i] - result.timeline.start[i]).count);
    kernels += operation.kind == OpKind::experts ? 1 : 0;
  }
  EXPECT_EQ(copied, (std::vector<std::int64_t>{copy_us * us + 98'304'000, copy_us * us + 24'576'000}));
  EXPECT_EQ(kernels, 2);
  EXPECT_EQ(sim::run(result.schedule), result.timeline);
  // Unpacking adds its bytes over its rate to the run.
  policy.formats.unpack = {1e9};
  EXPECT_EQ(recorded(model, policy, source, machine).total - result.total, Picoseconds{24'576'000});
}

// Asking for all as it is, the run is that of the service `fetch`, whatever lies in the other pool.
TEST_F(Formats, WithoutALowAskIsFetch) {
  model = test::tiny_model(3, 16, 4);
  test::ListSource random = test::random_source(3, 3, 16, 4, 2, 12, 30);
  random.weigh_by_halves(4);
  policy.miss.service.set("high_below", "1");
  policy.miss.service.set("low_below", "1");
  policy.cache.capacity = parse_capacity("5 slots", "test");
  PolicySpec fetching = load_policy("on-demand");
  fetching.cache = policy.cache;
  const SimulationResult high = test::run(model, machine, policy, random),
                         fetch = test::run(model, machine, fetching, random);
  EXPECT_EQ(high.total, fetch.total);
  EXPECT_EQ(high.tally.fetched, fetch.tally.fetched);
  EXPECT_EQ(high.decode_cache.hits, fetch.decode_cache.hits);
  EXPECT_EQ(high.decode_cache.altered(), 0);
}

// Both pools keep two experts. 2 is copied low; asked for as it is it must come again, unless the low one
// will do; then it lies in both, and the model's own is the one that is used.
TEST_F(Formats, AreLookedUpTheModelsOwnFirst) {
  policy.cache.capacity = policy.formats.low_capacity = parse_capacity("2 slots", "test");
  add(1, 2, .7F);   // 1 as it is, 2 low: two misses
  add(1, 2, .8F);   // two hits, 2 in the low format
  add(2, 1, .7F);   // 2 is asked for as it is; 1 is there as it is
  add(1, 2, .99F);  // two hits: 2 would be dropped were it missing
  const SimulationResult result = test::run(model, machine, policy, source);
  EXPECT_EQ(result.decode_cache.misses, 3);
  EXPECT_EQ(result.decode_cache.hits, 5);
  EXPECT_EQ(result.decode_cache.low_hits, 1);
  EXPECT_EQ(result.decode_cache.dropped, 0);
  EXPECT_EQ(result.tally.fetched.count, 2 * test::tiny_expert.count + low_expert);
  policy.formats.degrade = true;
  const SimulationResult degraded = test::run(model, machine, policy, source);
  EXPECT_EQ(degraded.decode_cache.misses, 2);
  EXPECT_EQ(degraded.decode_cache.low_hits, 3);
  EXPECT_EQ(degraded.tally.fetched.count, test::tiny_expert.count + low_expert);
  EXPECT_EQ(test::run(model, machine, policy, source, {.engine = Engine::event}).total, degraded.total);
}

// Slots of the low format take a quarter: two cached and two to work with, in an expert's bytes.
TEST_F(Formats, CountInMemory) {
  add(1, 2, .7F);
  const auto of = [&](MemoryPurpose purpose) {
    return test::run(model, machine, policy, source).memory.peak[static_cast<std::size_t>(purpose)].count;
  };
  policy.cache.capacity = policy.formats.low_capacity = parse_capacity("2 slots", "test");
  EXPECT_EQ(of(MemoryPurpose::expert_cache), 2 * test::tiny_expert.count + 2 * low_expert);
  EXPECT_EQ(of(MemoryPurpose::working_buffers), 2 * test::tiny_expert.count + 2 * low_expert);
  policy.formats.low_capacity = parse_capacity("50%", "test");
  EXPECT_EQ(of(MemoryPurpose::expert_cache), 2 * test::tiny_expert.count + 4 * low_expert);
  policy.formats.low_capacity = parse_capacity(std::to_string(3 * low_expert) + " B", "test");
  EXPECT_EQ(of(MemoryPurpose::expert_cache), 2 * test::tiny_expert.count + 3 * low_expert);
}

TEST_F(Formats, ArePiecesOfTheSameNumber) {
  add(1, 2, .7F);
  policy.transfer.chunk = {40'000};  // 3 pieces of 98,304 B; of 24,576 B 3 of 8,192 B
  const SimulationResult result = recorded(model, policy, source, machine);
  EXPECT_EQ(result.tally.fetches, 6);
  EXPECT_EQ(result.tally.fetched.count, test::tiny_expert.count + low_expert);
  EXPECT_EQ(test::run(model, machine, policy, source).total, result.total);
}

TEST_F(Formats, RefuseWhatDoesNotGoTogether) {
  add(1, 2, .7F);
  const auto error = [&] {
    try {
      test::run(model, machine, policy, source);
    } catch (const InputError& refused) {
      return std::string(refused.what());
    }
    return std::string();
  };
  policy.formats.low = "fp32";
  EXPECT_THAT(error(), HasSubstr("an expert takes"));
  policy.formats.low = "no-such";
  EXPECT_THAT(error(), HasSubstr("policy.formats.low"));
  policy.formats.low = "fp8,int4";
  try {
    validate(policy, "test");
    ADD_FAILURE() << "three formats";
  } catch (const InputError& refused) {
    EXPECT_THAT(refused.what(), HasSubstr("one more, not three"));
  }
  policy.formats.low = "";
  EXPECT_THAT(error(), HasSubstr("needs a second weight format"));
  policy.formats.low = "fp8";
  policy.cache.capacity = parse_capacity("2 slots", "test");
  policy.cache.eviction = "belady";
  EXPECT_NE(error(), "");
}

}  // namespace
}  // namespace pregate::sim
