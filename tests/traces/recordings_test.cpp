// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Text forms of recordings: what becomes of a small one of each, by hand, and what is refused.
#include "tests/traces/recordings.hpp"

#include "tests/support/shared_data.hpp"
#include "traces/import/record_start.hpp"

namespace pregate::test {
namespace {

using namespace trace;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* lab_v1 =
    R"({"record_type":"metadata","format":"moe-cache-lab.routing-jsonl","format_version":1,"model_id":"m","num_experts":8,"experts_per_token":2})"
    "\n";
std::string selection(const char* phase, int token, int layer, const char* ids, const char* more = "") {
  return std::string(R"({"record_type":"routing_selection","phase":")") + phase + R"(","token_position":)" +
         std::to_string(token) + R"(,"layer":)" + std::to_string(layer) + R"(,"selected_experts":)" + ids +
         more + "}\n";
}

TEST_F(Recordings, MoeCacheLabOfBothVersions) {
  const ImportResult first =
      import(lab_v1 + selection("prompt", 0, 1, "[7,3]") + selection("prompt", 1, 1, "[2,4]") +
             selection("prompt", 0, 2, "[1,0]") + selection("prompt", 1, 2, "[6,5]") +
             selection("generated", 2, 1, "[0,1]") + selection("generated", 2, 2, "[3,4]"));
  EXPECT_EQ(first.format, "moe-cache-lab");
  EXPECT_EQ(first.info.layers[0].experts, 8);
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].step.phase, Phase::prefill);
  EXPECT_THAT(steps[0].experts, ElementsAre(7, 3, 2, 4, 1, 0, 6, 5));
  EXPECT_THAT(steps[1].experts, ElementsAre(0, 1, 3, 4));

  const std::string assigned = R"(,"assignment_state":"assigned","selected_probabilities":[0.5])";
  const std::string lost =
      R"(,"assignment_state":"unassigned","unassigned_reason":"capacity","selected_probabilities":[])";
  const auto stage = [](const char* name, const std::string& more) {
    return more + R"(,"routing_stage":")" + name + "\"";
  };
  import(
      R"({"record_type":"metadata","format":"moe-cache-lab.routing-jsonl","format_version":2,"model_id":"m","routing_stages":[{"routing_stage":"encoder","num_experts":4,"assigned_experts_per_token":1,"allows_unassigned":true},{"routing_stage":"decoder","num_experts":6,"assigned_experts_per_token":1,"allows_unassigned":true}]})"
      "\n" +
      selection("source", 0, 1, "[3]", stage("encoder", assigned).c_str()) +
      selection("source", 1, 1, "[]", stage("encoder", lost).c_str()) +
      selection("decoder_generated", 0, 1, "[5]", stage("decoder", assigned).c_str()));
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].step.phase, Phase::encoder);
  EXPECT_THAT(steps[0].experts, ElementsAre(3, no_expert));
  EXPECT_EQ(steps[1].step.stack, 1);
  EXPECT_THAT(steps[1].weights, ElementsAre(0.5F));

  EXPECT_THAT(refused(lab_v1 + selection("generated", 0, 1, "[1,8]")),
              HasSubstr("expert 8, but there are 8"));
  EXPECT_THAT(refused(lab_v1 + selection("generated", 0, 1, "[1]")), HasSubstr("selects 1 experts, not 2"));
  EXPECT_THAT(refused(lab_v1 + selection("generated", 0, 1, "[1,2]") + selection("generated", 9, 1, "[1,2]")),
              HasSubstr("bad:3: starts at position 9"));
  EXPECT_THAT(refused(lab_v1 + selection("source", 0, 1, "[1,2]")), HasSubstr("phase 'source'"));
}

