// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "models/error.hpp"
#include "sim/engine/event_engine.hpp"
#include "tests/schedule/build.hpp"
#include "tests/schedule/random_schedule.hpp"
#include "tests/support/one_gpu.hpp"

namespace pregate::sim {
namespace {

using namespace test;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* platform =
    R"("platform":{"capacity_bytes_per_s":{"link_h2d":25e9},"order":{"h2d":"priority"}})";

std::string with_operations(const std::string& operations) {
  return R"({"format":"pregate-schedule","version":1,)" + std::string(platform) + R"(,"operations":[)" +
         operations + "]}";
}

/// A schedule of one operation with `fields` added to it.
std::string with_fields(const std::string& fields) {
  return with_operations(R"({"id":0,"kind":"fetch","stream":"h2d",)" + fields + "}");
}

std::string refusal(const std::string& text) {
  try {
    Timeline timeline;
    (void)parse_schedule_json(text, "s.json", &timeline);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ScheduleJson, RoundTripKeepsEverything) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const Schedule schedule = random_schedule({.seed = seed, .copy_order = StreamOrder::priority});
    const Timeline timeline = run(schedule);
    Timeline read;
    EXPECT_EQ(parse_schedule_json(to_json(schedule, &timeline), "s.json", &read), schedule);
    EXPECT_EQ(read, timeline);
    EXPECT_EQ(parse_schedule_json(to_json(schedule, nullptr), "s.json", &read), schedule);
    EXPECT_TRUE(read.start.empty() && read.finish.empty());
  }
}

// Every field, at values that are not its default, and the text itself: it is an interface.
TEST(ScheduleJson, TextIsPinned) {
  Schedule schedule;
  schedule.platform = one_gpu::platform();
  schedule.platform[one_gpu::link_h2d].capacity = {25e9};
  schedule.platform[one_gpu::host_memory].capacity = {1.5e11};
  schedule.platform[one_gpu::h2d].order = StreamOrder::priority;
  schedule.add(work(one_gpu::host, {}, OpKind::step_overhead), {});
  schedule.add({.kind = OpKind::fetch,
                .stream = one_gpu::h2d,
                .priority = 2,
                .stack = 1,
                .layer = 3,
                .expert = 127,
                .slot = 9,
                .count = 4,
                .step = 12,
                .tokens = 7,
                .fixed = {8'000'000},
                .bytes = {18'874'368},
                .rate = {24.6e9},
                .resources = bit(one_gpu::link_h2d) | bit(one_gpu::host_memory)},
               {{0}});
  const Timeline timeline = run(schedule);
  const std::string expected =
      R"({"format":"pregate-schedule","version":1,
"platform":{"capacity_bytes_per_s":{"link_h2d":25000000000.0,"link_d2h":0.0,"host_memory":150000000000.0,"ssd":0.0},)"
      R"("order":{"compute":"fifo","h2d":"priority","d2h":"fifo","host":"fifo","ssd":"fifo","cpu":"fifo"}},
"operations":[
{"id":0,"kind":"step_overhead","stream":"host","start_ps":0,"finish_ps":0},
{"id":1,"kind":"fetch","stream":"h2d","priority":2,"stack":1,"layer":3,"expert":127,"slot":9,"count":4,"step":12,)"
      R"("tokens":7,"fixed_ps":8000000,"bytes":18874368,"rate_bytes_per_s":24600000000.0,)"
      R"("resources":["link_h2d","host_memory"],"after":[0],"start_ps":0,"finish_ps":775250732}
]}
)";
  EXPECT_EQ(to_json(schedule, &timeline), expected);
  Timeline read;
  EXPECT_EQ(parse_schedule_json(expected, "s.json", &read), schedule);
  EXPECT_EQ(read, timeline);
}

TEST(ScheduleJson, MinimalFileIsAccepted) {
  const Schedule schedule = parse_schedule_json(with_fields(R"("bytes":5,"rate_bytes_per_s":2)"), "s.json");
  EXPECT_EQ(schedule.size(), 1U);
  EXPECT_EQ(schedule.operation(0).bytes.count, 5);
  EXPECT_EQ(schedule.operation(0).layer, -1);
  EXPECT_EQ(schedule.platform[one_gpu::link_h2d].capacity.value, 25e9);
  EXPECT_EQ(schedule.platform[one_gpu::h2d].order, StreamOrder::priority);
}

