// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/synthetic.hpp"
#include "tests/support/shared_data.hpp"
#include "tests/traces/support.hpp"
#include "traces/statistics.hpp"

#include <cmath>

namespace pregate::test {
namespace {

using namespace trace;
using ::testing::HasSubstr;

class Synthetic : public TraceTest {};

GeneratorProfile profile(int layers, int experts, int top_k, int steps) {
  GeneratorProfile made;
  made.name = "test";
  made.source = "a test";
  made.stacks = {"decoder"};
  made.decode_steps = steps;
  for (int l = 0; l < layers; ++l) made.layers.push_back({{0, l, experts, top_k, Bytes{}}, 0, 0, 0, 1});
  return made;
}

// Statistics by hand: layer 0 chooses 0 0 1 0 | 1 1, layer 1 chooses 2 2 3 2 | 3 3 of 4 experts.
TEST_F(Synthetic, MeasureFollowsItsDefinitions) {
  TraceWriter writer(path("t.db"), decoder({{4, 1}, {4, 1}}));
  for (const auto& request : std::vector<std::vector<std::uint16_t>>{{0, 0, 1, 0}, {1, 1}}) {
    writer.begin_request({});
    int position = 0;
    for (const std::uint16_t id : request)
      writer.add(decode({id, static_cast<std::uint16_t>(id + 2)}, 1, position++));
  }
  writer.commit();
  const TraceStatistics statistics = measure(*open_trace(path("t.db")));
  for (const LayerStatistics& layer : statistics.layers) {
    EXPECT_EQ(layer.tokens, 6);
    EXPECT_EQ(layer.distinct_experts, 2);
    EXPECT_DOUBLE_EQ(layer.popularity_entropy, 0.5);  // two experts, three times each, of four
    EXPECT_DOUBLE_EQ(layer.top_share, 0.5);           // a tenth of four experts is one
    EXPECT_DOUBLE_EQ(layer.lag1_overlap, 0.5);        // 1 0 0 | 1: no overlap across requests
    EXPECT_DOUBLE_EQ(layer.mean_activated, 1);
  }
  EXPECT_DOUBLE_EQ(statistics.layers[0].cross_layer_repeat, 0);
  EXPECT_DOUBLE_EQ(statistics.layers[1].cross_layer_repeat, 1);
}

// Uniform independent choices have the statistics of chance; lag-1 overlap of k of E is k / E.
TEST_F(Synthetic, NeutralProfileIsChance) {
  const auto statistics = measure(*generate(profile(3, 16, 4, 4000), 1, 7));
  EXPECT_NEAR(statistics.lag1_overlap, 0.25, 0.01);
  EXPECT_GT(statistics.popularity_entropy, 0.999);
  EXPECT_LT(statistics.cross_layer_repeat, 0.03);
}

TEST_F(Synthetic, EachParameterMovesItsStatistic) {
  GeneratorProfile made = profile(2, 32, 1, 6000);
  for (auto& layer : made.layers) layer.temporal_repeat = 0.6;
  // Kept with probability 0.6, else drawn anew, which hits the same one of 32 by chance.
  EXPECT_NEAR(measure(*generate(made, 1, 1)).lag1_overlap, 0.6 + 0.4 / 32, 0.015);
  made = profile(2, 32, 1, 6000);
  made.layers[1].cross_layer = 1;
  EXPECT_GT(measure(*generate(made, 1, 1)).layers[1].cross_layer_repeat, 0.99);
  made.layers[1].active_share = 0.25;
  EXPECT_EQ(measure(*generate(made, 1, 1)).layers[1].distinct_experts, 8);
  made.layers[0].popularity_skew = 1;
  made.decode_steps = 40'000;
  double harmonic = 0, entropy = 0;
  for (int r = 1; r <= 32; ++r) harmonic += 1.0 / r;
  for (int r = 1; r <= 32; ++r) entropy += std::log(r * harmonic) / (r * harmonic);
  EXPECT_NEAR(measure(*generate(made, 1, 1)).layers[0].popularity_entropy, entropy / std::log(32), 0.006);
}

// Ranks too rare to have a quantile of their own are chosen where the others are taken; what follows them in
// the next layer is an expert all the same.
TEST_F(Synthetic, SteepPopularityStaysInRange) {
  GeneratorProfile steep = profile(3, 8, 2, 400);
  for (auto& layer : steep.layers) {
    layer.popularity_cutoff = 1000;
    layer.cross_layer = 1;
  }
  for (const auto& step : all_steps(*generate(steep, 1, 1)))
    for (const std::uint16_t id : step.experts) ASSERT_LT(id, 8);
}

// The same seed is the same trace on every platform: the hash is pinned. Requests depend on their number
// alone.
TEST_F(Synthetic, IsDeterministicAndStreams) {
  const GeneratorProfile made = load_profile("switch-base-128");
  const auto source = generate(made, 3, 42);
  const TraceInfo written = write_trace(*source, {}, path("a.db"));
  EXPECT_EQ(written.steps, source->info().steps);
  EXPECT_EQ(written.tokens, source->info().tokens);
  EXPECT_EQ(written.routed_entries, source->info().routed_entries);
  EXPECT_EQ(write_trace(*generate(made, 3, 42), {}, path("b.db")).content_hash, written.content_hash);
  EXPECT_NE(write_trace(*generate(made, 3, 43), {}, path("c.db")).content_hash, written.content_hash);
  EXPECT_TRUE(check(path("a.db")).empty());
  const auto more = all_steps(*generate(made, 5, 42));
  const auto fewer = all_steps(*source);
  for (std::size_t i = 0; i < fewer.size(); ++i) ASSERT_EQ(more[i].experts, fewer[i].experts);
  GeneratorProfile small = profile(2, 8, 2, 50);
  for (auto& layer : small.layers) layer = {layer.layer, 0.5, 0.25, 0.5, 0.75};
  EXPECT_EQ(write_trace(*generate(small, 2, 1), {}, path("d.db")).content_hash.substr(0, 16),
            "ee67552122b85933");
}

TEST_F(Synthetic, EmbeddedProfilesAreWhatTheySay) {
  for (const std::string& name : profile_names()) {
    const GeneratorProfile made = load_profile(name);
    EXPECT_EQ(made.name, name);
    EXPECT_EQ(to_toml(parse_profile(to_toml(made), name)), to_toml(made));
  }
  EXPECT_THAT(profile_names(),
              ::testing::IsSupersetOf({"mixtral-8x7b", "switch-base-128", "switch-large-128"}));
  const auto mixtral = measure(*generate(load_profile("mixtral-8x7b"), 8, 3));
  EXPECT_NEAR(mixtral.lag1_overlap, 0.37, 0.01);
  const GeneratorProfile large = load_profile("switch-large-128");
  EXPECT_EQ(large.layers.size(), 24U);
  EXPECT_EQ(large.layers.back().layer.layer, 23);
}

TEST_F(Synthetic, ProfilesAreReadStrictly) {
  const std::string good = to_toml(profile(1, 8, 2, 4));
  const auto refused = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return complaint([&] { parse_profile(text, "p.toml"); });
  };
  EXPECT_THAT(refused("top_k = 2", "top_k = 9"), HasSubstr("top_k 9 of 8"));
  EXPECT_THAT(refused("temporal_repeat = 0.0", "temporal_repeat = nan"), HasSubstr("temporal_repeat"));
  EXPECT_THAT(refused("temporal_repeat = 0.0", "temporal_repeat = 1.5"), HasSubstr("from 0 to 1"));
  EXPECT_THAT(refused("popularity_skew", "popularity_scew"), HasSubstr("popularity_scew"));
  EXPECT_THAT(refused("decode_steps = 4", "decode_steps = 0"), HasSubstr("has no tokens"));
  EXPECT_THAT(refused("encoder_tokens = 0", "encoder_tokens = 99999999"), HasSubstr("encoder_tokens"));
  EXPECT_THAT(complaint([] { load_profile("switch-base-12"); }), HasSubstr("did you mean 'switch-base-128'"));
  EXPECT_THAT(complaint([] { generate(profile(1, 8, 2, 4), 0, 1); }), HasSubstr("at least one"));
}

/// The fitted statistics of the profile's generated traces against those of the source, means over decoder
/// layers.
GeneratorProfile expect_agreement(StepSource& source, std::int64_t requests) {
  const GeneratorProfile fitted = fit_profile(source, "fitted");
  const TraceStatistics want = measure(source);
  TraceStatistics got;
  constexpr int seeds = 4;
  for (int seed = 1; seed <= seeds; ++seed) {
    const auto one = measure(*generate(fitted, requests, static_cast<std::uint64_t>(seed)));
    got.distinct_experts += one.distinct_experts / seeds;
    got.popularity_entropy += one.popularity_entropy / seeds;
    got.lag1_overlap += one.lag1_overlap / seeds;
    got.cross_layer_repeat += one.cross_layer_repeat / seeds;
  }
  EXPECT_NEAR(got.distinct_experts, want.distinct_experts, 0.15 * want.distinct_experts);
  EXPECT_NEAR(got.popularity_entropy, want.popularity_entropy, 0.04);
  EXPECT_NEAR(got.lag1_overlap, want.lag1_overlap, 0.04);
  EXPECT_NEAR(got.cross_layer_repeat, want.cross_layer_repeat, 0.08);
  return fitted;
}

// A trace generated with known parameters is fitted to the same statistics, and to parameters near the known
// ones.
TEST_F(Synthetic, FitRecoversAKnownProfile) {
  GeneratorProfile known = profile(4, 32, 2, 1500);
  for (auto& layer : known.layers) {
    layer.popularity_skew = 0.8;
    layer.temporal_repeat = 0.4;
    layer.cross_layer = 0.5;
    layer.active_share = 0.75;
  }
  known.layers[0].cross_layer = 0;
  const auto source = generate(known, 1, 99);
  const GeneratorProfile fitted = expect_agreement(*source, 1);
  for (std::size_t l = 0; l < 4; ++l) {
    EXPECT_NEAR(fitted.layers[l].popularity_skew, 0.8, 0.15);
    EXPECT_NEAR(fitted.layers[l].temporal_repeat, 0.4, 0.05);
    EXPECT_NEAR(fitted.layers[l].cross_layer, known.layers[l].cross_layer, 0.15);
    EXPECT_NEAR(fitted.layers[l].active_share, 0.75, 0.04);
  }
}

TEST_F(Synthetic, FitAgreesWithRecordedSwitch) {
  PREGATE_NEEDS_SHARED_DATA();
  import_trace({(shared_data() / "traces/switch-base/experts_e128_Pre-gated_b1.txt").string()}, path("t.db"));
  const auto source = open_trace(path("t.db"));
  const GeneratorProfile fitted = expect_agreement(*source, 1);
  EXPECT_THAT(fitted.source, HasSubstr("4 request(s) that repeat an earlier one left out"));
}

}  // namespace
}  // namespace pregate::test
