// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Experts of which a part stays on the GPU and a part is copied.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/cost/cost_model.hpp"
#include "sim/report/metrics.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

using testing::HasSubstr;

// FloE (arXiv:2505.05950): of an fp16 Mixtral expert of 352 MB, 3 x 4096 x 14336 x 2 B, a copy brings 1 -
// sparsity of gate and down: .1 x 2/3 are 23.5 MB, at 25 GB/s .94 ms; with a sparsity of .8 47.0 MB and 1.88
// ms.
TEST(PartialExperts, CopyWhatFloECopies) {
  const ModelSpec model = load_model("mixtral-8x7b");
  MachineSpec machine = load_machine("rtx3090-pcie4");
  machine.h2d = {
      .bandwidth = {25e9}, .latency = {}, .per_copy = {}, .pageable_bandwidth = {25e9}, .table = {}};
  const auto copy = [&](double sparsity) {
    PolicySpec policy = load_policy("on-demand");
    policy.formats.copied = (1 - sparsity) * 2 / 3;
    return CostModel(model, machine, policy).fetch();
  };
  EXPECT_EQ(copy(.9).bytes.count, 23'488'103);  // 352,321,536 / 15 = 23,488,102.4
  EXPECT_NEAR(copy(.9).duration.milliseconds(), .94, .005);
  EXPECT_NEAR(copy(.8).duration.milliseconds(), 1.88, .005);
}

struct Partial : testing::Test {
  ModelSpec model = test::tiny_model(1, 8, 2);
  test::ListSource source{test::decoder_info(1, 8, 2)};
  PolicySpec policy = load_policy("on-demand");
  Partial() {
    source.add(trace::Phase::decode, 1, {1, 2}, true);
    source.add(trace::Phase::decode, 1, {1, 3});
    policy.cache.capacity = parse_capacity("2 slots", "test");
  }
  [[nodiscard]] SimulationResult result() { return test::run(model, test::tiny_machine(), policy, source); }
};

// A quarter of all experts stays and the rest is copied: three misses of 73,728 B, two slots of as many, and
// eight times 24,576 B resident. Nothing of a weight is missing.
TEST_F(Partial, HoldAShareOfAllAndCopyTheRest) {
  policy.formats.held = .25;
  policy.formats.copied = .75;
  const SimulationResult part = result();
  EXPECT_EQ(part.tally.fetched.count, 3 * 73'728);
  const auto of = [&](MemoryPurpose purpose) {
    return part.memory.peak[static_cast<std::size_t>(purpose)].count;
  };
  EXPECT_EQ(of(MemoryPurpose::expert_cache), 2 * 73'728);
  EXPECT_EQ(of(MemoryPurpose::resident_experts), 8 * 24'576);
  for (const std::string& note : part.notes) EXPECT_EQ(note.find("not exact"), std::string::npos) << note;
  // The same bytes of cache hold more such experts.
  policy.cache.capacity = parse_capacity(std::to_string(3 * 98'304) + " B", "test");
  EXPECT_EQ(result().cache_slots, 4);
}

TEST_F(Partial, AreNotExactWherePartsAreMissing) {
  policy.formats.held = .25;
  policy.formats.copied = .5;
  EXPECT_THAT(result().notes.back(), HasSubstr("not exact"));
}

// A copy of everything is what it was; of half it is sooner there, for every executor.
TEST_F(Partial, WholeIsWhole) {
  const SimulationResult whole = result();
  policy.formats.copied = 1;
  policy.formats.held = 0;
  EXPECT_EQ(result().total, whole.total);
  policy.formats.copied = .5;
  EXPECT_LT(result().total, whole.total);
  EXPECT_EQ(test::run(model, test::tiny_machine(), policy, source, {.engine = Engine::event}).total,
            result().total);
}

// Kernels that cannot read the format: each of a layer's two experts takes 98,304 B / 2 GB/s more in each of
// two passes, whoever executes them.
TEST_F(Partial, UnpackInEveryPass) {
  const SimulationResult read = result();
  policy.formats.unpack = {2e9};
  EXPECT_EQ(result().total - read.total, Picoseconds{2 * 2 * 49'152'000LL});
  EXPECT_EQ(test::run(model, test::tiny_machine(), policy, source, {.engine = Engine::event}).total,
            result().total);
}

TEST_F(Partial, GoWithWholeExpertsNeitherResidentNorLow) {
  policy.formats.copied = .5;
  policy.formats.low = "fp8";
  EXPECT_THROW(validate(policy, "test"), InputError);
  policy.formats.low.clear();
  EXPECT_NO_THROW(validate(policy, "test"));
  PolicySpec resident = load_policy("gpu-only");
  resident.formats.held = .5;
  EXPECT_THROW(validate(resident, "test"), InputError);
}

}  // namespace
}  // namespace pregate::sim
