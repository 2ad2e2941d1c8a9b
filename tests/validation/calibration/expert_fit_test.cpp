// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/expert_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace pregate::validation {
namespace {

std::vector<ExpertLayerSample> layers(double fixed, double (*time)(int)) {
  std::vector<ExpertLayerSample> samples;
  for (const int each : {1, 2, 4, 8}) {
    for (const int experts : {1, 2, 4, 8}) samples.push_back({each, experts, fixed + experts * time(each)});
  }
  return samples;
}

double weight_bound(int tokens) { return tokens == 1 ? 1e-3 : 2.5e-3 + 1e-4 * tokens; }

TEST(ExpertFit, FindsWhatMadeTheSamples) {
  const KernelTimes found = fit_expert_times(layers(3e-4, weight_bound));
  EXPECT_NEAR(found.fixed.seconds(), 3e-4, 1e-9);
  ASSERT_EQ(found.points.size(), 4U);
  for (const KernelPoint& point : found.points)
    EXPECT_NEAR(point.time.seconds(), weight_bound(point.tokens), 1e-9) << point.tokens;
}

// Noise of 5 % must not make more of it than 5 %, nor a fixed part below 0.
TEST(ExpertFit, KeepsNoiseWhereItIs) {
  std::vector<ExpertLayerSample> samples = layers(0, weight_bound);
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i].seconds *= i % 2 == 0 ? 1.05 : 0.95;
  const KernelTimes found = fit_expert_times(samples);
  EXPECT_GE(found.fixed.count, 0);
  for (const ExpertLayerSample& sample : layers(0, weight_bound)) {
    for (const KernelPoint& point : found.points) {
      if (point.tokens != sample.tokens_each) continue;
      const double predicted = found.fixed.seconds() + sample.experts * point.time.seconds();
      EXPECT_NEAR(predicted / sample.seconds, 1, 0.07) << point.tokens << " tokens, " << sample.experts;
    }
  }
}

// One number of experts says nothing about the fixed part: all of it is the experts'.
TEST(ExpertFit, WithoutContrastTheExpertsTakeItAll) {
  const KernelTimes found = fit_expert_times({{1, 2, 4e-3}, {2, 2, 6e-3}});
  EXPECT_EQ(found.fixed.count, 0);
  EXPECT_NEAR(found.points[0].time.seconds(), 2e-3, 1e-9);
  EXPECT_NEAR(found.points[1].time.seconds(), 3e-3, 1e-9);
}

}  // namespace
}  // namespace pregate::validation
