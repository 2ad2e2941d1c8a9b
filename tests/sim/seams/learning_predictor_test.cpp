// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A predictor that learns from what it observes: defined here, in one file, chosen by name like any other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "sim/policy/policy_fields.hpp"
#include "sim/report/config_json.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

struct Memory {
  int most = 8;  ///< experts it names
};

/// In each layer those that were activated the last time, as far back as `most` of them.
class LastTime final : public Predictor {
 public:
  explicit LastTime(const Memory& memory) : most_(static_cast<std::size_t>(memory.most)) {}
  void observe(int ordinal, std::span<const ExpertKey> activated, std::span<const std::uint32_t>) override {
    std::vector<ExpertKey>& last = last_[ordinal];
    last.insert(last.begin(), activated.begin(), activated.end());
    if (last.size() > most_) last.resize(most_);
  }
  std::span<const ExpertKey> predict(int, int target) override { return last_[target]; }

 private:
  std::size_t most_;
  std::map<int, std::vector<ExpertKey>> last_;
};

PredictorEntry last_time() {
  PredictorEntry entry;
  entry.name = "last-time";
  entry.help = "those of the last time";
  Fields<Memory> fields;
  fields.add("most", &Memory::most, "experts that are named", pregate::Range{1, 100, "from 1 to 100"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& memory, const ExpertMap&) {
    return std::make_unique<LastTime>(std::any_cast<const Memory&>(memory));
  };
  return entry;
}

const Parts& parts() {
  static const Parts with_it = [] {
    Parts parts = built_in_parts();
    parts.predictors.add(last_time());
    return parts;
  }();
  return with_it;
}

PolicySpec policy(const std::string& most = "1") {
  return load_policy(
      "on-demand",
      std::vector<Override>{{"policy.lookahead.kind", "last-time"}, {"policy.lookahead.most", most}}, {},
      parts());
}

// Two layers of one expert, three steps: the first teaches, the second is predicted (its second layer's copy
// runs beside the experts of the first), the third is predicted wrongly and fetches again.
TEST(LearningPredictor, HidesWhatItHasSeen) {
  const ModelSpec model = test::tiny_model(2, 8, 1);
  const auto source = [](std::uint16_t third) {
    test::ListSource steps(test::decoder_info(2, 8, 1));
    steps.add(trace::Phase::decode, 1, {0, 1}, true);
    steps.add(trace::Phase::decode, 1, {0, 1});
    steps.add(trace::Phase::decode, 1, {0, third});
    return steps;
  };
  test::ListSource right = source(1), wrong = source(2);
  const Durations d = durations(model, right);
  ASSERT_LT(copy_time(), d.experts + d.attention + d.gate + d.readback);  // one copy hides in the window

  const SimulationResult result = test::run(model, test::tiny_machine(), policy(), right);
  EXPECT_EQ(result.decode_cache.prefetched, 2);
  EXPECT_EQ(result.decode_cache.wasted, 0);
  EXPECT_EQ(result.tally.exposed_transfer, copy_time() * 4);  // all but the second layer's of steps 2 and 3

  const SimulationResult mistaken = test::run(model, test::tiny_machine(), policy(), wrong);
  EXPECT_EQ(mistaken.decode_cache.prefetched, 1);
  EXPECT_EQ(mistaken.decode_cache.wasted, 1);
  EXPECT_EQ(mistaken.tally.exposed_transfer, copy_time() * 5);
}

TEST(LearningPredictor, ExecutorsAgree) {
  const ModelSpec model = test::tiny_model(4, 8, 2);
  test::ListSource source = test::random_source(11, 4, 8, 2, 2, 5, 40);
  for (const char* cache : {"0", "25%"}) {
    PolicySpec learned = policy("3");
    learned.cache.capacity = parse_capacity(cache, "test");
    const SimulationResult timed = test::run(model, test::tiny_machine(), learned, source),
                           event = test::run(model, test::tiny_machine(), learned, source,
                                             {.engine = Engine::event});
    EXPECT_EQ(timed.total, event.total);
    EXPECT_EQ(timed.tally.busy, event.tally.busy);
    EXPECT_EQ(timed.tally.exposed_transfer, event.tally.exposed_transfer);
  }
}

// What it says of itself is read, checked, listed and shown without another line.
TEST(LearningPredictor, DescribesItself) {
  EXPECT_EQ(policy_json(policy("3"), policy_fields(parts()))["lookahead"]["most"], 3);
  EXPECT_THROW(policy("0"), InputError);
  EXPECT_THROW(load_policy("on-demand", std::vector<Override>{{"policy.lookahead.most", "3"}}, {}, parts()),
               InputError);
  try {
    load_policy("on-demand", std::vector<Override>{{"policy.lookahead.kind", "last-tim"}}, {}, parts());
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("last-time"));
  }
}

}  // namespace
}  // namespace pregate::sim
