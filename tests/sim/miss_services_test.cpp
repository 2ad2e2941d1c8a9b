// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What the miss services decide, with times that are given: no machine is asked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/parts/parts.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

using testing::ElementsAre;

/// Times in us: an expert with n tokens takes n x cpu on the CPU, gpu on the GPU, and copy on the link.
struct GivenTimes final : Estimates {
  std::int64_t copy, gpu, cpu;
  GivenTimes(std::int64_t copy_us, std::int64_t gpu_us, std::int64_t cpu_us)
      : copy(copy_us), gpu(gpu_us), cpu(cpu_us) {}
  [[nodiscard]] Picoseconds fetch() const override { return {copy * us}; }
  [[nodiscard]] Picoseconds on_cpu(int, std::int64_t, std::uint32_t routed) const override {
    return {cpu * routed * us};
  }
  [[nodiscard]] Picoseconds on_gpu(int, std::uint32_t) const override { return {gpu * us}; }
};

struct Decided {
  std::unique_ptr<MissService> service;

  explicit Decided(const std::string& name, const std::string& parameter = "",
                   const std::string& value = "") {
    Chosen<MissServiceEntry> chosen = built_in_parts().miss_services.find(name, "test");
    if (!parameter.empty()) chosen.set(parameter, value);
    service = chosen->make(chosen.parameters());
  }
  /// The keys that are fetched, of those missing with so many tokens each.
  std::vector<ExpertKey> fetched(const Estimates* times, std::vector<ExpertKey> keys,
                                 std::vector<std::uint32_t> tokens, std::vector<ExpertKey> there = {},
                                 std::vector<std::uint32_t> there_tokens = {}) const {
    Moment moment;
    moment.estimates = times;
    there_tokens.resize(there.size(), 1);
    std::vector<Serving> of_each(keys.size());
    service->decide(moment, {keys, tokens, there, there_tokens}, of_each);
    std::vector<ExpertKey> fetched;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (of_each[i].service == Service::fetch) fetched.push_back(keys[i]);
    }
    return fetched;
  }
  std::size_t fetched_of(std::size_t missing) const {
    std::vector<ExpertKey> keys(missing);
    for (std::size_t i = 0; i < missing; ++i) keys[i] = static_cast<ExpertKey>(i);
    return fetched(nullptr, keys, std::vector<std::uint32_t>(missing, 1)).size();
  }
};

// A token costs the CPU 7; an expert costs 60 to copy and 10 to compute: up to 10 tokens, a tie, on the CPU.
TEST(ThresholdService, PaysForTheCopyFromElevenTokens) {
  const GivenTimes times(60, 10, 7);
  EXPECT_THAT(Decided("threshold").fetched(&times, {5, 6, 7}, {9, 10, 11}), ElementsAre(7));
}

