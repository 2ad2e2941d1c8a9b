// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "kernels/reference.hpp"
#include "tests/kernels/random_rows.hpp"

namespace pregate::kernels {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

std::vector<float> activated(Activation kind, const std::vector<float>& input, std::int32_t width) {
  const std::size_t inputs = static_cast<std::size_t>(width) * (is_gated(kind) ? 2 : 1);
  const std::size_t rows = input.size() / inputs;
  std::vector<float> output(rows * static_cast<std::size_t>(width), -7);
  reference::activation<float>({input.data(), output.data(), static_cast<std::int32_t>(rows), width, kind});
  return output;
}

// silu(x) = x / (1 + e^-x): silu(1) = 1 / 1.367879. gelu in tanh form: gelu(1) = (1 + tanh(0.833615)) / 2.
TEST(ReferenceActivation, HandComputed) {
  const std::vector<float> x = {-1, 0, 1, -100, 100};
  EXPECT_THAT(activated(Activation::relu, x, 5), ElementsAre(0, 0, 1, 0, 100));
  EXPECT_THAT(
      activated(Activation::silu, x, 5),
      ElementsAre(FloatNear(-0.2689414F, 1e-7F), 0, FloatNear(0.7310586F, 1e-7F), FloatNear(0, 1e-30F), 100));
  EXPECT_THAT(activated(Activation::gelu, x, 5),
              ElementsAre(FloatNear(-0.1588080F, 1e-7F), 0, FloatNear(0.8411920F, 1e-7F), 0, 100));
}

TEST(ReferenceActivation, GatesComeBeforeUpsInEachRow) {
  const std::vector<float> rows = {1, -1, /*up*/ 10, 100, /*row 2*/ 0, 1, /*up*/ 5, -2};
  EXPECT_THAT(activated(Activation::swiglu, rows, 2),
              ElementsAre(FloatNear(7.310586F, 1e-6F), FloatNear(-26.89414F, 1e-5F), 0,
                          FloatNear(-1.462117F, 1e-6F)));
  EXPECT_THAT(activated(Activation::geglu, rows, 2),
              ElementsAre(FloatNear(8.411920F, 1e-6F), FloatNear(-15.88080F, 1e-5F), 0,
                          FloatNear(-1.682384F, 1e-6F)));
}

TEST(ReferenceActivation, NanStays) {
  for (const Activation kind : {Activation::relu, Activation::silu, Activation::gelu})
    EXPECT_TRUE(std::isnan(activated(kind, {NAN}, 1)[0]));
}

// The tanh form is the published approximation of x times the normal distribution's Phi(x): within 0.0005 of
// it everywhere, which a wrong constant would not be.
TEST(ReferenceActivation, GeluIsCloseToTheExactOne) {
  for (float x = -6; x <= 6; x += 0.125F) {
    const double exact = static_cast<double>(x) / 2 * (1 + std::erf(static_cast<double>(x) / std::sqrt(2.0)));
    EXPECT_NEAR(static_cast<double>(activated(Activation::gelu, {x}, 1)[0]), exact, 5e-4) << x;
  }
}

// mean of (9, 16) is 12.5: 3 / sqrt(12.5) = 0.848528, 4 / sqrt(12.5) = 1.131371.
TEST(ReferenceRmsNorm, HandComputed) {
  const std::vector<float> input = {3, 4, 0, 0};
  const std::vector<float> weight = {2, 0.5F};
  std::vector<float> output(4, -7);
  reference::rms_norm<float>({input.data(), weight.data(), output.data(), 2, 2, 1e-12F});
  EXPECT_THAT(output, ElementsAre(FloatNear(1.697056F, 1e-6F), FloatNear(0.565685F, 1e-6F), 0, 0));
  // An epsilon as large as the mean divides by its root once more: sqrt(25) instead of sqrt(12.5).
  reference::rms_norm<float>({input.data(), weight.data(), output.data(), 1, 2, 12.5F});
  EXPECT_THAT(output, ElementsAre(FloatNear(1.2F, 1e-6F), FloatNear(0.4F, 1e-6F), 0, 0));
}

TEST(ReferenceRmsNorm, ResultHasUnitMeanSquareInEveryElementType) {
  const auto has_unit_rows = [](auto element, double bound) {
    using Element = decltype(element);
    const std::int32_t rows = 3, width = 257;
    const auto input = random_values<Element>(static_cast<std::size_t>(rows * width), 9, 5);
    const std::vector<Element> weight(static_cast<std::size_t>(width), from_float<Element>(1));
    std::vector<Element> output(input.size());
    reference::rms_norm<Element>({input.data(), weight.data(), output.data(), rows, width, 1e-6F});
    for (std::size_t row = 0; row < 3; ++row) {
      double sum = 0;
      for (std::size_t i = 0; i < 257; ++i)
        sum += std::pow(static_cast<double>(to_float(output[row * 257 + i])), 2);
      EXPECT_NEAR(sum / 257, 1, bound);
    }
  };
  has_unit_rows(float{}, 1e-6);
  has_unit_rows(Float16{}, 1e-3);
  has_unit_rows(BFloat16{}, 8e-3);
}

}  // namespace
}  // namespace pregate::kernels
