// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/kept_steps.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "tests/support/list_source.hpp"

namespace pregate::trace {
namespace {

void expect_same_steps(StepSource& a, StepSource& b) {
  EXPECT_EQ(a.info().routed_entries, b.info().routed_entries);
  Step left, right;
  int steps = 0;
  for (; a.next(left); ++steps) {
    ASSERT_TRUE(b.next(right));
    EXPECT_TRUE(std::ranges::equal(left.experts, right.experts)) << steps;
    EXPECT_EQ(left.request, right.request);
    EXPECT_EQ(left.tokens, right.tokens);
    EXPECT_EQ(left.phase, right.phase);
  }
  EXPECT_FALSE(b.next(right));
  EXPECT_GT(steps, 1);
}

// The source is read once; each reader has a place of its own, and lives on.
TEST(KeptSteps, AreReadOnceForAllReaders) {
  int opened = 0;
  std::optional<KeptSteps> kept([&] {
    ++opened;
    return std::make_shared<test::ListSource>(test::random_source(3, 2, 8, 2, 2, 5, 4));
  });
  const auto first = kept->reader(), second = kept->reader();
  Step step;
  ASSERT_TRUE(first->next(step));
  kept.reset();
  test::ListSource given = test::random_source(3, 2, 8, 2, 2, 5, 4);
  expect_same_steps(given, *second);
  first->rewind();
  given.rewind();
  expect_same_steps(given, *first);
  EXPECT_EQ(opened, 1);
}

// Their views would not outlive the source.
TEST(KeptSteps, GateWeightsAreNotKept) {
  KeptSteps kept([] {
    auto source = std::make_shared<test::ListSource>(test::random_source(3, 2, 8, 2, 1, 2, 2));
    source->weigh_by_halves(2);
    return source;
  });
  EXPECT_THROW(kept.reader(), std::logic_error);
}

}  // namespace
}  // namespace pregate::trace