// What was measured says how long it took by its times alone, and is not replayed.
TEST(ScheduleJson, MeasuredCopiesNeedNoRate) {
  const std::string text = with_fields(R"("bytes":5,"start_ps":1,"finish_ps":4)");
  Timeline timeline;
  const Schedule schedule = parse_schedule_json(text, "s.json", &timeline);
  EXPECT_EQ(schedule.operation(0).bytes.count, 5);
  EXPECT_FALSE(is_priced(schedule.operation(0)));
  EXPECT_EQ(parse_schedule_json(to_json(schedule, &timeline), "s.json"), schedule);
  EXPECT_THROW(run(schedule), std::invalid_argument);

  Schedule priced = parse_schedule_json(with_fields(R"("bytes":5,"rate_bytes_per_s":2)"), "s.json");
  EXPECT_TRUE(is_same_work(schedule, priced));
  priced = parse_schedule_json(with_fields(R"("bytes":6,"rate_bytes_per_s":2)"), "s.json");
  EXPECT_FALSE(is_same_work(schedule, priced));
}

// A machine with other streams than one GPU's: ids follow the file, names come back.
TEST(ScheduleJson, AnyPlatformIsRead) {
  Schedule schedule;
  const StreamId second = [&] {
    schedule.platform.add_stream("gpu0");
    return schedule.platform.add_stream("gpu1", StreamOrder::priority);
  }();
  const ResourceId link = schedule.platform.add_resource("nvlink", gb_per_s(450));
  schedule.add(copy(second, us(1), 1000, gb_per_s(450), bit(link)), {});
  EXPECT_EQ(parse_schedule_json(to_json(schedule, nullptr), "s.json"), schedule);
}

TEST(ScheduleJson, NamesComeBeforeWhoUsesThem) {
  EXPECT_THAT(refusal(R"({"format":"pregate-schedule","version":1,"operations":[],)"
                      R"("platform":{"capacity_bytes_per_s":{},"order":{}}})"),
              testing::HasSubstr("put 'platform' first"));
}

TEST(ScheduleJson, DependencyFaultsAreNamed) {
  const auto op = [](int id, const std::string& after) {
    return R"({"id":)" + std::to_string(id) + R"(,"kind":"gate","stream":"compute","after":)" + after + "}";
  };
  EXPECT_THAT(refusal(with_operations(op(0, "[1]") + "," + op(1, "[]"))),
              AllOf(HasSubstr("s.json: operations[0].after"), HasSubstr("issued later"), HasSubstr("hint:")));
  EXPECT_THAT(refusal(with_operations(op(0, "[]") + "," + op(1, "[2]") + "," + op(2, "[1]"))),
              AllOf(HasSubstr("cycle"), HasSubstr("1 -> 2 -> 1")));
  EXPECT_THAT(refusal(with_operations(op(0, "[0]"))), HasSubstr("cycle"));
  EXPECT_THAT(refusal(with_operations(op(0, "[7]"))), HasSubstr("operation 7, but there are only 1"));
  EXPECT_THAT(refusal(with_operations(op(0, "[-1]"))), HasSubstr("operations[0].after"));
  EXPECT_THAT(refusal(with_operations(op(0, "[0.5]"))), HasSubstr("whole number"));
  EXPECT_THAT(refusal(with_operations(op(0, "3"))), HasSubstr("list of operation ids"));
  EXPECT_THAT(refusal(with_operations(op(1, "[]"))), HasSubstr("operations[0].id"));
  EXPECT_THAT(refusal(with_operations(op(0, "[]") + "," + op(0, "[]"))), HasSubstr("operations[1].id"));
}

TEST(ScheduleJson, BadNumbersAreRefused) {
  for (const char* fields : {R"("bytes":-1,"rate_bytes_per_s":1e9)",
                             R"("bytes":1.5,"rate_bytes_per_s":1e9)",
                             R"("bytes":1e3)",
                             R"("bytes":1125899906842625,"rate_bytes_per_s":1e9)",
                             R"("bytes":99999999999999999999)",
                             R"("bytes":18446744073709551615)",
                             R"("bytes":"5")",
                             R"("bytes":null)",
                             R"("bytes":5)",
                             R"("bytes":5,"rate_bytes_per_s":0)",
                             R"("bytes":5,"rate_bytes_per_s":-1e9)",
                             R"("bytes":5,"rate_bytes_per_s":1e300)",
                             R"("bytes":5,"rate_bytes_per_s":1e-9)",
                             R"("rate_bytes_per_s":NaN)",
                             R"("rate_bytes_per_s":1e999)",
                             R"("fixed_ps":-1)",
                             R"("fixed_ps":1000000000000000001)",
                             R"("priority":256)",
                             R"("priority":-1)",
                             R"("stack":65536)",
                             R"("layer":-2)",
                             R"("layer":2147483648)",
                             R"("expert":true)",
                             R"("step":-1)",
                             R"("tokens":[1])",
                             R"("start_ps":5,"finish_ps":4)",
                             R"("start_ps":-5,"finish_ps":4)",
                             R"("start_ps":5)",
                             R"("finish_ps":5)"}) {
    EXPECT_THAT(refusal(with_fields(fields)), HasSubstr("s.json")) << fields;
  }
  EXPECT_THAT(refusal(with_fields(R"("bytes":5)")), HasSubstr("operations[0]: bytes need a finite rate"));
}