// argmin over F of max(F (1 - f), (M - F) f), the smaller F on a tie, for M = 1 to 8.
TEST(FractionService, PartsByTheRates) {
  const auto parts = [](const char* link) {
    std::vector<std::size_t> fetched;
    for (std::size_t missing = 1; missing <= 8; ++missing)
      fetched.push_back(Decided("fraction", "link", link).fetched_of(missing));
    return fetched;
  };
  EXPECT_THAT(parts("0.184"), ElementsAre(0, 0, 0, 0, 1, 1, 1, 1));
  EXPECT_THAT(parts("0.5"), ElementsAre(0, 1, 1, 2, 2, 3, 3, 4));
  EXPECT_THAT(parts("0.294"), ElementsAre(0, 0, 1, 1, 1, 2, 2, 2));
  EXPECT_THAT(parts("1"), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  // Not given: a copy takes 30 and the CPU 10, so the link's share is a quarter.
  const GivenTimes times(30, 1, 10);
  const auto fetched = [&](std::vector<ExpertKey> keys) {
    const std::size_t missing = keys.size();
    return Decided("fraction")
        .fetched(&times, std::move(keys), std::vector<std::uint32_t>(missing, 1))
        .size();
  };
  EXPECT_EQ(fetched({1, 2, 3}), 0U) << "a tie: 1 x 0.75 against 3 x 0.25";
  EXPECT_EQ(fetched({1, 2, 3, 4}), 1U);
}

// A copy takes 30, the CPU 10 a token. Of 1, 9, 1 and 1 tokens the CPU has 120 alone, 110 beside one copy, 20
// beside two, which take 60, and three take 90: two. Of one token each 30 beside one copy: one.
TEST(FractionService, WeighsTheTokensOfAPassOfMany) {
  const GivenTimes times(30, 1, 10);
  EXPECT_THAT(Decided("fraction").fetched(&times, {1, 2, 3, 4}, {1, 9, 1, 1}), ElementsAre(1, 2));
  EXPECT_THAT(Decided("fraction").fetched(&times, {1, 2, 3, 4}, {1, 1, 1, 1}), ElementsAre(1));
  // A share of the link of .25 is said of one token each: 30 and 10 likewise.
  const Decided quarter("fraction", "link", "0.25");
  EXPECT_THAT(quarter.fetched(&times, {1, 2, 3, 4}, {1, 9, 1, 1}), ElementsAre(1, 2));
  EXPECT_THAT(quarter.fetched(nullptr, {1, 2, 3, 4}, {1, 9, 1, 1}), ElementsAre(1)) << "no costs known";
  // A prompt goes over the link.
  EXPECT_THAT(Decided("fraction").fetched(&times, {1, 2, 3, 4}, {64, 64, 64, 64}), ElementsAre(1, 2, 3, 4));
}

TEST(FractionService, CopiesWhatWasUsedLast) {
  const Decided half("fraction", "link", "0.5");
  EXPECT_THAT(half.fetched(nullptr, {1, 2}, {1, 1}), ElementsAre(1)) << "never used: any order";
  half.fetched(nullptr, {3}, {1}, {9});  // 9 is there, and used now
  EXPECT_THAT(half.fetched(nullptr, {1, 2, 3}, {1, 1, 1}), ElementsAre(3));
  EXPECT_THAT(half.fetched(nullptr, {7, 8, 9, 2}, {1, 1, 1, 1}), ElementsAre(9, 2));
}

// On the GPU: 4 and 1 tokens, 1 each. Missing: A 1, B 1, C 3 tokens; the CPU takes 1 a token, the link 3.
// CPU: A 0-1, B 1-2; link: C 0-3, then GPU 3-4. On the CPU alone all would take 5, over the link alone 10.
TEST(MakespanService, GivesTheLightToTheCpuAndTheHeavyToTheLink) {
  const GivenTimes times(3, 1, 1);
  EXPECT_THAT(Decided("makespan").fetched(&times, {10, 11, 12}, {1, 1, 3}, {1, 2}, {4, 1}), ElementsAre(12));
}

// The last one: at 2 the CPU is done with it, at 3 + 1 the GPU would be.
TEST(MakespanService, DoesNotCopyWhatTheCpuHasDoneSooner) {
  const GivenTimes times(3, 1, 1);
  EXPECT_THAT(Decided("makespan").fetched(&times, {10, 11}, {1, 1}), ElementsAre());
  const GivenTimes slow_cpu(3, 1, 5);
  EXPECT_THAT(Decided("makespan").fetched(&slow_cpu, {10, 11}, {1, 1}), ElementsAre(11));
}

// Two slots, one upload a layer: {1, 2}, {1, 3}, {1, 3}. The first uploads 1; the second hits it and uploads
// 3, which the third finds: 3 hits, 3 computed by the CPU, 2 copies.
TEST(UploadCapService, FillsTheCacheBesideTheCpu) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  test::ListSource source(test::decoder_info(1, 8, 2));
  source.add(trace::Phase::decode, 1, {1, 2}, true);
  source.add(trace::Phase::decode, 1, {1, 3});
  source.add(trace::Phase::decode, 1, {1, 3});
  PolicySpec policy = load_policy("on-demand");
  choose(policy.miss.service, built_in_parts().miss_services, "upload-cap");
  policy.miss.service.set("uploads", "1");
  policy.cache.capacity = parse_capacity("2 slots", "test");
  MachineSpec machine = test::tiny_machine();
  machine.d2h = machine.h2d;
  const SimulationResult result = test::run(model, machine, policy, source);
  EXPECT_EQ(result.decode_cache.hits, 3);
  EXPECT_EQ(result.decode_cache.computed_on_cpu, 3);
  EXPECT_EQ(result.tally.fetches, 2);
  policy.cache.capacity = {};
  EXPECT_THROW(validate(policy, "test"), InputError) << "nothing to copy into";
}

