// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/policy/load_policy.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::test {
namespace {

// A decode step that verifies drafts computes all its tokens but yields one a sequence: three steps of one
// sequence with 4 tokens are 3 output tokens, as three steps with 1 token are, and take longer.
TEST(Drafts, AVerifiedStepYieldsOneTokenASequence) {
  const ModelSpec model = tiny_model(2, 8, 1);
  const auto simulate = [&](int tokens, int sequences) {
    trace::TraceInfo info;
    info.stacks = {"decoder"};
    info.layers = {{0, 0, 8, 1, Bytes{}}, {0, 1, 8, 1, Bytes{}}};
    ListSource source(info);
    for (int step = 0; step < 3; ++step) {
      std::vector<std::uint16_t> experts;
      for (int i = 0; i < 2 * tokens; ++i) experts.push_back(static_cast<std::uint16_t>(i % tokens));
      source.add(trace::Phase::decode, tokens, experts, step == 0, {}, 0, sequences);
    }
    return run(model, tiny_machine(), load_policy("on-demand"), source);
  };
  const sim::SimulationResult plain = simulate(1, 1), verified = simulate(4, 1), batch = simulate(4, 4);
  EXPECT_EQ(plain.output_tokens, 3);
  EXPECT_EQ(verified.output_tokens, 3);
  EXPECT_EQ(batch.output_tokens, 12);
  EXPECT_LT(verified.tokens_per_second(), plain.tokens_per_second());
  EXPECT_THAT(
      verified.notes,
      ::testing::Contains(::testing::HasSubstr("3 decode steps verify drafts (up to 4 tokens a sequence)")));
  EXPECT_THAT(batch.notes, ::testing::Not(::testing::Contains(::testing::HasSubstr("drafts"))));
}

}  // namespace
}  // namespace pregate::test
