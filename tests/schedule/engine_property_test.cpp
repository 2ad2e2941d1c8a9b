// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "sim/engine/event_engine.hpp"
#include "tests/schedule/fluid_reference.hpp"
#include "tests/schedule/random_schedule.hpp"
#include "tests/support/one_gpu.hpp"

namespace pregate::sim {
namespace {

using namespace test;

std::vector<RandomSchedule> cases(int group) {
  std::vector<RandomSchedule> all;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    for (const StreamOrder order : {StreamOrder::fifo, StreamOrder::priority}) {
      all.push_back({.seed = seed, .operations = 150, .copy_order = order, .group = group});
    }
  }
  return all;
}

// Streams run one operation at a time, FIFO ones in issue order; dependencies are done first; nobody is
// faster than alone; a stream idles only while nothing on it may start.
TEST(EngineProperty, StreamsAndDependenciesAreKept) {
  for (const RandomSchedule& wanted : cases(0)) {
    const Schedule schedule = random_schedule(wanted);
    const Timeline timeline = run(schedule);
    std::array<std::vector<OpId>, one_gpu::streams> ran;
    for (OpId id = 0; id < static_cast<OpId>(schedule.size()); ++id) {
      const auto i = static_cast<std::size_t>(id);
      const Operation& operation = schedule.operation(id);
      ran.at(static_cast<std::size_t>(operation.stream)).push_back(id);
      ASSERT_GE(timeline.finish[i] - timeline.start[i], unloaded_duration(operation));
      if (operation.bytes.count == 0) {
        ASSERT_EQ(timeline.finish[i] - timeline.start[i], operation.fixed);
      }
      for (const OpId dependency : schedule.dependencies(id)) {
        ASSERT_GE(timeline.start[i], timeline.finish[static_cast<std::size_t>(dependency)]);
      }
    }
    for (std::size_t stream = 0; stream < ran.size(); ++stream) {
      auto& ids = ran.at(stream);
      const bool fifo = schedule.platform.streams[stream].order == StreamOrder::fifo;
      const auto span_of = [&](OpId id) {
        const auto i = static_cast<std::size_t>(id);
        return std::tuple(timeline.start[i], timeline.finish[i], id);
      };
      if (!fifo) std::sort(ids.begin(), ids.end(), [&](OpId a, OpId b) { return span_of(a) < span_of(b); });
      Picoseconds free;
      for (const OpId id : ids) {
        const auto i = static_cast<std::size_t>(id);
        ASSERT_GE(timeline.start[i], free);
        if (fifo) {  // exactly when the stream is free and the dependencies are done
          Picoseconds earliest = free;
          for (const OpId dependency : schedule.dependencies(id)) {
            earliest = std::max(earliest, timeline.finish[static_cast<std::size_t>(dependency)]);
          }
          ASSERT_EQ(timeline.start[i], earliest);
        }
        free = timeline.finish[i];
      }
    }
  }
}

// At no time does a resource carry more than its capacity, and every flow moves its bytes, no more and no
// less: rates summed over time give them to within what passes in a picosecond.
TEST(EngineProperty, CapacitiesHoldAndBytesAreConserved) {
  double worst_load = 0;
  for (const RandomSchedule& wanted : cases(0)) {
    const Schedule schedule = random_schedule(wanted);
    struct Interval {
      Picoseconds from, to;
      std::array<double, one_gpu::streams> rate;
    };
    std::vector<Interval> intervals;
    EventEngine engine(schedule.platform);
    engine.observe_rates([&intervals](Picoseconds from, Picoseconds to, auto rates) {
      Interval& interval = intervals.emplace_back(Interval{from, to, {}});
      for (std::size_t s = 0; s < rates.size(); ++s) interval.rate.at(s) = rates[s].value;
    });
    const auto count = static_cast<OpId>(schedule.size());
    for (OpId id = 0; id < count; ++id) engine.submit(schedule.operation(id), schedule.dependencies(id));
    engine.run();

    Picoseconds reached;
    for (const Interval& interval : intervals) {
      ASSERT_EQ(interval.from, reached);
      reached = interval.to;
    }
    std::vector<double> moved(schedule.size());
    for (const Interval& interval : intervals) {
      std::array<double, one_gpu::resources> load{};
      for (OpId id = 0; id < count; ++id) {
        const Operation& operation = schedule.operation(id);
        const double rate = interval.rate.at(static_cast<std::size_t>(operation.stream));
        const bool flowing = engine.start(id) + operation.fixed <= interval.from &&
                             engine.finish(id) >= interval.to && operation.bytes.count > 0;
        if (!flowing) continue;
        ASSERT_GT(rate, 0);
        ASSERT_LE(rate, operation.rate.value);
        moved[static_cast<std::size_t>(id)] += rate * (interval.to - interval.from).seconds();
        for (std::size_t r = 0; r < load.size(); ++r) {
          if (((operation.resources >> r) & 1U) != 0) load[r] += rate;
        }
      }
      for (std::size_t r = 0; r < load.size(); ++r) {
        const double capacity = schedule.platform.resources[r].capacity.value;
        if (capacity == 0) continue;
        ASSERT_LE(load[r], capacity * (1 + 1e-11));
        worst_load = std::max(worst_load, load[r] / capacity);
      }
    }
    EXPECT_EQ(reached, engine.now());
    for (OpId id = 0; id < count; ++id) {
      const Operation& operation = schedule.operation(id);
      const auto bytes = static_cast<double>(operation.bytes.count);
      const double in_a_picosecond = operation.rate.value * 1e-12;
      ASSERT_NEAR(moved[static_cast<std::size_t>(id)], bytes, in_a_picosecond + bytes * 1e-12) << id;
    }
  }
  EXPECT_GT(worst_load, 1 - 1e-9);  // some resource was full
}

// The brute-force simulator agrees to one picosecond of rounding an operation.
TEST(EngineProperty, AgreesWithTheReferenceSimulator) {
  std::int64_t worst = 0;
  for (const RandomSchedule& wanted : cases(0)) {
    const Schedule schedule = random_schedule(wanted);
    const Timeline ours = run(schedule);
    const Timeline reference = run_reference(schedule);
    for (std::size_t i = 0; i < schedule.size(); ++i) {
      const auto off = std::max(std::abs((ours.start[i] - reference.start[i]).count),
                                std::abs((ours.finish[i] - reference.finish[i]).count));
      worst = std::max(worst, off);
      ASSERT_LE(off, static_cast<std::int64_t>(i) + 1)
          << "operation " << i << " of seed " << wanted.seed << ", " << to_string(wanted.copy_order);
    }
  }
  RecordProperty("worst_deviation_ps", std::to_string(worst));
}

// Operations that depend on a decision point may be submitted when it is reached instead of at the start, and
// old ones may be forgotten: the same times to the picosecond.
TEST(EngineProperty, IncrementalSubmissionChangesNothing) {
  constexpr int group = 15;
  for (const RandomSchedule& wanted : cases(group)) {
    const Schedule schedule = random_schedule(wanted);
    const Timeline whole = run(schedule);
    const auto count = static_cast<OpId>(schedule.size());

    EventEngine engine(schedule.platform);
    std::vector<bool> seen(schedule.size());
    OpId first_unseen = 0;
    OpId submitted = 0;
    while (submitted < count) {
      for (int i = 0; i < group && submitted < count; ++i, ++submitted) {
        engine.submit(schedule.operation(submitted), schedule.dependencies(submitted));
      }
      if (submitted == count) {
        engine.run();
      } else {
        engine.run_until(submitted - 1);
      }
      bool all_seen = true;
      for (OpId id = first_unseen; id < submitted; ++id) {
        const auto i = static_cast<std::size_t>(id);
        if (!seen[i] && engine.is_done(id)) {
          seen[i] = true;
          ASSERT_EQ(engine.start(id), whole.start[i]) << "operation " << id << " of seed " << wanted.seed;
          ASSERT_EQ(engine.finish(id), whole.finish[i]) << "operation " << id << " of seed " << wanted.seed;
        }
        all_seen = all_seen && seen[i];
        if (all_seen) first_unseen = id + 1;
      }
      engine.forget_before(first_unseen);
    }
    EXPECT_EQ(first_unseen, count);
  }
}

TEST(EngineProperty, RunsAreDeterministic) {
  const Schedule schedule =
      random_schedule({.seed = 99, .operations = 5'000, .copy_order = StreamOrder::priority});
  EXPECT_EQ(run(schedule), run(schedule));
}

}  // namespace
}  // namespace pregate::sim
