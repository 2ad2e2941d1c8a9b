// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Routing that is made rather than recorded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "models/catalog.hpp"
#include "sim/run/replay.hpp"
#include "sim/simulate.hpp"
#include "tests/models/error_of.hpp"
#include "traces/synthetic.hpp"
#include "validation/published/forced_routing.hpp"

namespace pregate::validation {
namespace {

TEST(ForcedRouting, EveryPassActivatesSoManyExperts) {
  const ModelSpec model = load_model("switch-base-64");
  for (const int active : {1, 4, 16, 64}) {
    const auto source = forced_routing(model, {.batch = 64, .active = active, .decode_steps = 9});
    trace::Step step;
    std::int64_t steps = 0, tokens = 0, entries = 0;
    while (source->next(step)) {
      ++steps;
      tokens += step.tokens;
      entries += static_cast<std::int64_t>(step.experts.size());
      const auto layers = source->info().layers_of(step.stack).size();
      ASSERT_EQ(step.experts.size(), layers * static_cast<std::size_t>(step.tokens));
      for (std::size_t layer = 0; layer < layers; ++layer) {
        const auto ids = step.experts.subspan(layer * static_cast<std::size_t>(step.tokens),
                                              static_cast<std::size_t>(step.tokens));
        EXPECT_EQ(std::set<std::uint16_t>(ids.begin(), ids.end()).size(), static_cast<std::size_t>(active));
      }
    }
    EXPECT_EQ(steps, 10);
    EXPECT_EQ(std::tuple(steps, tokens, entries),
              std::tuple(source->info().steps, source->info().tokens, source->info().routed_entries));
    EXPECT_NO_THROW(sim::PreparedTrace(*source, model, "forced"));
  }
}

TEST(ForcedRouting, WorksForDecodersWithSeveralExpertsAToken) {
  const ModelSpec model = load_model("mixtral-8x7b");
  const auto source = forced_routing(model, {.batch = 3, .active = 5, .decode_steps = 4});
  EXPECT_EQ(sim::PreparedTrace(*source, model, "forced").scan().most_activated, 5);
}

TEST(ForcedRouting, RefusesWhatCannotBe) {
  using test::error_of;
  const ModelSpec base = load_model("switch-base-8"), mixtral = load_model("mixtral-8x7b");
  for (const auto& [model, shape] :
       {std::pair{&base, ForcedShape{.batch = 64, .active = 9}}, std::pair{&base, ForcedShape{.active = 2}},
        std::pair{&mixtral, ForcedShape{.active = 1}}}) {
    EXPECT_THAT(error_of([&] { forced_routing(*model, shape); }), testing::HasSubstr("active experts"));
  }
}

}  // namespace
}  // namespace pregate::validation
