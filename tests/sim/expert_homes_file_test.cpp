// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Files of homes: what is written is read back, and what is wrong is refused with its place; and homes that
// change while a trace runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/expert_placement/homes_file.hpp"
#include "sim/expert_placement/rebalancing.hpp"
#include "tests/support/list_source.hpp"

namespace pregate::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const ExpertHomes homes_of_two_layers{
    .gpus = 3, .of_key = {0, 1, 2, 2, 1, 0}, .copies = {{1, 2}, {3, 0}, {3, 2}}};

std::string file_of_two_layers() {
  return homes_json(homes_of_two_layers, test::decoder_info(2, 3, 1),
                    {.kind = "replicated", .model = "tiny \x1b\"", .trace = "00ff"});
}

TEST(ExpertHomesFile, IsReadAsWritten) {
  EXPECT_EQ(parse_homes(file_of_two_layers(), test::decoder_info(2, 3, 1), "test"), homes_of_two_layers);
}

std::string refusal(const std::string& text, const trace::TraceInfo& info) {
  try {
    std::ignore = parse_homes(text, info, "homes.json");
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("homes.json"));
    return error.what();
  }
  return "(accepted)";
}

TEST(ExpertHomesFile, RefusesWhatDoesNotFit) {
  const trace::TraceInfo info = test::decoder_info(2, 3, 1);
  const std::string good = file_of_two_layers();
  const auto with = [&](const std::string& what, const std::string& by) {
    std::string text = good;
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what << " in " << good;
    if (at != std::string::npos) text.replace(at, what.size(), by);
    return refusal(text, info);
  };
  EXPECT_THAT(refusal("", info), HasSubstr("homes.json"));
  EXPECT_THAT(refusal("[]", info), HasSubstr("homes.json"));
  EXPECT_THAT(refusal("{}", info), HasSubstr("no placement"));
  EXPECT_THAT(refusal(good.substr(0, good.size() / 2), info), HasSubstr("homes.json"));
  EXPECT_THAT(with("pregate-expert-placement", "other"), HasSubstr("no placement"));
  EXPECT_THAT(with("\"version\": 1", "\"version\": 2"), HasSubstr("version"));
  EXPECT_THAT(with("\"gpus\": 3", "\"gpus\": 0"), HasSubstr("1 to 255"));
  EXPECT_THAT(with("\"gpus\": 3", "\"gpus\": 256"), HasSubstr("1 to 255"));
  EXPECT_THAT(with("\"gpus\": 3", "\"gpus\": 2"), HasSubstr("0 to 1"));
  EXPECT_THAT(with("\"gpus\": 3", "\"gpus\": 3, \"speed\": 1"), HasSubstr("unknown key 'speed'"));
  EXPECT_THAT(with("[0,1,2]", "[0,1,3]"), HasSubstr("0 to 2"));
  EXPECT_THAT(with("[0,1,2]", "[0,1,-1]"), HasSubstr("0 to 2"));
  EXPECT_THAT(with("[0,1,2]", "[0,1,1.5]"), HasSubstr("0 to 2"));
  EXPECT_THAT(with("[0,1,2]", "[0,1,\"2\"]"), HasSubstr("0 to 2"));
  EXPECT_THAT(with("[0,1,2]", "[0,1]"), HasSubstr("2 GPUs for 3 experts"));
  EXPECT_THAT(with("[0,1,2]", "7"), HasSubstr("array"));
  EXPECT_THAT(with("\"gpu_of_expert\"", "\"gpu\""), HasSubstr("gpu_of_expert"));
  EXPECT_THAT(with("\"layer\":1", "\"layer\":2"), HasSubstr("'decoder' 1"));
  EXPECT_THAT(with("\"decoder\"", "\"encoder\""), HasSubstr("other MoE layers"));
  EXPECT_THAT(with("[1,2]", "[3,2]"), HasSubstr("0 to 2"));
  EXPECT_THAT(with("[1,2]", "[1,3]"), HasSubstr("0 to 2"));
  EXPECT_THAT(with("[1,2]", "[1]"), HasSubstr("pair"));
  EXPECT_THAT(refusal(good, test::decoder_info(3, 3, 1)), HasSubstr("2 MoE layers"));
  EXPECT_THAT(refusal(good, test::decoder_info(2, 4, 1)), HasSubstr("3 GPUs for 4 experts"));
  EXPECT_THROW(read_homes("/no/such/homes.json", info), InputError);
}

// Every two steps by the two before: tokens 3, 3, 0, 0 put experts 0 and 2 on the first GPU, so that each GPU
// gets one that it lacked; two copies of ten bytes. The same tokens again move nothing.
TEST(Rebalancing, CopiesWhatAGpuDidNotHold) {
  trace::TraceInfo info = test::decoder_info(1, 4, 1);
  info.layers[0].expert_bytes = Bytes{10};
  test::ListSource source(info);
  source.add(trace::Phase::decode, 3, {0, 0, 1});
  source.add(trace::Phase::decode, 3, {0, 1, 1});
  source.add(trace::Phase::decode, 2, {0, 1});
  source.add(trace::Phase::decode, 2, {0, 1});
  source.add(trace::Phase::decode, 2, {2, 3});
  const ExpertMap map(source.info());
  const ExpertHomes start{.gpus = 2, .of_key = {0, 0, 1, 1}, .copies = {}};
  const RebalancedRun run =
      run_rebalancing(source, map, {}, start, {.gpus = 2, .redundant = 0, .every = 2, .window = 2});
  EXPECT_EQ(run.rebalancings, 2);
  EXPECT_EQ(run.copies, 2);
  EXPECT_EQ(run.bytes, Bytes{20});
  EXPECT_DOUBLE_EQ(run.quality.slowest_share, (3 + 3 + 1 + 1 + 1) / 12.0);
  const RebalancedRun none =
      run_rebalancing(source, map, {}, start, {.gpus = 2, .redundant = 0, .every = 5, .window = 5});
  EXPECT_EQ(none.rebalancings, 0);
  EXPECT_EQ(none.copies, 0);
}

// A hot expert with a copy on each GPU: its tokens are divided, so the busiest GPU has less than its share.
TEST(Rebalancing, ReplicasOfAHotExpert) {
  test::ListSource source(test::decoder_info(1, 4, 1));
  for (int step = 0; step < 4; ++step) source.add(trace::Phase::decode, 8, {0, 0, 0, 0, 0, 1, 2, 3});
  const ExpertMap map(source.info());
  const ExpertHomes start{.gpus = 2, .of_key = {0, 0, 1, 1}, .copies = {}};
  const RebalancedRun run =
      run_rebalancing(source, map, {}, start, {.gpus = 2, .redundant = 2, .every = 1, .window = 1});
  EXPECT_EQ(run.rebalancings, 3);
  // Expert 0 three times, 5/3 tokens each: {0, 0, 3} and {0, 1, 2}; three of these are new, and only once.
  EXPECT_EQ(run.copies, 3);
  // The first step as it was: 6 of 8. Then expert 0's tokens take turns: first, first, second GPU, and so on.
  EXPECT_DOUBLE_EQ(run.quality.slowest_share, (6 + 5 + 4 + 4) / 32.0);
}

}  // namespace
}  // namespace pregate::sim