TEST(ScheduleJson, UnknownAndRepeatedNamesAreRefused) {
  EXPECT_THAT(refusal(with_fields(R"("lyer":5)")), AllOf(HasSubstr("operations[0]"), HasSubstr("'layer'")));
  EXPECT_THAT(refusal(with_fields(R"("layer":5,"layer":6)")), HasSubstr("appears twice"));
  EXPECT_THAT(refusal(with_fields(R"("resources":["link_h2c"])")), HasSubstr("link_h2d"));
  EXPECT_THAT(refusal(with_fields(R"("resources":["ssd","ssd"])")), HasSubstr("named twice"));
  EXPECT_THAT(refusal(with_operations(R"({"id":0,"kind":"fech","stream":"h2d"})")), HasSubstr("fetch"));
  EXPECT_THAT(refusal(with_operations(R"({"id":0,"stream":"h2d"})")), HasSubstr("'kind' is missing"));
  EXPECT_THAT(refusal(with_operations("7")), HasSubstr("operations"));
  EXPECT_THAT(refusal(with_operations(R"({"id":0,"kind":{"a":[]},"stream":"h2d"})")), HasSubstr("kind"));
}

TEST(ScheduleJson, TimesAreForAllOperationsOrForNone) {
  EXPECT_THAT(
      refusal(with_operations(R"({"id":0,"kind":"gate","stream":"compute","start_ps":0,"finish_ps":1},)"
                              R"({"id":1,"kind":"gate","stream":"compute"})")),
      HasSubstr("operations[1]: has no times"));
}

TEST(ScheduleJson, ForeignFilesAreRefused) {
  EXPECT_THAT(refusal(""), HasSubstr("s.json"));
  EXPECT_THAT(refusal("[]"), HasSubstr("must be an object"));
  EXPECT_THAT(refusal("{}"), HasSubstr("not a schedule"));
  EXPECT_THAT(refusal(R"({"traceEvents":[{"name":"x"}]})"), HasSubstr("not a schedule"));
  EXPECT_THAT(refusal(R"({"format":"pregate-schedule","version":2})"), HasSubstr("version 2"));
  EXPECT_THAT(refusal(R"({"format":"pregate-schedule","version":1,"operations":[]})"), HasSubstr("platform"));
  EXPECT_THAT(refusal(R"({"format":"pregate-schedule","version":1,)" + std::string(platform) + "}"),
              HasSubstr("operations"));
  EXPECT_THAT(refusal(std::string(1'000'000, '[')), HasSubstr("nested too deeply"));
  EXPECT_THAT(refusal(with_fields(R"("layer":)" + std::string(100'000, '['))),
              HasSubstr("nested too deeply"));
  EXPECT_THAT(refusal(std::string("\x7f"
                                  "ELF\0\0\xff\xfe",
                                  8)),
              HasSubstr("s.json"));
  EXPECT_LT(refusal(with_fields("\"" + std::string(5'000'000, 'x') + "\":1")).size(), 500U);
}

// A file cut anywhere, or with any byte changed, is either refused or a valid schedule: never anything else.
TEST(ScheduleJson, DamagedFilesAreRefusedOrValid) {
  const Schedule schedule = random_schedule({.seed = 3, .operations = 6});
  const Timeline timeline = run(schedule);
  const std::string whole = to_json(schedule, &timeline);
  for (std::size_t length = 0; length + 2 < whole.size(); ++length) {
    ASSERT_NE(refusal(whole.substr(0, length)), "accepted") << length;
  }
  std::mt19937_64 random(11);
  int refused = 0;
  for (int round = 0; round < 2'000; ++round) {
    std::string damaged = whole;
    damaged[random() % damaged.size()] = static_cast<char>(random() % 256);
    refused += refusal(damaged) != "accepted" ? 1 : 0;
  }
  EXPECT_GT(refused, 1'000);
}

TEST(Schedule, AddRefusesWhatIsNotIssued) {
  Schedule schedule;
  schedule.platform = one_gpu::platform();
  const OpId first = schedule.add(work(one_gpu::compute, us(1)), {{no_op}});
  EXPECT_TRUE(schedule.dependencies(first).empty());
  EXPECT_THROW(schedule.add(work(one_gpu::compute, us(1)), {{first, 1}}), std::invalid_argument);
  EXPECT_THROW(schedule.add(work(one_gpu::compute, us(1)), {{-2}}), std::invalid_argument);
  EXPECT_THROW(schedule.add(work(one_gpu::compute, us(-1)), {}), std::invalid_argument);
  EXPECT_EQ(schedule.size(), 1U);
}

}  // namespace
}  // namespace pregate::sim
