// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// An observer, defined here: it hears of every operation and every pass once, whichever executor runs, and
// what it hears is all that the books of a run are made of.
#include <gtest/gtest.h>

#include <map>

#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

/// Keeps its own books.
class Books final : public Observer {
 public:
  void ended(const EndedOperation& operation) override {
    EXPECT_TRUE(operations.emplace(operation.id, operation).second) << operation.id << " ended twice";
    EXPECT_GE(operation.start, last_start_[operation.stream]) << "of a stream in the order of their starts";
    last_start_[operation.stream] = operation.start;
  }
  void block(Picoseconds latency) override { blocks.push_back(latency); }
  void ran(std::span<const Row> rows, Picoseconds begin, Picoseconds end) override {
    EXPECT_GE(begin, passes.empty() ? Picoseconds{} : passes.back().second);
    passes.emplace_back(begin, end);
    for (const Row& row : rows) tokens += row.accepted;
  }

  std::map<OpId, EndedOperation> operations;
  std::vector<Picoseconds> blocks;
  std::vector<std::pair<Picoseconds, Picoseconds>> passes;
  std::int64_t tokens = 0;

 private:
  std::map<StreamId, Picoseconds> last_start_;
};

/// What leads to an operation: what it and those before it are spent on, and the time between them.
PathPoint path_to(const Books& books, OpId id) {
  PathPoint path;
  path.id = id;
  path.finish = books.operations.at(id).finish;
  while (id != no_op) {
    const EndedOperation& operation = books.operations.at(id);
    path.spent += operation.spent;
    const Picoseconds from =
        operation.before == no_op ? Picoseconds{} : books.operations.at(operation.before).finish;
    path.waiting += operation.start - from;
    id = operation.before;
  }
  return path;
}

void expect_all_of(const SimulationResult& result, const Books& books) {
  const auto count = static_cast<std::int64_t>(books.operations.size());
  ASSERT_GT(count, 0);
  EXPECT_EQ(result.tally.operations, count);
  EXPECT_EQ(books.operations.rbegin()->first, count - 1) << "numbered without gaps";
  std::vector<Picoseconds> busy(result.tally.busy.size());
  CauseSums spent;
  Bytes weights;
  for (const auto& [id, operation] : books.operations) {
    busy[number_of(operation.stream)] += operation.finish - operation.start;
    spent += operation.spent;
    weights += operation.weights;
  }
  EXPECT_EQ(result.tally.busy, busy);
  EXPECT_TRUE(result.tally.spent == spent);
  EXPECT_EQ(result.tally.fetched, weights);
  const PathPoint path = path_to(books, result.path.id);
  EXPECT_EQ(result.path.finish, path.finish);
  EXPECT_TRUE(result.path.spent == path.spent);
  EXPECT_EQ(result.path.waiting, path.waiting);
  EXPECT_EQ(result.tally.block_latency.count(), static_cast<std::int64_t>(books.blocks.size()));
  EXPECT_EQ(result.steps, static_cast<std::int64_t>(books.passes.size()));
  EXPECT_EQ(result.output_tokens, books.tokens);
  EXPECT_EQ(result.total, books.passes.back().second);
}

SimulationResult observed(const PolicySpec& policy, const MachineSpec& machine, trace::StepSource& source,
                          Engine engine, Books& books) {
  SimulationResult result = test::run(test::tiny_model(4, 16, 2), machine, policy, source,
                                      {.engine = engine, .observers = {&books}});
  expect_all_of(result, books);
  return result;
}

TEST(OwnObserver, HearsOfEverythingOnceOnBothExecutors) {
  for (const char* name : {"gpu-only", "on-demand", "pre-gated-cache", "prefetch-all-cache"}) {
    for (const TransferEntry& order : built_in_parts().transfers.entries()) {
      SCOPED_TRACE(std::string(name) + ", " + order.name);
      PolicySpec policy = load_policy(name);
      policy.transfer.queue = order;
      test::ListSource source = test::random_source(3, 4, 16, 2, 2, 5, 20);
      Books timed, event;
      const SimulationResult on_streams =
          observed(policy, test::tiny_machine(), source, Engine::timed, timed);
      const SimulationResult on_events = observed(policy, test::tiny_machine(), source, Engine::event, event);
      ASSERT_EQ(timed.operations.size(), event.operations.size());
      for (const auto& [id, operation] : timed.operations) {
        const EndedOperation& same = event.operations.at(id);
        EXPECT_EQ(operation.kind, same.kind) << id;
        EXPECT_EQ(operation.start, same.start) << id;
        EXPECT_EQ(operation.finish, same.finish) << id;
        EXPECT_EQ(operation.weights, same.weights) << id;
        EXPECT_TRUE(operation.spent == same.spent) << id;
      }
      EXPECT_EQ(timed.passes, event.passes);
      // Looking on changes nothing, though without it another way may be taken.
      const SimulationResult alone =
          test::run(test::tiny_model(4, 16, 2), test::tiny_machine(), policy, source);
      test::expect_same_run(on_streams, alone);
      test::expect_same_run(on_events, alone);
    }
  }
}

// Where flows share the host's memory an operation takes longer than alone; wrong guesses are taken back.
TEST(OwnObserver, HearsOfWhatSharesAndOfWhatIsTakenBack) {
  test::ListSource source = test::random_source(3, 4, 16, 2, 2, 5, 20);
  PolicySpec shares = load_policy("on-demand-cache");
  choose(shares.miss.service, built_in_parts().miss_services, "compute-on-cpu");
  shares.miss.admission = MissAdmission::background;
  MachineSpec machine = test::tiny_machine();
  machine.host.memory_bandwidth = {1.5e9};
  Books sharing;
  observed(shares, machine, source, Engine::event, sharing);

  PolicySpec takes_back = load_policy("on-demand");
  choose(takes_back.lookahead.predictor, built_in_parts().predictors, "given-recall");
  takes_back.lookahead.predictor.set("recall", "0.3");
  takes_back.prefetch.wrong = WrongGuesses::cancel;
  machine = test::tiny_machine();
  machine.h2d.bandwidth = {3e8};
  for (const Engine engine : {Engine::timed, Engine::event}) {
    Books books;
    EXPECT_GT(observed(takes_back, machine, source, engine, books).decode_cache.cancelled, 0);
  }
}

}  // namespace
}  // namespace pregate::sim
