// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Recordings of passes over the rows of a batch: what becomes of a small one of each, and what is refused.
#include "tests/traces/recordings.hpp"
#include "traces/import/row_batches.hpp"

namespace pregate::test {
namespace {

using namespace trace;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string route(const char* request, int row, int layer, const char* ids, const char* weights) {
  return std::string(R"({"type": "route", "req_id": ")") + request + R"(", "token_idx": )" +
         std::to_string(row) + R"(, "layer": )" + std::to_string(layer) + R"(, "topk_ids": )" + ids +
         R"(, "topk_weights": )" + weights + "}\n";
}
constexpr const char* vllm_meta =
    R"({"type": "meta", "model_id": "org/Tiny", "vllm_version": "0", "layers_logged": [0], "top_k": 2})"
    "\n";

TEST_F(Recordings, VllmLoggerDropsDummiesAndTellsPrefillFromDecode) {
  const char* w = "[0.5, 0.25]";
  std::string text = vllm_meta;
  for (int row = 0; row < 4; ++row) text += route("r1", row, 0, "[3, 1]", w);  // the profiling pass
  text += route("r1", 0, 0, "[3, 1]", w);                                      // warm-up at one row
  for (int row = 0; row < 3; ++row) text += route("r1", row, 0, row == 1 ? "[0, 1]" : "[2, 1]", w);
  for (int row = 0; row < 2; ++row) text += route("r1", row, 0, "[6, 7]", w);  // alike, but after real ones
  text += route("r1", 0, 0, "[5, 1]", w);
  const ImportResult result = import(text);
  EXPECT_EQ(result.format, "vllm-moe-logger");
  EXPECT_EQ(result.info.model, "org/Tiny");
  EXPECT_THAT(result.notes, Contains(HasSubstr("2 dummy passes of the engine's warm-up were left out")));
  ASSERT_EQ(steps.size(), 3U);
  EXPECT_EQ(steps[0].step.phase, Phase::prefill);
  EXPECT_THAT(steps[0].experts, ElementsAre(2, 1, 0, 1, 2, 1));
  EXPECT_THAT(steps[0].weights, ElementsAre(.5F, .25F, .5F, .25F, .5F, .25F));
  EXPECT_EQ(steps[1].step.phase, Phase::decode);
  EXPECT_EQ(steps[1].step.sequences, 2);  // two rows, two sequences, one token each
  EXPECT_EQ(steps[1].step.position, 2);   // three prompt rows over two sequences, rounded up
  EXPECT_EQ(steps[2].step.sequences, 1);

  EXPECT_THAT(refused(vllm_meta + route("r", 0, 0, "[1, 1]", w)), HasSubstr("expert 1 twice in layer 0"));
  EXPECT_THAT(refused(vllm_meta + route("r", 0, 0, "[1, 2]", "[0.5, -5]")),
              HasSubstr("bad:2: the record has weight -5"));
  EXPECT_THAT(refused(vllm_meta + route("r", 0, 0, "[1, 2]", "[0.5]")), HasSubstr("a list of 2 weights"));
  EXPECT_THAT(refused(vllm_meta + std::string("{\"type\":\"\\u001b[31mred\"}\n")),
              AllOf(HasSubstr("has type '?[31mred'"), Not(HasSubstr("\x1b"))));
}

TEST_F(Recordings, RowsAreOneRequestOrEachPassItsOwn) {
  using Kind = RowPlan::Kind;
  // A prompt in two chunks and a rest, three sequences decoding, another prompt among them, decoding again.
  const RowPlan serving =
      plan_rows({{8, false, 0}, {8, false, 0}, {3, false, 0}, {9, false, 0}, {4, false, 0}}, Dummies::drop);
  EXPECT_THAT(serving.passes,
              ElementsAre(Kind::prefill, Kind::prefill, Kind::decode, Kind::prefill, Kind::decode));
  EXPECT_EQ(serving.sequences, 4);
  EXPECT_FALSE(serving.separate);
  const RowPlan training = plan_rows({{64, false, 0}, {64, false, 0}}, Dummies::keep);
  EXPECT_TRUE(training.separate);
  // Nothing but dummies is kept, and said.
  const RowPlan dummies = plan_rows({{8, true, 1}, {1, true, 1}}, Dummies::drop);
  EXPECT_TRUE(dummies.only_dummies);
  EXPECT_THAT(dummies.passes, Not(Contains(Kind::dropped)));
}

TEST_F(Recordings, MegatronRouter) {
  const auto record = [](int step, int layer, const char* ids, int tokens, const char* block = "decoder") {
    return R"({"step": )" + std::to_string(step) + R"(, "stage": "pre_dispatch", "block": ")" + block +
           R"(", "layer": )" + std::to_string(layer) + R"(, "rank": 0, "num_tokens": )" +
           std::to_string(tokens) + R"(, "topk": 2, "top_indices": )" + ids + "}\n";
  };
  const std::string text = record(0, 3, "[[1,2],[3,4],[5,6]]", 3) + record(0, 5, "[[0,1],[0,2],[0,3]]", 3) +
                           record(0, 0, "[[7,6],[7,5],[7,4]]", 3, "mtp") + record(1, 3, "[[1,7]]", 1) +
                           record(1, 5, "[[4,7]]", 1);
  const ImportResult result = import(text);
  EXPECT_EQ(result.format, "megatron-router");
  EXPECT_THAT(layers_of(result), ElementsAre(3, 5));
  EXPECT_THAT(result.notes, Contains(HasSubstr("1 records of multi-token prediction")));
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].step.phase, Phase::prefill);
  EXPECT_THAT(steps[0].experts, ElementsAre(1, 2, 3, 4, 5, 6, 0, 1, 0, 2, 0, 3));
  EXPECT_THAT(steps[1].experts, ElementsAre(1, 7, 4, 7));
  EXPECT_EQ(steps[1].step.position, 3);
  // Two micro-batches of a training step: each a prefill request of its own.
  import(record(0, 3, "[[1,2],[3,4]]", 2) + record(0, 3, "[[5,6],[3,4]]", 2));
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_TRUE(steps[1].step.first_of_request);
  EXPECT_THAT(refused(record(0, 3, "[[1,2]]", 2)), HasSubstr("not a list of 2 tokens"));
  EXPECT_THAT(refused(record(1, 3, "[[1,2]]", 1) + record(0, 3, "[[1,2]]", 1)), HasSubstr("after step 1"));
}

}  // namespace
}  // namespace pregate::test