TEST_F(Recordings, LlamaLayerExpert) {
  // Two experts a token: a prompt of three tokens, whose last layer runs for the last one alone, then a
  // token.
  const std::string prompt = "0,1\n0,2\n0,3\n0,4\n0,5\n0,6\n1,0\n1,7\n", token = "0,2\n0,1\n1,4\n1,3\n";
  const ImportResult result = import("layer,expert\n" + prompt + token);
  EXPECT_EQ(result.format, "llama-moe-trace");
  EXPECT_THAT(result.notes, Contains(HasSubstr("2 is the fewest rows of a layer")));
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].step.phase, Phase::prefill);
  EXPECT_THAT(steps[0].experts,
              ElementsAre(1, 2, 3, 4, 5, 6, no_expert, no_expert, no_expert, no_expert, 0, 7));
  EXPECT_EQ(steps[1].step.position, 3);
  EXPECT_THAT(steps[1].experts, ElementsAre(2, 1, 4, 3));

  // llama.cpp's warm-up runs every expert; it is no token.
  std::string warm_up;
  for (int layer = 0; layer < 2; ++layer)
    for (int e = 0; e < 8; ++e) warm_up += std::to_string(layer) + "," + std::to_string(7 - e) + "\n";
  EXPECT_THAT(import("layer,expert\n" + warm_up + prompt + token).notes, Contains(HasSubstr("warm-up pass")));
  EXPECT_EQ(steps.size(), 2U);

  // The model makes sure how many experts are a token; and it must fit.
  EXPECT_THAT(import("layer,expert\n" + prompt, {.model = "m", .model_top_k = 2}).notes,
              Not(Contains(HasSubstr("fewest"))));
  EXPECT_THAT(refused("layer,expert\n" + prompt), HasSubstr("does not say how many experts"));
  EXPECT_THAT(refused("layer,expert\n" + prompt + token, {.model = "m", .model_top_k = 4}),
              HasSubstr("another model"));
  EXPECT_THAT(refused("layer,expert\n" + prompt + "0,2\n0,1\n0,4\n1,3\n1,2\n"), HasSubstr("rows of layer"));
  EXPECT_THAT(refused("layer,expert\n" + prompt + "0,2\n0,\x1b[2J\n"),
              AllOf(HasSubstr("expert is '?[2J'"), Not(HasSubstr("\x1b"))));
}

TEST_F(Recordings, LlamaWideForms) {
  const std::string by_rank =
      "phase,token,layer,rank,expert\n"
      "prefill,0,0,0,5\nprefill,0,0,1,6\nprefill,1,0,0,1\nprefill,1,0,1,2\n"
      "prefill,0,1,0,0\nprefill,0,1,1,1\nprefill,1,1,0,2\nprefill,1,1,1,3\n"
      "decode,2,0,0,7\ndecode,2,0,1,6\ndecode,2,1,0,4\ndecode,2,1,1,5\n";
  import(by_rank);
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].step.phase, Phase::prefill);
  EXPECT_THAT(steps[0].experts, ElementsAre(5, 6, 1, 2, 0, 1, 2, 3));
  EXPECT_THAT(steps[1].experts, ElementsAre(7, 6, 4, 5));
  EXPECT_EQ(steps[1].step.position, 2);
  const auto expected = steps;
  // The same in the other wide form, whose phases follow from the order of the rows.
  import("pos,layer,e0,e1\n0,0,5,6\n1,0,1,2\n0,1,0,1\n1,1,2,3\n2,0,7,6\n2,1,4,5\n");
  ASSERT_EQ(steps.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(steps[i].experts, expected[i].experts);
    EXPECT_EQ(steps[i].step.phase, expected[i].step.phase);
    EXPECT_EQ(steps[i].step.position, expected[i].step.position);
  }
  EXPECT_THAT(refused(by_rank + "decode,4,0,0,7\n"), HasSubstr("starts at position 4"));
  EXPECT_THAT(refused(by_rank + "decode,3,0,1,7\n"), HasSubstr("does not follow the row before"));
  EXPECT_THAT(refused("pos,layer,e0,e1\n0,0,5,5\n"), HasSubstr("expert 5 twice"));
}

TEST_F(Recordings, Warp) {
  const ImportResult result = import(
      "{\"tok\": 1, \"layers\": [[], [1, 5], [0, 2]]}\n{\"tok\": 2, \"layers\": [[], [3, 4], [6, 7]]}\n"
      "{\"tok\": 1, \"layers\": [[], [1, 2], [3, 4]]}\n");
  EXPECT_EQ(result.format, "warp");
  EXPECT_EQ(result.info.requests, 2);
  EXPECT_THAT(layers_of(result), ElementsAre(1, 2));  // the layer without MoE is none
  EXPECT_THAT(steps[1].experts, ElementsAre(3, 4, 6, 7));
  EXPECT_EQ(steps[1].step.position, 2);
  EXPECT_THAT(refused("{\"tok\":1,\"layers\":[[1]]}\n{\"tok\":3,\"layers\":[[1]]}\n"),
              HasSubstr("bad:2: the record is of token 3, after token 1"));
  EXPECT_THAT(refused("{\"tok\":1,\"layers\":[[1,1]]}\n"), HasSubstr("bad:1: token 0 has expert 1 twice"));
}

