// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What an oracle of the next decode steps names when it is asked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "sim/workload/decode_uses.hpp"
#include "tests/sim/fed_predictor.hpp"
#include "tests/support/list_source.hpp"

namespace pregate::sim {
namespace {

using test::Fed;
using test::predictor;
using testing::ElementsAre;

/// Two layers of 8 experts, of which a token activates two; the second layer's of each step.
test::ListSource of_second_layer(const std::vector<std::vector<std::uint16_t>>& steps) {
  test::ListSource source(test::decoder_info(2, 8, 2));
  for (const std::vector<std::uint16_t>& ids : steps) {
    std::vector<std::uint16_t> both{0, 1};
    both.insert(both.end(), ids.begin(), ids.end());
    source.add(trace::Phase::decode, 1, both);
  }
  return source;
}
class FedWithFuture : public Fed {
 public:
  FedWithFuture(const Chosen<PredictorEntry>& part, test::ListSource source)
      : Fed(part, source.info()), uses_(source, map()) {
    dynamic_cast<Oracle&>(**this).show(&uses_);
  }
  /// By step, what is named of the second layer, without noise the next used first.
  std::vector<std::vector<ExpertKey>> steps(int count) {
    std::vector<std::vector<ExpertKey>> named;
    for (int i = 0; i < count; ++i) {
      begin();
      named.push_back(predict(0, 1));
      EXPECT_EQ(predict(-1, 1), named.back()) << "asking again tells no more";
    }
    return named;
  }

 private:
  DecodeUses uses_;
};

TEST(WindowOracle, NamesWhomTheNextStepsUseTheNextUsedFirst) {
  const auto named = [](const char* foresight, const char* guesses) {
    return FedWithFuture(predictor("window-oracle", {{"foresight", foresight}, {"guesses", guesses}}),
                         of_second_layer({{5, 4}, {4, 1}, {7, 6}}))
        .steps(3);
  };
  EXPECT_THAT(named("1", "0"), ElementsAre(ElementsAre(4, 5), ElementsAre(1, 4), ElementsAre(6, 7)));
  EXPECT_THAT(named("2", "0"), ElementsAre(ElementsAre(4, 5, 1), ElementsAre(1, 4, 6, 7), ElementsAre(6, 7)));
  EXPECT_THAT(named("100", "3"), ElementsAre(ElementsAre(4, 5, 1), ElementsAre(1, 4, 6), ElementsAre(6, 7)));
}

// Of n uses a share of 0.25 is overlooked, give or take four deviations, sqrt(n p (1 - p)); as many are named
// as without noise.
TEST(WindowOracle, OverlooksAShareAndNamesOthersInstead) {
  std::vector<std::vector<std::uint16_t>> ids;
  for (int i = 0; i < 1000; ++i) ids.push_back({static_cast<std::uint16_t>(i % 4), 7});
  const auto named =
      FedWithFuture(predictor("window-oracle", {{"foresight", "1"}, {"noise", "0.25"}}), of_second_layer(ids))
          .steps(1000);
  int wrong = 0;
  for (std::size_t i = 0; i < named.size(); ++i) {
    ASSERT_EQ(named[i].size(), 2U);
    EXPECT_NE(named[i][0], named[i][1]);
    for (const ExpertKey id : named[i]) wrong += id != 7 && id != i % 4 ? 1 : 0;
  }
  EXPECT_NEAR(wrong, 500, 4 * 19.4);
}

}  // namespace
}  // namespace pregate::sim
