// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "kernels/reference.hpp"
#include "tests/kernels/random_rows.hpp"

namespace pregate::kernels {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

struct Routed {
  std::vector<std::int32_t> ids;
  std::vector<float> weights;
};

template <class Element>
Routed route(const std::vector<Element>& logits, std::int32_t experts, std::int32_t top_k,
             GateWeights weights) {
  const auto tokens = static_cast<std::int32_t>(logits.size()) / experts;
  Routed routed;
  routed.ids.assign(static_cast<std::size_t>(tokens * top_k), -7);
  routed.weights.assign(routed.ids.size(), -7);
  reference::router<Element>(
      {logits.data(), routed.ids.data(), routed.weights.data(), tokens, experts, top_k, weights});
  return routed;
}

// exp of (1,3,2,0) - 3 is 0.135335, 1, 0.367879, 0.049787; their sum 1.553002.
TEST(ReferenceRouter, HandComputed) {
  const std::vector<float> logits = {1, 3, 2, 0};
  const Routed shares = route(logits, 4, 2, GateWeights::softmax);
  EXPECT_THAT(shares.ids, ElementsAre(1, 2));
  EXPECT_THAT(shares.weights, ElementsAre(FloatNear(0.643914F, 1e-6F), FloatNear(0.236883F, 1e-6F)));
  const Routed renormalised = route(logits, 4, 2, GateWeights::renormalised);
  EXPECT_THAT(renormalised.ids, ElementsAre(1, 2));
  EXPECT_THAT(renormalised.weights, ElementsAre(FloatNear(0.731059F, 1e-6F), FloatNear(0.268941F, 1e-6F)));
}

TEST(ReferenceRouter, OfEqualLogitsTheLowerExpertComesFirst) {
  EXPECT_THAT(route<float>({5, 7, 7, 5, 7}, 5, 4, GateWeights::softmax).ids, ElementsAre(1, 2, 4, 0));
  EXPECT_THAT(route<float>({0.0F, -0.0F, 0.0F}, 3, 3, GateWeights::softmax).ids, ElementsAre(0, 1, 2));
  // Both shares round to 0: the logits still decide.
  EXPECT_THAT(route<float>({-2000, -1000, 0}, 3, 3, GateWeights::softmax).ids, ElementsAre(2, 1, 0));
}

TEST(ReferenceRouter, NanCountsAsMinusInfinity) {
  const Routed routed = route<float>({NAN, 1, NAN, 1}, 4, 3, GateWeights::softmax);
  EXPECT_THAT(routed.ids, ElementsAre(1, 3, 0));
  EXPECT_THAT(routed.weights, ElementsAre(0.5F, 0.5F, 0.0F));
}

TEST(ReferenceRouter, InfiniteLogitsShareTheWeight) {
  const Routed one = route<float>({1, INFINITY, 2}, 3, 2, GateWeights::renormalised);
  EXPECT_THAT(one.ids, ElementsAre(1, 2));
  EXPECT_THAT(one.weights, ElementsAre(1.0F, 0.0F));
  const std::vector<float> three(3, INFINITY);
  EXPECT_THAT(route(three, 3, 2, GateWeights::softmax).weights, ElementsAre(1.0F / 3, 1.0F / 3));
  EXPECT_THAT(route(three, 3, 2, GateWeights::renormalised).weights, ElementsAre(0.5F, 0.5F));
  const std::vector<float> nothing = {NAN, -INFINITY, NAN, -INFINITY};
  EXPECT_THAT(route(nothing, 4, 2, GateWeights::softmax).weights, ElementsAre(0.25F, 0.25F));
  EXPECT_THAT(route(nothing, 4, 2, GateWeights::renormalised).ids, ElementsAre(0, 1));
}

// A stable sort is an independent oracle for the order; all weights of k = E sum to one in either mode.
TEST(ReferenceRouter, AllExpertsComeInOrderAndSumToOne) {
  for (const std::int32_t experts : {1, 7, 64, 129}) {
    const auto logits = random_values<BFloat16>(static_cast<std::size_t>(experts), 17, 4);  // bf16: many ties
    std::vector<std::int32_t> sorted(static_cast<std::size_t>(experts));
    std::iota(sorted.begin(), sorted.end(), 0);
    std::ranges::stable_sort(sorted, std::ranges::greater{},
                             [&](std::int32_t id) { return to_float(logits[static_cast<std::size_t>(id)]); });
    for (const GateWeights weights : {GateWeights::softmax, GateWeights::renormalised}) {
      const Routed routed = route(logits, experts, experts, weights);
      EXPECT_EQ(routed.ids, sorted);
      EXPECT_NEAR(std::accumulate(routed.weights.begin(), routed.weights.end(), 0.0), 1.0, 1e-6);
    }
  }
}

TEST(ReferenceRouter, NoTokens) {
  reference::router<float>({nullptr, nullptr, nullptr, 0, 8, 2, GateWeights::softmax});
}

}  // namespace
}  // namespace pregate::kernels