TEST_F(Recordings, OneRecordATokenAndLayer) {
  // Layer by layer for a prompt of two tokens, then token by token: a prefill and two decode steps; then t
  // starts over, which is another request.
  const auto record = [](int t, int layer, const char* ids) {
    return "{\"t\":" + std::to_string(t) + ",\"layer\":" + std::to_string(layer) + ",\"experts\":" + ids +
           "}\n";
  };
  const ImportResult result =
      import(record(0, 0, "[1]") + record(1, 0, "[2]") + record(0, 3, "[3]") + record(1, 3, "[0]") +
             record(2, 0, "[1]") + record(2, 3, "[2]") + record(3, 0, "[1]") + record(0, 0, "[3]"));
  EXPECT_EQ(result.format, "t-layer-experts");
  EXPECT_EQ(result.info.requests, 2);
  EXPECT_THAT(layers_of(result), ElementsAre(0, 3));
  EXPECT_THAT(result.notes, Contains(HasSubstr("2 of 10 records")));  // 5 tokens x 2 layers, 8 recorded
  ASSERT_EQ(steps.size(), 4U);
  EXPECT_EQ(steps[0].step.phase, Phase::prefill);
  EXPECT_THAT(steps[0].experts, ElementsAre(1, 2, 3, 0));
  EXPECT_THAT(steps[2].experts, ElementsAre(1, no_expert));
  EXPECT_THAT(refused(record(0, 0, "[1]") + record(5, 0, "[1]") + record(0, 3, "[1]")),
              HasSubstr("a pass from token 0 to 5"));
  EXPECT_THAT(refused(record(0, 0, "[1]") + record(0, 1, "[2]") + record(2, 0, "[1]") + record(2, 1, "[1]")),
              HasSubstr("bad:3: starts at position 2"));
  EXPECT_THAT(refused(record(0, 0, "[4096]")), HasSubstr("has expert 4096"));

  // Layers that count MoE layers alone get the model's, and a layer that the model lacks is refused.
  const ImportOptions model = {
      .model = "m", .model_experts = 4, .model_layers = 4, .model_moe_layers = {1, 2, 3}};
  EXPECT_THAT(layers_of(import(record(0, 0, "[1]") + record(0, 1, "[3]"), model)), ElementsAre(1, 2));
  EXPECT_THAT(refused(record(0, 0, "[1]") + record(0, 9, "[3]"), model), HasSubstr("no MoE layer of m"));
  EXPECT_THAT(refused(record(0, 1, "[7]"), model), HasSubstr("4 experts (0..3)"));
}

TEST_F(Recordings, LatticeCountsTokensWithinACall) {
  const auto record = [](int token, int layer, const char* ids) {
    return "{\"layer_idx\":" + std::to_string(layer) + ",\"token_idx\":" + std::to_string(token) +
           ",\"selected_ids\":" + ids + ",\"gate_weights\":[0.75,0.25]}\n";
  };
  import(record(0, 0, "[1,2]") + record(1, 0, "[2,3]") + record(0, 1, "[3,1]") + record(1, 1, "[0,1]") +
         record(0, 0, "[1,0]") + record(0, 1, "[2,0]") + record(0, 0, "[3,0]") + record(0, 1, "[3,1]"));
  ASSERT_EQ(steps.size(), 3U);
  EXPECT_EQ(steps[0].step.phase, Phase::prefill);
  EXPECT_THAT(steps[0].weights, Contains(0.75F).Times(4));
  EXPECT_EQ(steps[1].step.position, 2);
  EXPECT_EQ(steps[2].step.position, 3);
}

