// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Miss services that compute less than the trace's routing, or another: by what the router gave an expert.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/report/metrics.hpp"
#include "sim/workload/gate_shares.hpp"
#include "sim/workload/step_gates.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

PolicySpec served_by(const std::string& service, const std::string& parameter = "",
                     const std::string& value = "") {
  PolicySpec policy = load_policy("on-demand");
  choose(policy.miss.service, built_in_parts().miss_services, service);
  if (!parameter.empty()) policy.miss.service.set(parameter, value);
  return policy;
}

std::int64_t fetches(const PolicySpec& policy, trace::StepSource& source, const ModelSpec& model) {
  MachineSpec machine = test::tiny_machine();
  machine.d2h = machine.h2d;
  return test::run(model, machine, policy, source).tally.fetches;
}

// Token 1: .6 .3 .1, not normalised (x 2); token 2 ranks them 3 > 1 > 2. Better-ranked shares are the least
// of both: expert 1: 0 (token 1 has it first); 2: .6 (token 1; .9 in token 2); 3: 0 (token 2).
TEST(GateShares, AreThoseOfTheTokenThatWantsItMost) {
  const ExpertMap map(test::decoder_info(1, 8, 3));
  trace::Step step;
  step.tokens = 2;
  const std::vector<std::uint16_t> ids{1, 2, 3, 1, 2, 3};
  const std::vector<float> weights{1.2F, .6F, .2F, .2F, .1F, .7F};
  step.experts = ids;
  step.weights = weights;
  StepGates gates(map);
  StepRouting routing(map);
  gates.load(step);
  routing.load(step);
  GateShares shares;
  shares.load(gates.outcome(0, routing));
  EXPECT_NEAR(shares.better(0), 0, 1e-6);
  EXPECT_NEAR(shares.better(1), .6, 1e-6);
  EXPECT_NEAR(shares.better(2), 0, 1e-6);
}

// The rule of HOBBIT's lightest experts: weights (.95, .05) leave the second out, (.70, .30) and (.55, .45)
// do not. Seven of eight misses are copied, and a limit of 1 copies all.
TEST(SkipService, DropsWhatBetterExpertsOutweigh) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  test::ListSource source(test::decoder_info(1, 8, 2));
  for (const std::vector<float>& weights :
       std::vector<std::vector<float>>{{.7F, .3F}, {.95F, .05F}, {.55F, .45F}, {.9F, .1F}}) {
    source.add(trace::Phase::decode, 1, {1, 2});
    source.weigh(weights);
  }
  const SimulationResult result = test::run(model, test::tiny_machine(), served_by("skip"), source);
  EXPECT_EQ(result.tally.fetches, 7) << "exactly .9 is not more than .9";
  EXPECT_EQ(result.decode_cache.dropped, 1);
  EXPECT_EQ(result.decode_cache.misses, 8);
  ASSERT_FALSE(result.notes.empty());
  EXPECT_THAT(result.notes.back(), HasSubstr("not exact: 12.5 % of the activated experts are dropped"));
  const auto exactness = [](const SimulationResult& of) {
    for (const Metric& metric : metrics()) {
      if (metric.name == "not_exact") return metric.value(of);
    }
    return MetricValue("no such metric");
  };
  EXPECT_EQ(exactness(result), MetricValue("activated experts are dropped"));
  const SimulationResult all =
      test::run(model, test::tiny_machine(), served_by("skip", "above", "1"), source);
  EXPECT_EQ(all.tally.fetches, 8);
  EXPECT_EQ(exactness(all), MetricValue());
  EXPECT_EQ(all.total, test::run(model, test::tiny_machine(), load_policy("on-demand"), source).total);
}

TEST(SkipService, RefusesATraceWithoutWeights) {
  test::ListSource source = test::random_source(1, 1, 8, 2, 1, 0, 3);
  try {
    test::run(test::tiny_model(1, 8, 2), test::tiny_machine(), served_by("skip"), source);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("needs a trace with gate weights"));
  }
}

std::vector<Serving> decided(const std::string& name, const Misses& misses) {
  const Chosen<MissServiceEntry> chosen = built_in_parts().miss_services.find(name, "test");
  std::vector<Serving> of_each(misses.keys.size());
  chosen->make(chosen.parameters())->decide({}, misses, of_each);
  return of_each;
}

// DAOP: of a token's two absent experts the heavier runs on the CPU and the lighter one is replaced; a single
// absent one is not.
TEST(CpuOrSubstitute, ReplacesTheLighterOfTwo) {
  const std::vector<ExpertKey> both{5, 6}, idle{1, 2};
  const std::vector<std::uint32_t> ones{1, 1};
  const std::vector<double> better{.7, 0};
  std::vector<Serving> of_each = decided("cpu-or-substitute", {both, ones, {}, {}, better, idle});
  EXPECT_EQ(of_each[0].service, Service::substitute);
  EXPECT_EQ(of_each[0].instead, 1U);
  EXPECT_EQ(of_each[1].service, Service::compute);
  of_each =
      decided("cpu-or-substitute",
              {std::span(both).first(1), std::span(ones).first(1), {}, {}, std::span(better).first(1), idle});
  EXPECT_EQ(of_each[0].service, Service::compute);
  of_each = decided("cpu-or-substitute", {both, ones, {}, {}, better, {}});
  EXPECT_EQ(of_each[0].service, Service::compute) << "nobody could stand in";
}

// Two slots hold 1 and 2. {1, 3}: 3 is the only miss and is copied, 2 leaves. {4, 5} misses both: 4 is
// copied, and for 5, the lighter one, 1 is computed (activated twice before, 3 once).
TEST(SubstituteService, ComputesTheResidentThatIsUsedMost) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  test::ListSource source(test::decoder_info(1, 8, 2));
  source.add(trace::Phase::decode, 1, {1, 2}, true);
  source.add(trace::Phase::decode, 1, {1, 3});
  source.add(trace::Phase::decode, 1, {4, 5});
  source.weigh_by_halves(2);
  PolicySpec policy = served_by("substitute", "kept", "2");
  policy.cache.capacity = parse_capacity("2 slots", "test");
  EXPECT_EQ(fetches(policy, source, model), 5);
  policy.miss.service.set("kept", "1");
  const SimulationResult result = recorded(model, policy, source);
  // The first step has nobody to stand in, and copies both.
  EXPECT_EQ(result.decode_cache.substituted, 1);
  EXPECT_EQ(result.decode_cache.hits, 1);
  EXPECT_EQ(result.tally.fetches, 4);
  EXPECT_THAT(result.notes.back(), HasSubstr("substituted"));
}

// What computes less of the routing never copies more of it, whatever the cache.
TEST(AlteredRouting, NeverCopiesMoreWithoutACache) {
  const ModelSpec model = test::tiny_model(3, 16, 4);
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    test::ListSource source = test::random_source(seed, 3, 16, 4, 2, 12, 30);
    source.weigh_by_halves(4);
    const std::int64_t all = fetches(load_policy("on-demand"), source, model);
    EXPECT_LT(fetches(served_by("skip", "above", "0.8"), source, model), all);
    EXPECT_LE(fetches(served_by("skip", "above", "0.4"), source, model),
              fetches(served_by("skip", "above", "0.8"), source, model));
    EXPECT_LE(fetches(served_by("substitute"), source, model), all);
  }
}

}  // namespace
}  // namespace pregate::sim
