// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/reference.hpp"
#include "tests/kernels/attention_case.hpp"

namespace pregate::kernels {
namespace {

/// The definition in double: all scores first, then their softmax, then the sum.
std::vector<float> by_definition(AttentionCase<float>& attention) {
  const AttentionArgs<float> args = attention.args();
  std::vector<float> output;
  const auto group = args.heads / args.kv_heads;
  for (std::int64_t t = 0; t < args.tokens; ++t) {
    for (std::int64_t h = 0; h < args.heads; ++h) {
      std::vector<double> scores;
      for (std::int64_t row = args.firsts[t]; row < args.firsts[t] + args.counts[t]; ++row) {
        double product = 0;
        for (std::int64_t d = 0; d < args.head_dim; ++d) {
          product += static_cast<double>(args.queries[(t * args.heads + h) * args.head_dim + d]) *
                     static_cast<double>(args.keys[(row * args.kv_heads + h / group) * args.head_dim + d]);
        }
        scores.push_back(std::exp(static_cast<double>(args.scale) * product));
      }
      double total = 0;
      for (const double score : scores) total += score;
      for (std::int64_t d = 0; d < args.value_dim; ++d) {
        double sum = 0;
        for (std::size_t i = 0; i < scores.size(); ++i) {
          const auto row = args.firsts[t] + static_cast<std::int64_t>(i);
          sum += scores[i] / total *
                 static_cast<double>(args.values[(row * args.kv_heads + h / group) * args.value_dim + d]);
        }
        output.push_back(static_cast<float>(sum));
      }
    }
  }
  return output;
}

TEST(ReferenceAttention, IsTheDefinition) {
  for (AttentionCase<float> attention : {AttentionCase<float>(1, 1, 1, 1, 1, 1),
                                         {5, 4, 2, 8, 8, 9},
                                         {3, 6, 1, 5, 7, 4},
                                         {2, 2, 2, 256, 40, 17}}) {
    const std::vector<float> expected = by_definition(attention);
    reference::attention(attention.args());
    EXPECT_LT(relative_error(attention.output, expected), 1e-7);
  }
}

// Two rows with scores ln 3 and 0: weights 3/4 and 1/4.
TEST(ReferenceAttention, ByHand) {
  AttentionCase<float> attention(1, 1, 1, 1, 2, 2);
  attention.queries = {1.0F};
  attention.keys = {std::log(3.0F), 0.0F};
  attention.values = {4, 8, -4, 0};
  attention.counts = {2};
  attention.scale = 1;
  reference::attention(attention.args());
  EXPECT_NEAR(attention.output[0], 2.0F, 1e-6);
  EXPECT_NEAR(attention.output[1], 6.0F, 1e-6);
}

TEST(ReferenceAttention, HeadsShareKeysInOrder) {
  AttentionCase<float> attention(1, 4, 2, 1, 1, 1);
  attention.values = {10, 20};
  reference::attention(attention.args());
  EXPECT_THAT(attention.output, testing::ElementsAre(10, 10, 20, 20));
}

// exp() of these would overflow, or be nothing for all rows.
TEST(ReferenceAttention, ScoresOfAnySize) {
  constexpr float infinite = std::numeric_limits<float>::infinity(), big = 3e38F;
  struct Scores {
    std::vector<float> keys;
    float expected;
  };
  for (const Scores& scores :
       {Scores{{1000, 999}, 1 / (1 + std::exp(-1.0F))}, Scores{{-1000, -999}, 1 / (1 + std::exp(1.0F))},
        Scores{{big, -big}, 1}, Scores{{infinite, 5}, 1}, Scores{{infinite, infinite}, 0.5F},
        Scores{{-infinite, -infinite}, 0.5F}, Scores{{NAN, 0}, 0}, Scores{{NAN, NAN}, 0.5F}}) {
    AttentionCase<float> attention(1, 1, 1, 1, 1, 2);
    attention.queries = {1};
    attention.keys = scores.keys;
    attention.values = {1, 0};
    attention.counts = {2};
    attention.scale = 1;
    reference::attention(attention.args());
    EXPECT_NEAR(attention.output[0], scores.expected, 1e-6) << scores.keys[0] << " and " << scores.keys[1];
  }
}

TEST(ReferenceAttention, WithoutRowsIsZero) {
  AttentionCase<float> attention(2, 2, 1, 3, 4, 5);
  attention.counts = {0, 2};
  reference::attention(attention.args());
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(attention.output[i], 0.0F);
  EXPECT_NE(attention.output[8], 0.0F);
}

}  // namespace
}  // namespace pregate::kernels