// llama.cpp copies what a pass of 32 tokens and more misses, as without a cache.
TEST(UploadCapService, CopiesWhatAPromptMisses) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  for (const int tokens : {31, 32}) {
    test::ListSource source(test::decoder_info(1, 8, 2));
    std::vector<std::uint16_t> ids;
    for (int token = 0; token < tokens; ++token) ids.insert(ids.end(), {1, 2});
    source.add(trace::Phase::prefill, tokens, ids, true);
    PolicySpec policy = load_policy("llama-cpp-expert-cache");
    policy.cache.capacity = parse_capacity("2 slots", "test");
    policy.miss.service.set("uploads", "1");
    MachineSpec machine = test::tiny_machine();
    machine.d2h = machine.h2d;
    const SimulationResult result = test::run(model, machine, policy, source);
    EXPECT_EQ(result.other_cache.computed_on_cpu, tokens < 32 ? 2 : 0) << tokens;
    EXPECT_EQ(result.tally.fetches, tokens < 32 ? 1 : 2) << tokens;
  }
}

// Whatever the service, an expert is computed once, and what is copied are the fetches and the uploads.
TEST(MissServices, ConserveExperts) {
  const ModelSpec model = test::tiny_model(3, 16, 4);
  for (const MissServiceEntry& entry : built_in_parts().miss_services.entries()) {
    test::ListSource source = test::random_source(7, 3, 16, 4, 2, 12, 30);
    source.weigh_by_halves(4);
    PolicySpec policy = load_policy("on-demand-cache");
    policy.cache.capacity = parse_capacity("5 slots", "test");
    policy.miss.service = entry;
    if (entry.uses_low_format) policy.formats.low = "fp8";  // a quarter of the model's fp32
    if (!entry.fetches && !entry.copies_too && !entry.all_on_cpu) policy.cache.capacity = {};
    if (entry.all_on_cpu) policy.miss.admission = MissAdmission::background;
    MachineSpec machine = test::tiny_machine();
    machine.d2h = machine.h2d;
    machine.near_data.memory = {1LL << 30};
    const SimulationResult result = test::run(model, machine, policy, source);
    const std::int64_t misses = result.decode_cache.misses + result.other_cache.misses;
    const std::int64_t on_cpu = result.decode_cache.computed_on_cpu + result.other_cache.computed_on_cpu;
    const CacheResult &a = result.decode_cache, &b = result.other_cache;
    const std::int64_t read = a.read_through + b.read_through,
                       altered = a.dropped + a.substituted + b.dropped + b.substituted;
    const std::int64_t elsewhere = on_cpu + a.near_data + b.near_data + read + altered;
    const std::int64_t low = a.low_fetched + b.low_fetched;
    EXPECT_EQ(result.tally.fetched.count, (result.tally.fetches + read - low) * test::tiny_expert.count +
                                              low * test::tiny_expert.count / 4);
    EXPECT_EQ(altered > 0,
              (entry.drops || entry.substitutes) && policy.cache.capacity.kind != CapacityKind::none)
        << entry.name;
    if (entry.fetches && !entry.copies_too) {
      EXPECT_EQ(result.tally.fetches, misses - elsewhere) << entry.name;
    } else {
      EXPECT_EQ(elsewhere, misses) << entry.name;
    }
    EXPECT_GT(misses, 0);
  }
}

}  // namespace
}  // namespace pregate::sim
