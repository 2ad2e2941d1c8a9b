// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache_places.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "models/error.hpp"
#include "tests/support/list_source.hpp"

namespace pregate::runtime {
namespace {

using testing::ElementsAre;
using trace::SequencePart;

std::vector<std::int32_t> rows_of(const CachePlaces& places) {
  std::vector<std::int32_t> rows;
  for (const CachePlaces::Token& token : places.tokens()) rows.push_back(token.row);
  return rows;
}

trace::Step step_of(const std::vector<SequencePart>& parts, bool first = false) {
  trace::Step step;
  step.first_of_request = first;
  step.parts = parts;
  step.sequences = static_cast<int>(parts.size());
  step.tokens = 0;
  for (const SequencePart& part : parts) step.tokens += part.tokens;
  return step;
}

TEST(CachePlaces, EverySequenceHasRowsOfItsOwn) {
  CachePlaces places({3, 10});
  const std::vector<SequencePart> prompts{{.tokens = 2, .number = 0}, {.tokens = 3, .number = 2}};
  places.place(step_of(prompts, true));
  EXPECT_THAT(rows_of(places), ElementsAre(0, 1, 20, 21, 22));
  EXPECT_EQ(places.tokens()[4].position, 2);
  EXPECT_TRUE(places.tokens()[1].last);
  EXPECT_FALSE(places.tokens()[3].last);
  // The first one has ended.
  const std::vector<SequencePart> answer{{.tokens = 1, .position = 3, .number = 2}};
  places.place(step_of(answer));
  EXPECT_THAT(rows_of(places), ElementsAre(23));
  EXPECT_TRUE(places.unwritten().empty());
}

TEST(CachePlaces, WithoutNumbersByTheirOrder) {
  CachePlaces places({2, 4});
  const std::vector<SequencePart> parts{{.tokens = 1}, {.tokens = 1}};
  places.place(step_of(parts, true));
  EXPECT_THAT(rows_of(places), ElementsAre(0, 4));
  trace::Step merged;  // of a recording that tells no more
  merged.sequences = 2;
  merged.tokens = 4;
  merged.position = 1;
  places.place(merged);
  EXPECT_THAT(rows_of(places), ElementsAre(1, 2, 5, 6));
}

TEST(CachePlaces, DraftsAreWrittenOver) {
  CachePlaces places({1, 10});
  const std::vector<SequencePart> drafts{{.tokens = 4, .position = 0}}, next{{.tokens = 2, .position = 2}};
  places.place(step_of(drafts, true));
  places.place(step_of(next));
  EXPECT_THAT(rows_of(places), ElementsAre(2, 3));
  EXPECT_TRUE(places.unwritten().empty());
}

TEST(CachePlaces, WhatNobodyWroteIsSaid) {
  CachePlaces places({2, 10});
  const std::vector<SequencePart> before{{.tokens = 5, .number = 1}};
  const std::vector<SequencePart> late{{.tokens = 1, .position = 3, .number = 1}};
  places.place(step_of(before, true));
  places.place(step_of(late, true));  // of another request
  ASSERT_EQ(places.unwritten().size(), 1U);
  EXPECT_EQ(places.unwritten()[0].first, 10);
  EXPECT_EQ(places.unwritten()[0].count, 3);
}

TEST(CachePlaces, NoPassHasMoreThanThereIsRoomFor) {
  CachePlaces places({1, 4});
  const std::vector<SequencePart> long_one{{.tokens = 5}}, second{{.tokens = 1, .number = 1}};
  EXPECT_THROW(places.place(step_of(long_one)), std::logic_error);
  EXPECT_THROW(places.place(step_of(second)), std::logic_error);
}

/// One pass.
class OnePass final : public trace::StepSource {
 public:
  explicit OnePass(const trace::Step& step) : step_(step) {}
  [[nodiscard]] const trace::TraceInfo& info() const override { return info_; }
  bool next(trace::Step& step) override {
    step = step_;
    return left_-- > 0;
  }
  void rewind() override { left_ = 1; }

 private:
  trace::TraceInfo info_;
  trace::Step step_;
  int left_ = 1;
};

TEST(CacheRoom, IsOfTheLongestAndTheMostSequences) {
  pregate::test::ListSource source(pregate::test::decoder_info(1, 2, 1));
  source.add(trace::Phase::prefill, 4, {0, 0, 0, 0}, true);
  source.add(trace::Phase::decode, 1, {0});
  source.add(trace::Phase::decode, 3, {0, 0, 0}, true, {}, 0, 3);
  const CacheRoom room = cache_room(source);
  EXPECT_EQ(room.sequences, 3);
  EXPECT_EQ(room.context, 5);
  EXPECT_EQ(room.rows(), 15);
}

TEST(CacheRoom, WhatNoCacheHoldsIsRefused) {
  const auto refusal = [](const trace::Step& step) -> std::string {
    OnePass source(step);
    try {
      cache_room(source);
      return "none";
    } catch (const InputError& error) {
      return error.what();
    }
  };
  using testing::HasSubstr;
  trace::Step step;
  step.tokens = 3;
  step.sequences = 2;
  EXPECT_THAT(refusal(step), HasSubstr("does not say which are whose"));
  step.tokens = 2;
  step.position = std::numeric_limits<int>::max() - 1;
  EXPECT_THAT(refusal(step), HasSubstr("more than 2^31 rows"));
  step.position = -1;
  EXPECT_THAT(refusal(step), HasSubstr("position below 0"));
  step.position = 0;
  EXPECT_EQ(refusal(step), "none");
  step.phase = trace::Phase::encoder;
  EXPECT_THAT(refusal(step), HasSubstr("encoder"));
}

}  // namespace
}  // namespace pregate::runtime
