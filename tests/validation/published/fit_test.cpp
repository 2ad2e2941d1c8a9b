// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The least-squares fit that all calibrations use.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/models/error_of.hpp"
#include "validation/published/fit.hpp"

namespace pregate::validation {
namespace {

using Values = std::vector<double>;

TEST(Fit, SolvesAsManyEquationsAsUnknowns) {
  // Nonlinear, with unknowns of scales as different as microseconds and shares.
  const double a = 158.8, b = 0.0137, c = 33.5;
  const auto model = [](double p, double q, double r) {
    return Values{p + 700 / q, 64 * (r + 740) + 3 / q, p + r + 930 / q};
  };
  const Values truth = model(a, b, c);
  const Fit fit =
      least_squares({{"a", 100, 0, 2000}, {"b", 0.5, 0.001, 1}, {"c", 10, 0, 1000}}, [&](const Values& x) {
        Values r = model(x[0], x[1], x[2]);
        for (std::size_t i = 0; i < r.size(); ++i) r[i] = r[i] / truth[i] - 1;
        return r;
      });
  EXPECT_NEAR(fit.values[0], a, 1e-4 * a);
  EXPECT_NEAR(fit.values[1], b, 1e-6 * b);
  EXPECT_NEAR(fit.values[2], c, 1e-4 * c);
  EXPECT_LT(fit.residual, 1e-8);
}

TEST(Fit, MeetsTheMeanWhereRowsContradict) {
  // One unknown, residuals x - 1, x - 2, x - 6: the mean is best, and sqrt(14/3) remains.
  const Fit fit = least_squares({{"x", 0.5, 0, 10}}, [](const Values& x) {
    return Values{x[0] - 1, x[0] - 2, x[0] - 6};
  });
  EXPECT_NEAR(fit.values[0], 3, 1e-6);
  EXPECT_NEAR(fit.residual, std::sqrt(14.0 / 3), 1e-6);
}

TEST(Fit, StaysWithinBounds) {
  const Fit fit = least_squares({{"x", 0.5, 0, 1}}, [](const Values& x) { return Values{x[0] - 7}; });
  EXPECT_DOUBLE_EQ(fit.values[0], 1);
  EXPECT_NEAR(fit.residual, 6, 1e-9);
}

TEST(Fit, SolvesForTheOthersWhereOneIsAtItsBound) {
  // 2x + y = 1 and x + 3y = 9 meet at x = -1.2, y = 3.4. Of x = 0 the best y is 2.8; on the way to the other
  // point 3.4 would be next, which is no better.
  int evaluations = 0;
  const Fit fit = least_squares({{"x", 5, 0, 10}, {"y", 1, 0, 10}}, [&](const Values& x) {
    ++evaluations;
    return Values{2 * x[0] + x[1] - 1, x[0] + 3 * x[1] - 9};
  });
  EXPECT_DOUBLE_EQ(fit.values[0], 0);
  EXPECT_NEAR(fit.values[1], 2.8, 1e-6);
  EXPECT_LE(evaluations, 20);
}

TEST(Fit, RefusesWhatCannotBeFixed) {
  using test::error_of;
  EXPECT_NE(error_of([] {
              least_squares({{"x", 1, 0, 2}, {"y", 1, 0, 2}}, [](const Values&) { return Values{0.5}; });
            }).find("1 rows cannot fix 2 constants"),
            std::string::npos);
  EXPECT_NE(error_of([] {
              least_squares({{"x", 1, 0, 2}},
                            [](const Values&) { return Values{std::numeric_limits<double>::quiet_NaN()}; });
            }).find("not a finite number"),
            std::string::npos);
}

}  // namespace
}  // namespace pregate::validation
