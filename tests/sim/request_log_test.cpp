// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/request_log.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/report/report.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

constexpr Picoseconds ms(std::int64_t count) { return {count * 1'000'000'000}; }

// Of 1 to 10, the smallest that at least 50, 90, 95 and 99 % do not exceed: the 5th, 9th, 10th and 10th.
TEST(Percentiles, AreOfTheNearestRank) {
  const Percentiles of_ten = Percentiles::of({7, 1, 10, 4, 2, 8, 5, 9, 3, 6});
  EXPECT_EQ(of_ten.p50, 5);
  EXPECT_EQ(of_ten.p90, 9);
  EXPECT_EQ(of_ten.p95, 10);
  EXPECT_EQ(of_ten.p99, 10);
  EXPECT_EQ(Percentiles::of({3}).p50, 3);
  EXPECT_TRUE(std::isnan(Percentiles::of({}).p99));
}

Row row(std::int64_t request, trace::Phase phase, int tokens, int logits) {
  const bool decode = phase == trace::Phase::decode;
  return {.request = request, .phase = phase, .tokens = tokens, .accepted = decode ? 1 : 0, .logits = logits};
}

// Request 0: two sequences, an encoder pass, a prompt of which one sequence ends before the other, two decode
// steps: its first token is there when both have one, at 4 ms, then (7 - 4) / 2 ms a pass. Request 1 begins
// amid its output: its first recorded token says nothing of a prompt.
TEST(RequestLog, KeepsWhatBecameOfEachRequest) {
  using trace::Phase;
  RequestLog log;
  const auto add = [&](std::vector<Row> rows, std::int64_t begin, std::int64_t end) {
    log.ran(rows, ms(begin), ms(end));
  };
  add({row(0, Phase::encoder, 6, 0), row(0, Phase::encoder, 4, 0)}, 0, 1);
  add({row(0, Phase::prefill, 2, 0), row(0, Phase::prefill, 2, 1)}, 1, 2);
  add({row(0, Phase::prefill, 1, 1)}, 2, 4);
  add({row(0, Phase::decode, 1, 1), row(0, Phase::decode, 1, 1)}, 4, 5);
  add({row(0, Phase::decode, 1, 1)}, 5, 7);
  add({row(1, Phase::decode, 1, 1)}, 7, 8);
  add({row(1, Phase::decode, 1, 1)}, 8, 9);
  ASSERT_EQ(log.records().size(), 2U);
  EXPECT_EQ(log.requests_with_prompt(), 1);
  EXPECT_DOUBLE_EQ(log.mean_ttft_ms(), 4);
  EXPECT_DOUBLE_EQ(log.mean_tpot_ms(), (1.5 + 1) / 2);
  EXPECT_DOUBLE_EQ(log.ttft_percentiles().p99, 4);
  EXPECT_DOUBLE_EQ(log.tpot_percentiles().p50, 1);
  EXPECT_DOUBLE_EQ(log.tpot_percentiles().p90, 1.5);
  // The second one has no time to its first token.
  EXPECT_EQ(log.within(ms(4), {}), 2);
  EXPECT_EQ(log.within(Picoseconds{ms(4).count - 1}, {}), 1);
  EXPECT_EQ(log.within({}, Picoseconds{ms(3).count / 2}), 2);
  EXPECT_EQ(log.within({}, Picoseconds{ms(3).count / 2 - 1}), 1);
  EXPECT_EQ(log.within(ms(3), ms(1)), 1);
  EXPECT_EQ(requests_csv(log.records()),
            "request,sequences,prompt_tokens,output_tokens,begin_ms,first_token_ms,end_ms,ttft_ms,tpot_ms,"
            "arrival_ms,queue_ms,preemptions,recomputed_tokens\n"
            "0,2,15,3,0.0,4.0,7.0,4.0,1.5,,,0,0\n"
            "1,1,0,2,7.0,8.0,9.0,,1.0,,,0,0\n");
}

// A prompt that was recorded in passes at 0, 4 and 8 ms, as engines take them; a later turn's is no prompt of
// the request.
TEST(RequestLog, TheFirstTokenIsThatOfTheLastRecordedPassOfThePrompt) {
  using trace::Phase;
  RequestLog log;
  std::int64_t now = 0;
  for (const Phase phase : {Phase::prefill, Phase::prefill, Phase::prefill, Phase::decode, Phase::prefill}) {
    log.ran(std::vector{row(0, phase, 1, 1)}, ms(now), ms(now + 4));
    now += 4;
  }
  EXPECT_EQ(log.records().front().first_token, ms(12));
  EXPECT_EQ(log.records().front().later_passes, 2);
}

// Passes of 4 ms whose tokens are handed out 3 ms late where one with a prompt begins at their end: request
// 0's is, as request 1's prompt follows at once; that one's is not, before a decode step, nor request 2's,
// behind which nothing is there for a while.
TEST(RequestLog, TokensAreLateWhereAPassWithPromptsFollows) {
  using trace::Phase;
  RequestLog log(ms(3));
  log.ran(std::vector{row(0, Phase::prefill, 4, 1)}, ms(0), ms(4));
  log.ran(std::vector{row(0, Phase::decode, 1, 1), row(1, Phase::prefill, 4, 1)}, ms(4), ms(8));
  log.ran(std::vector{row(0, Phase::decode, 1, 1), row(1, Phase::decode, 1, 1)}, ms(8), ms(12));
  log.ran(std::vector{row(2, Phase::prefill, 4, 1)}, ms(12), ms(16));
  log.ran(std::vector{row(3, Phase::prefill, 4, 1)}, ms(20), ms(24));
  const std::vector<RequestRecord>& records = log.records();
  EXPECT_EQ(records[0].ttft(), ms(4 + 3));
  EXPECT_EQ(records[1].ttft(), ms(4));
  EXPECT_EQ(records[2].ttft(), ms(4));
  EXPECT_EQ(records[3].ttft(), ms(4));
  EXPECT_DOUBLE_EQ(records[0].tpot_ms(), 4) << "the last is as late as the first";
}

}  // namespace
}  // namespace pregate::sim
