// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/policy/policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/catalog.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/report/config_json.hpp"
#include "tests/models/error_of.hpp"

namespace pregate {
namespace {

using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

TEST(Capacity, EveryWayToWriteIt) {
  EXPECT_EQ(parse_capacity("0", "--cache").kind, CapacityKind::none);
  EXPECT_EQ(parse_capacity("none", "--cache").kind, CapacityKind::none);
  EXPECT_EQ(parse_capacity("0%", "--cache").kind, CapacityKind::none);
  EXPECT_EQ(parse_capacity("0 GiB", "--cache").kind, CapacityKind::none);
  const Capacity slots = parse_capacity(" 64 slots ", "--cache");
  EXPECT_EQ(slots.kind, CapacityKind::slots);
  EXPECT_EQ(slots.slots, 64);
  EXPECT_EQ(parse_capacity("1slot", "--cache").slots, 1);
  const Capacity bytes = parse_capacity("4GiB", "--cache");
  EXPECT_EQ(bytes.kind, CapacityKind::bytes);
  EXPECT_EQ(bytes.bytes.count, 4LL << 30);
  const Capacity share = parse_capacity("12.5 %", "--cache");
  EXPECT_EQ(share.kind, CapacityKind::share);
  EXPECT_DOUBLE_EQ(share.share, 0.125);
}

TEST(Capacity, PrintsWhatReadsBackTheSame) {
  for (const char* text : {"none", "64 slots", "1 slot", "4 GiB", "25%", "12.5%", "0.1%", "7%", "100%"}) {
    EXPECT_EQ(to_string(parse_capacity(text, "x")), text);
  }
}

TEST(Capacity, ErrorsTellTheForms) {
  const auto refused = [](const std::string& text) {
    return error_of([&] { parse_capacity(text, "--cache"); });
  };
  EXPECT_THAT(refused("64"),
              testing::AllOf(HasSubstr("--cache: cache capacity '64' has no unit"), HasSubstr("25%")));
  EXPECT_THAT(refused("101%"), HasSubstr("from 0% to 100%"));
  EXPECT_THAT(refused("-5%"), HasSubstr("from 0% to 100%"));
  EXPECT_THAT(refused("nan%"), HasSubstr("from 0% to 100%"));
  EXPECT_THAT(refused("%"), HasSubstr("is not a share"));
  EXPECT_THAT(refused("1.5 slots"), HasSubstr("whole number of slots"));
  EXPECT_THAT(refused("-1 slots"), HasSubstr("from 0 to"));
  EXPECT_THAT(refused("99999999999 slots"), HasSubstr("from 0 to"));
  EXPECT_THAT(refused("4 GB/s"), HasSubstr("is not a capacity"));
  EXPECT_THAT(refused(""), HasSubstr("is not a capacity"));
}

TEST(Policy, TheNamedOnesAreTheirCompositions) {
  EXPECT_EQ(load_policy("gpu-only").placement.kind->name, "all");
  EXPECT_EQ(load_policy("on-demand").lookahead.predictor->name, "none");
  EXPECT_EQ(load_policy("prefetch-all").lookahead.predictor->name, "all-next");
  const PolicySpec pre_gated = load_policy("pre-gated");
  EXPECT_EQ(pre_gated.lookahead.predictor->name, "pre-gate");
  EXPECT_EQ(pre_gated.lookahead.distance, 1);
  EXPECT_EQ(pre_gated.placement.kind->name, "none");
  EXPECT_EQ(pre_gated.cache.capacity.kind, CapacityKind::none);
  for (const std::string name : {"on-demand", "prefetch-all", "pre-gated"}) {
    const PolicySpec plain = load_policy(name);
    const PolicySpec cached = load_policy(name + "-cache");
    EXPECT_EQ(cached.lookahead.predictor->name, plain.lookahead.predictor->name) << name;
    EXPECT_EQ(cached.cache.capacity.kind, CapacityKind::share) << name;
    EXPECT_DOUBLE_EQ(cached.cache.capacity.share, 0.25) << name;
    EXPECT_EQ(cached.cache.eviction, "lru") << name;
    EXPECT_EQ(cached.cache.scope, CacheScope::layer) << name;
  }
}

TEST(Policy, EveryKeyIsRead) {
  const PolicySpec policy = parse_policy_toml(R"(
placement = { kind = "popular", count = 3 }
cache = { scope = "global", capacity = "2 GiB", eviction = "arc", admission = "bypass", seed = 7 }
lookahead = { kind = "recorded", distance = 2 }
transfer = { chunk = "1 MiB", queue = "demand-first", staging_copies = 2, pinned = false }
compute = { experts = "per-expert" }
)",
                                              "dir/mine.toml");
  EXPECT_EQ(policy.name, "mine");
  EXPECT_EQ(policy.placement.kind->name, "popular");
  EXPECT_EQ(sim::policy_json(policy)["placement"]["count"], 3);
  EXPECT_EQ(policy.cache.scope, CacheScope::global);
  EXPECT_EQ(policy.cache.capacity.bytes.count, 2LL << 30);
  EXPECT_EQ(policy.cache.eviction, "arc");
  EXPECT_EQ(policy.cache.admission->name, "bypass");
  EXPECT_EQ(policy.cache.seed, 7U);
  EXPECT_EQ(policy.lookahead.predictor->name, "recorded");
  EXPECT_EQ(policy.lookahead.distance, 2);
  EXPECT_EQ(policy.transfer.chunk.count, 1 << 20);
  EXPECT_EQ(policy.transfer.queue->name, "demand-first");
  EXPECT_EQ(policy.transfer.staging_copies, 2);
  EXPECT_FALSE(policy.transfer.pinned);
  EXPECT_EQ(policy.compute.experts, ExpertCompute::per_expert);
}

TEST(Policy, OverridesOfKeysTheFileLeavesOut) {
  const std::vector<Override> changes = {
      parse_override("policy.cache.capacity=64 slots"), parse_override("policy.lookahead.distance=3"),
      parse_override("policy.transfer.pinned=false"),
      parse_override("machine.gpu.memory=1 GiB")};  // of another kind: ignored
  const PolicySpec policy = load_policy("pre-gated", changes);
  EXPECT_EQ(policy.cache.capacity.slots, 64);
  EXPECT_EQ(policy.lookahead.distance, 3);
  EXPECT_FALSE(policy.transfer.pinned);
}

TEST(Policy, ZeroMeansNone) {
  const auto with = [](const char* set) {
    const std::vector<Override> changes = {parse_override("policy.placement.kind=first-layers"),
                                           parse_override("policy.placement.count=0"), parse_override(set)};
    return load_policy("on-demand", changes);
  };
  EXPECT_EQ(with("policy.transfer.chunk=0").transfer.chunk.count, 0);
  EXPECT_EQ(with("policy.transfer.chunk=0 B").transfer.chunk.count, 0);
  EXPECT_EQ(parse_policy_toml("transfer.chunk = 0\nplacement = { kind = \"popular\", count = 0 }", "p.toml")
                .transfer.chunk.count,
            0);
}

// A cache makes misses on the CPU that are copied in the background a policy; it is given before the policy
// is judged, and only to policies that offload.
TEST(Policy, FlagsOfTheCacheComeBeforeTheJudgement) {
  const std::vector<Override> set = {parse_override("policy.miss.service=compute-on-cpu"),
                                     parse_override("policy.miss.admission=background")};
  const std::vector<Override> cache = {{"policy.cache.capacity", "4GiB", "--cache"}};
  EXPECT_THAT(error_of([&] { load_policy("on-demand", set); }), HasSubstr("needs a cache"));
  EXPECT_EQ(load_policy("on-demand", set, cache).cache.capacity.bytes.count, 4LL << 30);
  EXPECT_EQ(load_policy("gpu-only", {}, cache).cache.capacity.kind, CapacityKind::none);
  // A fetched miss is admitted by its fetch.
  EXPECT_EQ(load_policy("on-demand", std::span(set).last(1), cache).miss.service->name, "fetch");
  const std::vector<Override> wrong = {{"policy.cache.capacity", "4", "--cache"}};
  EXPECT_THAT(error_of([&] { load_policy("on-demand", {}, wrong); }), testing::StartsWith("--cache: "));
}

TEST(Policy, ContradictionsAndTyposAreErrors) {
  const auto refused = [](const char* text) { return error_of([&] { parse_policy_toml(text, "p.toml"); }); };
  EXPECT_THAT(refused("placement = { kind = \"popular\" }"), HasSubstr("placement.count is missing"));
  EXPECT_THAT(refused("placement = { kind = \"all\", count = 2 }"), HasSubstr("means nothing"));
  EXPECT_THAT(refused("placement.kind = \"some\""),
              HasSubstr("valid: none, all, popular, random, first-layers"));
  EXPECT_THAT(refused("lookahead = { kind = \"pre-gate\", distance = 0 }"), HasSubstr("0 is out of range"));
  EXPECT_THAT(
      refused("\nlookahead = { kind = \"predictor\" }"),
      AllOf(HasSubstr("p.toml:2: lookahead.kind: 'predictor'"), HasSubstr("called 'given-recall' now")));
  EXPECT_THAT(refused("lookahead = { distance = 2 }"), HasSubstr("without a lookahead"));
  EXPECT_THAT(refused("\n[cache]\nscop = \"layer\""),
              testing::AllOf(HasSubstr("p.toml:3"), HasSubstr("'scope'")));
  EXPECT_THAT(refused("cache.capacity = 64"), HasSubstr("must be text"));
  EXPECT_THAT(refused("transfer.chunk = \"1 B\""),
              AllOf(HasSubstr("transfer.chunk: '1 B' is out of range"), HasSubstr("at least 4 KiB")));
  EXPECT_THAT(refused("compute = 3"), HasSubstr("not a table"));
}

}  // namespace
}  // namespace pregate
