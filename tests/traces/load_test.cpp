// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/load.hpp"

#include <gtest/gtest.h>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "traces/locality.hpp"
#include "traces/synthetic.hpp"

namespace pregate::trace {
namespace {

const std::string header = "arrival_s,prompt_tokens,output_tokens\n";

TEST(Load, RowsInTheOrderOfArrival) {
  const std::vector<LoadRequest> load = parse_load(header + "10.5,100,3\r\n10.5,0,1\n12,7,2\n\n", "test");
  const std::vector<LoadRequest> expected{{0, 100, 3}, {0, 0, 1}, {1'500'000'000, 7, 2}};
  EXPECT_EQ(load, expected);
  EXPECT_EQ(parse_load("\xEF\xBB\xBF" + header + "10.5,100,3\r\n10.5,0,1\n12,7,2\n\n", "test"), expected);
}

TEST(Load, WhatIsNoLoadIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("arrival,prompt,output\n1,2,3\n"), header, header + "1,2\n",
        header + "1,2,0\n", header + "1,-2,3\n", header + "x,2,3\n", header + "1,2,3,4\n",
        header + "2,1,1\n1,1,1\n", header + "0,1,1\n1e7,1,1\n", header + "nan,1,1\n",
        header + "0,2000000,1\n", header + "0,1,1 \n"}) {
    EXPECT_THROW(parse_load(text, "test"), InputError) << text;
  }
}

// Each request has its own lengths and time, and the experts that the profile gives it.
TEST(Load, GeneratesItsRequests) {
  const GeneratorProfile profile = shaped_profile(load_model("olmoe-1b-7b"), load_locality("typical"),
                                                  {.prompt_tokens = 5, .output_tokens = 4});
  const std::vector<LoadRequest> load{{0, 3, 2}, {2'000'000'000, 0, 1}, {3'000'000'000, 6, 1}};
  const auto source = generate(profile, load, 1);
  EXPECT_EQ(source->info().requests, 3);
  EXPECT_EQ(source->info().steps, 6);
  EXPECT_EQ(source->info().tokens, 13);
  EXPECT_TRUE(source->info().has_arrivals);
  std::vector<std::tuple<std::int64_t, Phase, int, int, std::int64_t>> passes;
  std::int64_t entries = 0;
  for (int round = 0; round < 2; ++round) {
    passes.clear();
    for (Step step; source->next(step);) {
      passes.emplace_back(step.request, step.phase, step.tokens, step.position, step.arrival_ns);
      entries += static_cast<std::int64_t>(step.experts.size());
    }
    source->rewind();
  }
  EXPECT_EQ(entries, 2 * source->info().routed_entries);
  const decltype(passes) expected{{0, Phase::prefill, 3, 0, 0},
                                  {0, Phase::decode, 1, 3, 0},
                                  {0, Phase::decode, 1, 4, 0},
                                  {1, Phase::decode, 1, 0, 2'000'000'000},
                                  {2, Phase::prefill, 6, 0, 3'000'000'000},
                                  {2, Phase::decode, 1, 6, 3'000'000'000}};
  EXPECT_EQ(passes, expected);
}

}  // namespace
}  // namespace pregate::trace
