// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/dealt_tokens.hpp"

#include <gtest/gtest.h>

namespace pregate::sim {
namespace {

using trace::Phase;

// Four requests of four lengths, two groups: the first attends to the longest and the third-longest.
TEST(DealtTokens, TheFirstGroupHasMostToDo) {
  ParallelSpec spec{.data = 2, .experts = ExpertShare::whole};
  DealtTokens dealt(spec);
  const std::vector<AlikeSequences> alike{{1, 1, 10, 0}, {1, 1, 40, 0}, {1, 1, 20, 0}, {1, 1, 30, 0}};
  const StepShape& first =
      dealt.shape_of_first({.tokens = 4, .sequences = 4, .position = 25, .alike = alike});
  EXPECT_EQ(first.tokens, 2);
  EXPECT_EQ(first.sequences, 2);
  ASSERT_EQ(first.alike.size(), 2U);
  EXPECT_EQ(first.alike[0].position, 40);
  EXPECT_EQ(first.alike[1].position, 20);
  // A prompt of one request is not divided.
  EXPECT_EQ(dealt.shape_of_first({.phase = Phase::prefill, .tokens = 100, .sequences = 1}).tokens, 100);
  EXPECT_EQ(dealt.shape_of_first({.tokens = 3, .sequences = 3}).tokens, 2);
}

// Two GPUs, four tokens of two experts; the first and third token are the first GPU's. Experts 0, 1 are
// there, 2, 3 on the other: token 0 -> {0, 2}, 1 -> {0, 1}, 2 -> {2, 3}, 3 -> {3, 2}. The first GPU sends
// token 0 once and token 2 twice; the second sends token 1 twice, and gets three.
TEST(DealtTokens, ATokenIsSentToEachExpertThatIsElsewhere) {
  DealtTokens dealt({.data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::route});
  trace::Step step;
  step.tokens = step.sequences = 4;
  dealt.deal(step);
  const std::vector<std::uint16_t> ids{0, 2, 0, 1, 2, 3, 3, 2};
  const std::vector<std::uint8_t> owner{0, 0, 1, 1};
  EXPECT_EQ(dealt.most_exchanged(ids, 2, owner, Bytes{10}), Bytes{30});
}

}  // namespace
}  // namespace pregate::sim
