// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/pass_list.hpp"

#include <gtest/gtest.h>

#include <set>

#include "models/catalog.hpp"
#include "sim/simulate.hpp"

namespace pregate::validation {
namespace {

TEST(PassList, ActivatesExactlyWhatItSays) {
  const ModelSpec model = load_model("qwen3-30b-a3b");  // 48 layers, 128 experts, top-8
  PassList source(model, {{0, 1, 8}, {0, 3, 24}, {0, 3, 9}, {0, 40, 128}});
  const std::vector<std::size_t> expected{8, 24, 9, 128};
  for (int round = 0; round < 2; ++round) {
    trace::Step step;
    for (const std::size_t activated : expected) {
      ASSERT_TRUE(source.next(step));
      ASSERT_EQ(step.experts.size(), static_cast<std::size_t>(48 * 8 * step.tokens));
      for (int layer = 0; layer < 48; ++layer) {
        const auto experts = step.experts.subspan(static_cast<std::size_t>(layer * 8 * step.tokens),
                                                  static_cast<std::size_t>(8 * step.tokens));
        EXPECT_EQ(std::set<std::uint16_t>(experts.begin(), experts.end()).size(), activated);
        for (std::size_t token = 0; token < experts.size(); token += 8)
          EXPECT_EQ(std::set<std::uint16_t>(experts.begin() + static_cast<std::ptrdiff_t>(token),
                                            experts.begin() + static_cast<std::ptrdiff_t>(token + 8))
                        .size(),
                    8U);
      }
    }
    EXPECT_FALSE(source.next(step));
    source.rewind();
  }
  EXPECT_NO_THROW(sim::PreparedTrace(source, model, "test"));  // it fits the model
}

TEST(PassList, RefusesTheImpossible) {
  const ModelSpec model = load_model("qwen3-30b-a3b");
  EXPECT_THROW(PassList(model, {{0, 1, 9}}), std::invalid_argument);
  EXPECT_THROW(PassList(model, {{0, 1, 7}}), std::invalid_argument);
  EXPECT_THROW(PassList(model, {{0, 100, 129}}), std::invalid_argument);
  EXPECT_THROW(PassList(model, {{1, 1, 8}}), std::out_of_range);
}

}  // namespace
}  // namespace pregate::validation
