// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>

#include "sim/run/replay.hpp"
#include "traces/synthetic.hpp"

namespace pregate::sim {
namespace {

// Hits of an LRU expert cache that all layers share, Switch-Large-128 at batch 1, as the authors of Pre-gated
// MoE measured them (kaleid-liner/FasterTransformer at c0bbdfc, performance data of Figure 15: the means of
// their two designs). Their ratio is one of the 12 x 128 experts of one stack (scripts/eval_all.py): 1, 3, 5,
// 10, 20 % are 15, 46, 77, 154 and 307 slots.
TEST(SwitchLargeProfile, HitsInASharedLruAsPublished) {
  const std::map<std::int64_t, double> published = {
      {15, 0.0337}, {46, 0.1045}, {77, 0.1836}, {154, 0.3809}, {307, 0.7285}};
  const auto routing = trace::generate(trace::load_profile("switch-large-128"), 4, 1);
  for (const auto& [slots, rate] : published) {
    PolicySpec policy;
    policy.cache.scope = CacheScope::global;
    policy.cache.capacity = parse_capacity(std::to_string(slots) + " slots", "capacity");
    const ReplayResult result = replay(*routing, policy);
    EXPECT_NEAR(static_cast<double>(result.decode_hits) / static_cast<double>(result.decode_accesses), rate,
                0.05)
        << slots << " slots";
  }
}

}  // namespace
}  // namespace pregate::sim
