// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Place : public ProgramTest {
 protected:
  Place() {
    succeed({"trace", "generate", "--model", "mixtral-8x7b", "--prompt", "8", "--output-tokens", "12",
             "--requests", "4", "-o", "t.db"});
  }
};

TEST_F(Place, ComparesAllKindsAndWritesOne) {
  const std::string printed = succeed({"place", "t.db", "--gpus", "4", "-o", "p.json"});
  for (const char* kind :
       {"round-robin", "contiguous", "greedy", "anti-correlation", "affinity", "two-stage", "replicated"})
    EXPECT_THAT(printed, HasSubstr(kind));
  EXPECT_THAT(printed, HasSubstr("affinity: exact"));
  EXPECT_THAT(printed, HasSubstr("p.json: affinity"));
  EXPECT_THAT(read("p.json"), HasSubstr("\"gpus\": 4"));
  EXPECT_THAT(read("p.json"), HasSubstr("\"kind\": \"affinity\""));
  // Twice the same.
  EXPECT_EQ(succeed({"place", "t.db", "--gpus", "4", "-o", "p.json", "--overwrite"}), printed);
  EXPECT_THAT(succeed({"place", "t.db", "--gpus", "4", "--affinity", "local-search"}),
              HasSubstr("local search"));
}

TEST_F(Place, LearnsFromAnotherTraceAndPlacesAnew) {
  succeed({"trace", "generate", "--model", "mixtral-8x7b", "--prompt", "8", "--output-tokens", "12", "--seed",
           "2", "-o", "other.db"});
  const std::string printed =
      succeed({"place", "t.db", "--gpus", "2", "--fit-on", "other.db", "--kind", "replicated", "--redundant",
               "2", "--rebalance-every", "10", "--model", "mixtral-8x7b", "--batch", "2", "-o", "p.json"});
  EXPECT_THAT(printed, HasSubstr("anew every 10"));
  EXPECT_THAT(printed, HasSubstr("GiB"));
  EXPECT_THAT(read("p.json"), HasSubstr("\"copies\":"));
  EXPECT_THAT(printed, Not(HasSubstr("nan")));
}

TEST_F(Place, RefusesBadInput) {
  write("p.json", "mine");
  expect_refused({"place"}, {"no trace", "hint:"});
  expect_refused({"place", "t.db"}, {"--gpus", "not given"});
  expect_refused({"place", "t.db", "--gpus", "0"}, {"--gpus", "1 to 255"});
  expect_refused({"place", "t.db", "--gpus", "9"}, {"8 experts", "9 GPUs"});
  expect_refused({"place", "t.db", "--gpus", "2", "--kind", "afinity"},
                 {"--kind", "did you mean 'affinity'"});
  expect_refused({"place", "t.db", "--gpus", "2", "--affinity", "magic"}, {"--affinity", "local-search"});
  expect_refused({"place", "t.db", "--gpus", "2", "--rebalance-every", "0"}, {"--rebalance-every"});
  expect_refused({"place", "t.db", "--gpus", "2", "--redundant", "-1"}, {"--redundant"});
  expect_refused({"place", "t.db", "--gpus", "2", "--overwrite"}, {"--overwrite", "-o"});
  expect_refused({"place", "t.db", "--gpus", "2", "-o", "p.json"}, {"p.json", "--overwrite"});
  expect_refused({"place", "t.db", "--gpus", "2", "-o", "t.db", "--overwrite"}, {"t.db"});
  expect_refused({"place", "t.db", "--gpus", "2", "-o", "none/p.json"}, {"none"});
  expect_refused({"place", "t.db", "--gpus", "2", "--fit-on", "none.db"}, {"none.db"});
  expect_refused({"place", "t.db", "--gpus", "2", "--fit-on", "t.db"}, {"--fit-on", "judged"});
  expect_refused({"place", "t.db", "--gpus", "2", "--model", "olmoe-1b-7b"}, {"--model"});
  expect_refused({"place", "p.json", "--gpus", "2"}, {"p.json"});
}

TEST_F(Place, RefusesATraceOfAnotherModelToLearnFrom) {
  succeed({"trace", "generate", "--model", "olmoe-1b-7b", "--prompt", "4", "--output-tokens", "4", "-o",
           "olmoe.db"});
  expect_refused({"place", "t.db", "--gpus", "2", "--fit-on", "olmoe.db"}, {"--fit-on", "other MoE layers"});
  succeed({"trace", "generate", "--model", "mixtral-8x7b", "--prompt", "0", "--output-tokens", "1", "-o",
           "one.db"});
  expect_refused({"place", "one.db", "--gpus", "2"}, {"too few steps", "--fit-on"});
}

}  // namespace
}  // namespace pregate::test