TEST_F(Recordings, SpeculativeMoeKeepsGapsAsGaps) {
  const auto record = [](int token, int layer, const char* ids) {
    return R"({"dataset":"d","problem_id":0,"layer":)" + std::to_string(layer) + R"(,"experts":)" + ids +
           R"(,"gating_probs":[0.75,0.25],"token_idx":)" + std::to_string(token) + "}\n";
  };
  // Layer by layer; token 1 lacks layer 1, token 2 is not there at all.
  const ImportResult result = import(record(0, 0, "[3,5]") + record(1, 0, "[0,1]") + record(3, 0, "[2,1]") +
                                     record(0, 1, "[1,2]") + record(3, 1, "[7,6]"));
  EXPECT_EQ(result.format, "speculative-moe");
  EXPECT_THAT(result.notes, Contains(HasSubstr("3 of 8 records")));
  ASSERT_EQ(steps.size(), 4U);
  EXPECT_THAT(steps[0].experts, ElementsAre(3, 5, 1, 2));
  EXPECT_THAT(steps[1].experts, ElementsAre(0, 1, no_expert, no_expert));
  EXPECT_THAT(steps[2].experts, Each(no_expert));
  EXPECT_EQ(steps[3].step.position, 3);
  EXPECT_THAT(refused(record(0, 0, "[3,5]") + record(900'000'000, 0, "[3,5]")),
              HasSubstr("more tokens are missing"));
  EXPECT_THAT(refused(record(0, 0, "[3,5]") + record(0, 0, "[3,5]")), HasSubstr("token 0 occurs twice"));
}

TEST_F(Recordings, MoeBeyondWithItsPredictedIds) {
  const ImportResult result = import(
      "Layer ID,Batch Number,Token,Activated Expert IDs,Predicted Expert IDs\n"
      "1,0,<bos>,\"[5, 1]\",\"[5, 2]\"\n1,0,\"a,\"\"b\",\"[0, 3]\",\"[3, 1]\"\n"
      "2,0,<bos>,\"[7, 6]\",\"[6, 0]\"\n2,0,x,\"[2, 4]\",\"[4, 2]\"\n");
  EXPECT_EQ(result.format, "moe-beyond");
  EXPECT_TRUE(result.info.has_predictions);
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(steps[0].step.phase, Phase::prefill);
  EXPECT_EQ(steps[0].step.tokens, 2);
  EXPECT_THAT(steps[0].experts, ElementsAre(5, 1, 0, 3, 7, 6, 2, 4));
  EXPECT_THAT(steps[0].predicted, ElementsAre(5, 2, 3, 1, 6, 0, 4, 2));
  const std::string head = "Layer ID,Batch Number,Token,Activated Expert IDs\n";
  EXPECT_THAT(refused(head + "1,0,a,\"[1]\"\n1,0,b,\"[2]\"\n2,0,a,\"[1]\"\n"), HasSubstr("has 1 rows"));
  EXPECT_THAT(refused(head + "1,0,a,\"[1, -2]\"\n"), HasSubstr("expert is '-2'"));
  EXPECT_THAT(refused(head + "1,0,\"a,\"[1]\"\n"), HasSubstr("text after a quoted cell"));
  EXPECT_THAT(refused("Layer ID,Batch Number,Token,Activated Expert IDs,Colour\n"),
              HasSubstr("'Colour' is unknown"));
}

