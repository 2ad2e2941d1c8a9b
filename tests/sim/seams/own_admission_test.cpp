// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// An admission: which misses enter the cache. Defined here, in one file, chosen by name like any other.
#include <gtest/gtest.h>

#include "sim/run/replay.hpp"
#include "tests/sim/driven_cache.hpp"
#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

struct Divisor {
  int of = 2;
};

/// Experts whose id is a multiple.
class Multiples final : public cache::AdmissionFilter {
 public:
  explicit Multiples(int of) : of_(static_cast<ExpertKey>(of)) {}
  void choose(std::uint32_t, std::span<const ExpertKey>, std::span<const ExpertKey> misses,
              std::span<std::uint8_t> enters) override {
    for (std::size_t i = 0; i < misses.size(); ++i) enters[i] = misses[i] % of_ == 0 ? 1 : 0;
  }

 private:
  ExpertKey of_;
};

AdmissionEntry multiples() {
  AdmissionEntry entry;
  entry.name = "multiples";
  entry.help = "whose id is a multiple";
  Fields<Divisor> fields;
  fields.add("multiple_of", &Divisor::of, "of this number", pregate::Range{2, 9, "from 2 to 9"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& divisor, const cache::CacheGeometry&) {
    return std::make_unique<Multiples>(std::any_cast<const Divisor&>(divisor).of);
  };
  return entry;
}

const Parts& with_multiples() {
  static const Parts with_it = [] {
    Parts parts = built_in_parts();
    parts.admissions.add(multiples());
    return parts;
  }();
  return with_it;
}

PolicySpec admitting(const std::string& eviction = "lru") {
  return load_policy("on-demand-cache",
                     std::vector<Override>{{"policy.cache.admission", "multiples"},
                                           {"policy.cache.eviction", eviction},
                                           {"policy.cache.capacity", "2 slots"}},
                     {}, with_multiples());
}

// One layer, an expert a step. Odd ones are fetched each time and evict nobody: 0 and 2 stay.
TEST(OwnAdmission, TurnsMissesAway) {
  const ModelSpec model = test::tiny_model(1, 8, 1);
  test::ListSource source(test::decoder_info(1, 8, 1));
  bool first = true;
  for (const std::uint16_t expert : std::vector<std::uint16_t>{0, 2, 1, 1, 3, 0, 2, 1})
    source.add(trace::Phase::decode, 1, {expert}, std::exchange(first, false));
  const SimulationResult result = test::run(model, test::tiny_machine(), admitting(), source);
  EXPECT_EQ(result.decode_cache.hits, 2);
  EXPECT_EQ(result.decode_cache.misses, 6);
  EXPECT_EQ(result.tally.exposed_transfer, copy_time() * 6);
  const ReplayResult replayed = replay(source, admitting(), {});
  EXPECT_EQ(replayed.hits, 2);
}

// A filter keeps the fast ways that look a whole pass up from being taken: all executors see the same.
TEST(OwnAdmission, ExecutorsAgree) {
  const ModelSpec model = test::tiny_model(4, 8, 2);
  test::ListSource source = test::random_source(11, 4, 8, 2, 2, 5, 40);
  std::int64_t fewest = std::numeric_limits<std::int64_t>::max();
  for (const char* eviction : {"lru", "lfu", "fifo", "arc", "s3-fifo", "belady", "random"}) {
    for (const char* lookahead : {"none", "pre-gate", "given-recall"}) {
      PolicySpec chosen = admitting(eviction);
      choose(chosen.lookahead.predictor, built_in_parts().predictors, lookahead);
      SCOPED_TRACE(std::string(eviction) + ", " + lookahead);
      const SimulationResult timed = test::run(model, test::tiny_machine(), chosen, source),
                             event = test::run(model, test::tiny_machine(), chosen, source,
                                               {.engine = Engine::event});
      test::expect_same_run(timed, event);
      fewest = std::min(fewest, timed.decode_cache.hits);
    }
  }
  EXPECT_GT(fewest, 0);
}

// Profiles fill a cache before the run whatever the admission says of its misses.
TEST(OwnAdmission, IsAskedAfterTheStart) {
  cache::CacheGeometry geometry = test::layered(1, 8, 2);
  geometry.start = {1, 3};
  geometry.make_filter = [](const cache::CacheGeometry&) { return std::make_unique<Multiples>(2); };
  test::DrivenCache cache("lru", geometry);
  EXPECT_EQ(cache.access(0, {1, 3}), 2U);
  EXPECT_EQ(cache.access(0, {5}), 0U);  // turned away
  EXPECT_EQ(cache.access(0, {1, 3}), 2U);
  EXPECT_EQ(cache.access(0, {4}), 0U);  // enters for the older one
  EXPECT_EQ(cache.access(0, {1, 4}), 1U);
}

// The product's own: the second miss enters, and whoever was evicted begins again.
TEST(AfterMisses, LetsTheSecondMissIn) {
  const Chosen<AdmissionEntry> second = built_in_parts().admissions.find("after-misses", "test");
  cache::CacheGeometry geometry = test::layered(1, 8, 1);
  geometry.make_filter = [&](const cache::CacheGeometry& made) {
    return second->make(second.parameters(), made);
  };
  test::DrivenCache cache("lru", geometry);
  const std::vector<std::pair<cache::ExpertKey, bool>> hits = {{0, false}, {0, false}, {0, true},  {1, false},
                                                               {0, true},  {1, false}, {0, false}, {1, true}};
  for (std::size_t i = 0; i < hits.size(); ++i)
    EXPECT_EQ(cache.access(0, {hits[i].first}), hits[i].second ? 1U : 0U) << i;
}

}  // namespace
}  // namespace pregate::sim
