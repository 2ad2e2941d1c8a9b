// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <numeric>
#include <vector>

#include "kernels/reference.hpp"
#include "tests/kernels/random_rows.hpp"

namespace pregate::kernels {
namespace {

using testing::Each;
using testing::ElementsAre;

struct Order {
  std::vector<std::int32_t> counts, offsets, positions, sources;
};

Order order(const std::vector<std::int32_t>& ids, std::int32_t experts) {
  Order made{std::vector<std::int32_t>(static_cast<std::size_t>(experts), -7),
             std::vector<std::int32_t>(static_cast<std::size_t>(experts) + 1, -7),
             std::vector<std::int32_t>(ids.size(), -7), std::vector<std::int32_t>(ids.size(), -7)};
  reference::order({ids.data(), made.counts.data(), made.offsets.data(), made.positions.data(),
                    made.sources.data(), static_cast<std::int32_t>(ids.size()), experts});
  return made;
}

TEST(ReferenceOrder, HandComputed) {
  const Order made = order({2, 0, 2, 4, 0, 2}, 5);
  EXPECT_THAT(made.counts, ElementsAre(2, 0, 3, 0, 1));
  EXPECT_THAT(made.offsets, ElementsAre(0, 2, 2, 5, 5, 6));
  EXPECT_THAT(made.positions, ElementsAre(2, 0, 3, 5, 1, 4));
  EXPECT_THAT(made.sources, ElementsAre(1, 4, 0, 2, 5, 3));
}

TEST(ReferenceOrder, ForeignIdsDropTheirPair) {
  const Order made = order({1, -1, 0, 2, 1}, 2);
  EXPECT_THAT(made.counts, ElementsAre(1, 2));
  EXPECT_THAT(made.offsets, ElementsAre(0, 1, 3));
  EXPECT_THAT(made.positions, ElementsAre(1, -1, 0, -1, 2));
  EXPECT_THAT(made.sources, ElementsAre(2, 0, 4, -7, -7));  // past the last row: untouched
}

TEST(ReferenceOrder, ExtremeLoads) {
  const Order none = order({}, 3);
  EXPECT_THAT(none.counts, Each(0));
  EXPECT_THAT(none.offsets, ElementsAre(0, 0, 0, 0));
  const Order all_to_one = order(std::vector<std::int32_t>(100, 2), 3);
  EXPECT_THAT(all_to_one.counts, ElementsAre(0, 0, 100));
  std::vector<std::int32_t> ascending(100);
  std::iota(ascending.begin(), ascending.end(), 0);
  EXPECT_EQ(all_to_one.positions, ascending);
}

TEST(ReferenceOrder, IsAStableInverse) {
  const auto ids = random_ids(1001, 37, 5);
  const Order made = order(ids, 37);
  EXPECT_EQ(std::accumulate(made.counts.begin(), made.counts.end(), 0), 1001);
  for (std::size_t row = 0; row < ids.size(); ++row) {
    const auto pair = static_cast<std::size_t>(made.sources[row]);
    EXPECT_EQ(made.positions[pair], static_cast<std::int32_t>(row));
    const auto expert = static_cast<std::size_t>(ids[pair]);
    EXPECT_GE(static_cast<std::int32_t>(row), made.offsets[expert]);
    EXPECT_LT(static_cast<std::int32_t>(row), made.offsets[expert + 1]);
    if (row > 0 && ids[static_cast<std::size_t>(made.sources[row - 1])] == ids[pair]) {
      EXPECT_LT(made.sources[row - 1], made.sources[row]);
    }
  }
}

TEST(ReferencePermute, HandComputed) {
  // Two tokens, two choices each; the second choice of the first token is dropped.
  const std::vector<float> tokens = {1, 2, 3, 10, 20, 30};
  const std::vector<std::int32_t> positions = {2, -1, 0, 1};
  std::vector<float> permuted(12, -7);
  reference::permute<float>({tokens.data(), positions.data(), permuted.data(), 2, 2, 3});
  EXPECT_THAT(permuted, ElementsAre(10, 20, 30, 10, 20, 30, 1, 2, 3, -7, -7, -7));
  std::vector<float> pairs(12, -7);
  reference::unpermute<float>({permuted.data(), positions.data(), pairs.data(), 4, 3});
  EXPECT_THAT(pairs, ElementsAre(1, 2, 3, 0, 0, 0, 10, 20, 30, 10, 20, 30));
}

TEST(ReferencePermute, InverseGivesTheTokensBack) {
  const std::int32_t tokens = 19, top_k = 3, width = 5;
  const Order made = order(random_ids(static_cast<std::size_t>(tokens * top_k), 11, 6), 11);
  std::vector<std::uint16_t> input(static_cast<std::size_t>(tokens * width));
  std::iota(input.begin(), input.end(), std::uint16_t{0x7f00});  // any bits, NaN among them
  const auto* rows = reinterpret_cast<const BFloat16*>(input.data());
  std::vector<BFloat16> permuted(static_cast<std::size_t>(tokens * top_k * width));
  std::vector<BFloat16> back(permuted.size());
  reference::permute<BFloat16>({rows, made.positions.data(), permuted.data(), tokens, top_k, width});
  reference::unpermute<BFloat16>(
      {permuted.data(), made.positions.data(), back.data(), tokens * top_k, width});
  for (std::int32_t i = 0; i < tokens * top_k * width; ++i)
    EXPECT_EQ(back[static_cast<std::size_t>(i)].bits,
              input[static_cast<std::size_t>(i / width / top_k * width + i % width)]);
}

TEST(ReferenceCombine, HandComputed) {
  const std::vector<float> permuted = {1, 2, 10, 20, 100, 200};
  const std::vector<std::int32_t> positions = {2, 0, 1, -1};  // two tokens, two choices; one dropped
  const std::vector<float> weights = {0.5F, 2, 0.25F, 4};
  const std::vector<float> shared = {4, 8, 16, 32};
  const std::vector<float> shared_weights = {0.5F, 0.25F};
  std::vector<float> residual = {1000, 2000, 3000, 4000};
  std::vector<float> output(4, -7);
  CombineArgs<float> args{.permuted = permuted.data(),
                          .positions = positions.data(),
                          .gate_weights = weights.data(),
                          .output = output.data(),
                          .tokens = 2,
                          .top_k = 2,
                          .width = 2};
  reference::combine(args);
  EXPECT_THAT(output, ElementsAre(52, 104, 2.5F, 5));
  args.shared = shared.data();
  reference::combine(args);
  EXPECT_THAT(output, ElementsAre(56, 112, 18.5F, 37));
  args.shared_weights = shared_weights.data();
  args.residual = residual.data();
  args.output = residual.data();  // in place
  reference::combine(args);
  EXPECT_THAT(residual, ElementsAre(1054, 2108, 3006.5F, 4013));
}

// Experts that do nothing, behind a router whose weights sum to one, leave every token as it was.
TEST(ReferenceCombine, IdentityExpertsGiveTheInputBack) {
  const std::int32_t tokens = 23, experts = 9, top_k = 4, width = 13;
  const std::size_t pairs = static_cast<std::size_t>(tokens * top_k);
  const auto logits = random_values<float>(static_cast<std::size_t>(tokens * experts), 1, 3);
  const auto input = random_values<float>(static_cast<std::size_t>(tokens * width), 2);
  std::vector<std::int32_t> ids(pairs);
  std::vector<float> weights(pairs);
  reference::router<float>(
      {logits.data(), ids.data(), weights.data(), tokens, experts, top_k, GateWeights::renormalised});
  const Order made = order(ids, experts);
  std::vector<float> permuted(pairs * static_cast<std::size_t>(width));
  reference::permute<float>({input.data(), made.positions.data(), permuted.data(), tokens, top_k, width});
  std::vector<float> output(input.size());
  reference::combine<float>({.permuted = permuted.data(),
                             .positions = made.positions.data(),
                             .gate_weights = weights.data(),
                             .output = output.data(),
                             .tokens = tokens,
                             .top_k = top_k,
                             .width = width});
  EXPECT_LT(relative_error(output, input), 1e-7);
}

}  // namespace
}  // namespace pregate::kernels