TEST_F(Recordings, UnknownJsonIsSaidToBeThat) {
  EXPECT_THAT(
      refused("{\"a\":1,\"b\":{\"c\":2},\"\x1b[1m\":3}\n{\"a\":2}\n"),
      AllOf(HasSubstr("JSON lines of a format that is not known; the first record has the keys a, b, ?[1m"),
            Not(HasSubstr("truncated")), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(refused("{\"model_type\":\"mixtral\"}"), HasSubstr("JSON of a format that is not known"));
  const RecordStart cut(
      "{\"text\":\"a\\\"}{\", \"n\": [1, {\"inner\": 2}], \"kind\":\"k\", \"last\": \"never en");
  EXPECT_THAT(cut.keys(), ElementsAre("text", "n", "kind", "last"));
  EXPECT_EQ(cut.text("kind"), "k");
  EXPECT_FALSE(cut.is_lines());
}

TEST_F(Recordings, AcceptedThoughFalse) {
  const auto trace = [](const char* stack, const std::string& steps_) {
    return std::string(R"({"format":"pregate-trace","version":1,"stacks":[")") + stack +
           R"("],"layers":[{"stack":0,"layer":0,"experts":8,"top_k":2}],"weights":true})" +
           "\n{\"request\":0}\n" + steps_;
  };
  const auto step = [](const char* phase, int position, const char* ids, const char* weights,
                       int tokens = 1) {
    return std::string(R"({"phase":")") + phase + R"(","tokens":)" + std::to_string(tokens) +
           R"(,"position":)" + std::to_string(position) + R"(,"experts":[)" + ids + R"(],"weights":[)" +
           weights + "]}\n";
  };
  EXPECT_THAT(refused(trace("decoder", step("decode", 0, "[[3,3]]", "[[0.5,0.5]]"))),
              HasSubstr("bad:3: token 0 has expert 3 twice in layer 0"));
  for (const char* weight : {"-5", "1e30", "1e300", "1001"})
    EXPECT_THAT(
        refused(trace("decoder", step("decode", 0, "[[3]]", ("[[" + std::string(weight) + "]]").c_str()))),
        HasSubstr("bad:3: weight"));
  EXPECT_THAT(refused(trace("decoder", step("encoder", 0, "[[3]]", "[[1]]"))),
              HasSubstr("encoder step in stack 'decoder'"));
  EXPECT_THAT(refused(trace("encoder", step("decode", 0, "[[3]]", "[[1]]"))),
              HasSubstr("decode step in stack 'encoder'"));
  const std::string first = step("decode", 4, "[[3]]", "[[1]]");
  EXPECT_THAT(refused(trace("decoder", first + step("decode", 6, "[[3]]", "[[1]]"))),
              HasSubstr("bad:4: starts at position 6, but the step before it ends at 5"));
  EXPECT_THAT(refused(trace("decoder", first + step("decode", 4, "[[3]]", "[[1]]"))),
              HasSubstr("position 4"));
  // A step that verifies two drafts advances by one or two tokens.
  const std::string drafts = step("decode", 4, "[[3],[1]]", "[[1],[1]]", 2);
  import(trace("decoder", drafts + step("decode", 5, "[[3]]", "[[1]]")));
  import(trace("decoder", drafts + step("decode", 6, "[[3]]", "[[1]]")));
  EXPECT_THAT(refused(trace("decoder", drafts + step("decode", 7, "[[3]]", "[[1]]"))), HasSubstr("5 to 6"));
}

// Every recording at hand of these forms imports, is sound and survives JSONL; nothing is known of them but
// what they say.
TEST_F(Recordings, RecordedFiles) {
  PREGATE_NEEDS_SHARED_DATA();
  const auto recorded = [](const char* name) { return (shared_data() / name).string(); };
  const auto expect = [&](const char* name, const char* format, std::int64_t tokens, std::size_t layers,
                          std::int64_t entries) {
    const ImportResult result = import_file(recorded(name));
    EXPECT_EQ(result.format, format) << name;
    EXPECT_EQ(result.info.tokens, tokens) << name;
    EXPECT_EQ(result.info.layers.size(), layers) << name;
    EXPECT_EQ(result.info.routed_entries, entries) << name;
  };
  expect("recordings/vllm-moe-logger.jsonl", "vllm-moe-logger", 39, 1, 39 * 4);
  expect("recordings/cachelab.jsonl", "moe-cache-lab", 2, 2, 2 * 2 * 8);
  expect("failing/08-other-jsonl-says-truncated.jsonl", "moe-cache-lab", 2, 2, 2 * 2 * 8);
  expect("recordings/moe_trace.csv", "llama-moe-trace", 3, 24, 3 * 24 * 4);
  expect("failing/09-llamacpp-moe-trace.csv", "llama-moe-trace", 3, 24, 3 * 24 * 4);
  expect("recordings/moe-beyond.csv", "moe-beyond", 3, 26, 3 * 26 * 6);
  expect("failing/12-moe-beyond.csv", "moe-beyond", 3, 1, 3 * 6);
  expect("recordings/speculative-moe.jsonl", "speculative-moe", 1, 2, 4);
  expect("traces/olmoe-1b-7b/trace_olmoe_299.jsonl", "warp", 299, 16, 299 * 16 * 8);
}

}  // namespace
}  // namespace pregate::test
