// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/dealt_tokens.hpp"

#include <gtest/gtest.h>

namespace pregate::sim {
namespace {

using trace::Phase;

ExpertOwners owners(const std::vector<std::uint8_t>& of) {
  ExpertOwners all(of.size());
  for (std::size_t expert = 0; expert < of.size(); ++expert) all.add(expert, of[expert]);
  return all;
}

// Four requests of four lengths, two groups: the first attends to the longest and the third-longest.
TEST(DealtTokens, TheFirstGroupHasMostToDo) {
  ParallelSpec spec{.data = 2, .experts = ExpertShare::whole};
  DealtTokens dealt(spec, 8);
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
  DealtTokens dealt({.data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::route}, 8);
  trace::Step step;
  step.tokens = step.sequences = 4;
  dealt.deal(step);
  const std::vector<std::uint16_t> ids{0, 2, 0, 1, 2, 3, 3, 2};
  EXPECT_EQ(dealt.exchanged(ids, 2, owners({0, 0, 1, 1}), Bytes{10}).heaviest_gpu(), Bytes{30});
  EXPECT_EQ(dealt.most_sent(), 2);
}

// The same tokens; expert 2 has a copy on the first GPU, which gets every second of its tokens: of three
// tokens of expert 2 (0, 2, 3) the second one. Sent: token 0 once and 2 once (to 3) by the first GPU; 1 twice
// by the second, which gets two.
TEST(DealtTokens, TokensOfAnExpertWithCopiesGoToThemInTurn) {
  DealtTokens dealt({.data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::route}, 8);
  trace::Step step;
  step.tokens = step.sequences = 4;
  dealt.deal(step);
  const std::vector<std::uint16_t> ids{0, 2, 0, 1, 2, 3, 3, 2};
  ExpertOwners copied = owners({0, 0, 1, 1});
  copied.add(2, 0);
  EXPECT_EQ(dealt.exchanged(ids, 2, copied, Bytes{10}).heaviest_gpu(), Bytes{20});
  const ReplicaShare first{0b01, 2}, second{0b10, 2}, both{0b11, 2}, third{0b100, 3};
  EXPECT_EQ(first.of(3), 2U);
  EXPECT_EQ(second.of(3), 1U);
  EXPECT_EQ(both.of(3), 3U);
  EXPECT_EQ(third.of(5), 1U);
  EXPECT_EQ(third.of(6), 2U);
}

// Room for one token of each GPU at each expert. The first GPU's tokens are {0, 2} and {2, 3}: the second one
// finds none at 2. The second GPU's are {0, 1} and {3, 2}: all find room. Each sends two rows to the other's
// two experts, and gets as many.
TEST(DealtTokens, StaticGatingSendsRoomsAndDropsWhatHasNone) {
  DealtTokens dealt({.data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::route}, 8);
  trace::Step step;
  step.tokens = step.sequences = 4;
  dealt.deal(step);
  const std::vector<std::uint16_t> ids{0, 2, 0, 1, 2, 3, 3, 2};
  EXPECT_EQ(dealt.dropped(ids, 4, 1), 1);
  EXPECT_EQ(dealt.dropped(ids, 4, 2), 0);
  EXPECT_EQ(dealt.padded(owners({0, 0, 1, 1}), 1, Bytes{10}).heaviest_gpu(), Bytes{20});
  EXPECT_EQ(dealt.padded(owners({0, 1, 1, 1}), 2, Bytes{10}).heaviest_gpu(), Bytes{60});
}

}  // namespace
}  // namespace pregate::sim
