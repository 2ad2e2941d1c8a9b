// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Experts of which a part stays on the GPU and a part is copied.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/cost/cost_model.hpp"
#include "sim/engine/event_engine.hpp"
#include "sim/report/metrics.hpp"
#include "tests/sim/lookahead_runs.hpp"

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

Override part(const char* share) { return {"formats.cached", share}; }

std::vector<std::int64_t> bytes_of(const SimulationResult& run, OpKind kind, std::int64_t step) {
  std::vector<std::int64_t> all;
  for (std::size_t i = 0; i < run.schedule.size(); ++i) {
    const Operation& operation = run.schedule.operation(static_cast<OpId>(i));
    if (operation.kind == kind && operation.step == step) all.push_back(operation.bytes.count);
  }
  return all;
}

// MoEpic: a quarter of each cached expert is in the cache. Two misses of 98,304 B come whole; then expert 1
// hits and copies 73,728 B, 3 misses. Two such slots take half of one expert.
TEST(SplitHits, CopyTheRest) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  test::ListSource source = steps(1, 8, 2, {{1, 2}, {1, 3}, {1, 3}});
  const SimulationResult run =
      recorded(model, policy({part("0.25"), {"cache.capacity", "2 slots"}}, "on-demand-cache"), source);
  EXPECT_EQ(run.decode_cache.hits, 3);
  EXPECT_EQ(run.decode_cache.misses, 3);
  EXPECT_EQ(bytes_of(run, OpKind::fetch, 0), (std::vector<std::int64_t>{98'304, 98'304}));
  EXPECT_EQ(bytes_of(run, OpKind::fetch, 1), (std::vector<std::int64_t>{73'728, 98'304}));
  EXPECT_EQ(bytes_of(run, OpKind::fetch, 2), (std::vector<std::int64_t>{73'728, 73'728}));
  EXPECT_EQ(run.tally.fetched.count, 3 * 98'304 + 3 * 73'728);
  const auto of = [&](MemoryPurpose purpose) {
    return run.memory.peak[static_cast<std::size_t>(purpose)].count;
  };
  EXPECT_EQ(of(MemoryPurpose::expert_cache), 2 * 98'304 / 4);
  EXPECT_EQ(of(MemoryPurpose::working_buffers), 2 * 98'304);
  for (const std::string& note : run.notes) EXPECT_EQ(note.find("not exact"), std::string::npos) << note;
  // As many bytes hold four times as many.
  const std::string bytes = std::to_string(2 * 98'304) + " B";
  EXPECT_EQ(recorded(model, policy({part("0.25"), {"cache.capacity", bytes}}, "on-demand-cache"), source)
                .cache_slots,
            8);
}

// A hit computes when the rest is there: 10 us + 73,728 B at 1 GB/s after the ids, a miss after 98,304 B.
TEST(SplitHits, WaitForTheRest) {
  const ModelSpec model = test::tiny_model(1, 8, 1);
  test::ListSource source = steps(1, 8, 1, {{1}, {1}});
  const SimulationResult run =
      recorded(model, policy({part("0.25"), {"cache.capacity", "2 slots"}}, "on-demand-cache"), source);
  std::vector<Picoseconds> waited;
  Picoseconds ids;
  for (std::size_t i = 0; i < run.schedule.size(); ++i) {
    const OpKind kind = run.schedule.operation(static_cast<OpId>(i)).kind;
    if (kind == OpKind::gate_readback) ids = run.timeline.finish[i];
    if (kind == OpKind::experts) waited.push_back(run.timeline.start[i] - ids);
  }
  ASSERT_EQ(waited.size(), 2U);
  EXPECT_EQ(waited[0], Picoseconds{copy_us * us} + time_at(Bytes{98'304}, {1e9}));
  EXPECT_EQ(waited[1], Picoseconds{copy_us * us} + time_at(Bytes{73'728}, {1e9}));
}

// With guesses that are right the rest of a hit comes ahead, behind the layer before; hits and misses are
// those of the same slots with whole experts, whatever the part.
TEST(SplitHits, EnginesAndTheExportedScheduleAgree) {
  const ModelSpec model = test::tiny_model(5, 16, 3);
  const std::vector<std::pair<const char*, Set>> variants = {
      {"on-demand-cache", {}},
      {"pre-gated-cache", {}},
      {"moepic", {}},
      {"on-demand-cache",
       {{"lookahead.kind", "given-recall"}, {"lookahead.recall", "0.6"}, {"transfer.queue", "demand-first"}}},
      {"on-demand-cache",
       {{"lookahead.kind", "given-recall"}, {"lookahead.recall", "0.6"}, {"prefetch.wrong", "cancel"}}},
      {"pre-gated-cache", {{"compute.experts", "per-expert"}, {"cache.scope", "global"}}}};
  for (const auto& [of, set] : variants) {
    for (const double rate : {2e8, 2e9, 1e11}) {
      test::ListSource source = test::random_source(6, 5, 16, 3, 4, 6, 12);
      MachineSpec machine = test::tiny_machine();
      machine.h2d.bandwidth = {rate};
      SCOPED_TRACE(std::string(of) + ", " + std::to_string(rate) + (set.empty() ? "" : set.back().path));
      const Set whole = joined(set, {{"cache.capacity", "30%"}});
      const SimulationResult all = test::run(model, machine, policy(joined(whole, {part("1")}), of), source);
      for (const char* share : {"0.3", "0.8"}) {
        const PolicySpec split = policy(joined(whole, {part(share)}), of);
        const SimulationResult run = run_both(model, machine, split, source);
        EXPECT_EQ(run.decode_cache.hits, all.decode_cache.hits);
        EXPECT_EQ(run.decode_cache.misses, all.decode_cache.misses);
        EXPECT_GE(run.tally.fetched, all.tally.fetched);
        const SimulationResult recorded =
            test::run(model, machine, split, source, {.recorded_steps = 1'000'000});
        const Timeline again = sim::run(recorded.schedule);
        EXPECT_EQ(again.start, recorded.timeline.start);
        EXPECT_EQ(again.finish, recorded.timeline.finish);
      }
    }
  }
}

TEST(SplitHits, RefuseWhatDoesNotGoTogether) {
  for (const Set& set :
       std::vector<Set>{{{"cache.capacity", "0"}},
                        {{"transfer.chunk", "40 kB"}},
                        {{"transfer.staging_copies", "1"}},
                        {{"compute.micro_batches", "2"}},
                        {{"formats.copied", "0.5"}},
                        {{"lookahead.kind", "all-next"}},
                        {{"transfer.write_back", "swap"}},
                        {{"miss.service", "compute-on-cpu"}, {"miss.admission", "background"}}}) {
    EXPECT_THROW(policy(joined({part("0.5")}, set), "on-demand-cache"), InputError) << set.back().path;
  }
}

}  // namespace
}  // namespace pregate::sim
