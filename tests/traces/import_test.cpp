// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <zlib.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/shared_data.hpp"
#include "tests/traces/support.hpp"
#include "traces/statistics.hpp"

namespace pregate::test {
namespace {

using namespace trace;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Import : public TraceTest {
 protected:
  ImportResult import(const std::vector<std::string>& inputs, const ImportOptions& options = {}) {
    return import_trace(inputs, path("t.db"), options);
  }
  std::string refused(const std::string& text, const ImportOptions& options = {}) {
    const std::string message = complaint([&] { import({write("in", text)}, options); });
    EXPECT_THAT(files(), ElementsAre("in")) << "something was left behind";
    return message;
  }
  static std::string recorded(const std::string& name) { return (shared_data() / "traces" / name).string(); }

  /// Export and import again give the same hash; the file is sound.
  void expect_sound_and_reversible(const ImportResult& result) {
    EXPECT_THAT(check(path("t.db")), IsEmpty());
    const auto source = open_trace(path("t.db"));
    export_jsonl(*source, read_requests(path("t.db")), path("t.jsonl"));
    EXPECT_EQ(import_trace({path("t.jsonl")}, path("back.db")).info.content_hash, result.info.content_hash);
  }
};

constexpr const char* route_head =
    "# route_trace v1\n# model=/x/Tiny.gguf arch=a n_layer=3 n_expert=8 n_expert_used=2\n"
    "# layer=0 expert_bytes=100 dense_bytes=7\n# layer=2 expert_bytes=300 dense_bytes=7\n"
    "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes\n";

TEST_F(Import, RouteTraceKeepsPassesAndGaps) {
  // A prompt of two tokens, layer by layer; the last layer has the final token only. Layer 1 holds no
  // experts.
  const std::string rows =
      "0,0,0,0,0,5,0.7,0,100\n0,0,0,0,1,6,0.3,0,100\n0,0,1,0,0,1,0.9,1,0\n0,0,1,2,0,7,0.6,0,300\n0,0,1,2,1,0,"
      "0.4,0,300\n"
      "0,1,2,0,0,3,0.5,2,0\n0,1,2,2,1,4,0.25,0,300\n"
      "1,0,3,0,0,2,1,0,100\n";
  const ImportResult result = import({write("in", route_head + rows)}, {.model_top_k = 4});
  EXPECT_EQ(result.format, "route-trace-v1");
  EXPECT_EQ(result.info.model, "Tiny");
  EXPECT_EQ(result.info.requests, 2);
  EXPECT_EQ(result.info.routed_entries, 8);
  EXPECT_THAT(result.info.layers,
              ElementsAre(TraceLayer{0, 0, 8, 2, Bytes{100}}, TraceLayer{0, 2, 8, 2, Bytes{300}}));
  EXPECT_THAT(result.notes, Contains(HasSubstr("recorded with 2 of the model's 4 experts a token")));
  const auto source = open_trace(path("t.db"));
  const auto steps = all_steps(*source);
  ASSERT_EQ(steps.size(), 3U);
  EXPECT_THAT(steps[0].experts, ElementsAre(5, 6, 1, no_expert, no_expert, no_expert, 7, 0));
  EXPECT_THAT(steps[0].weights, ElementsAre(0.7F, 0.3F, 0.9F, 0.F, 0.F, 0.F, 0.6F, 0.4F));
  EXPECT_THAT(steps[1].experts, ElementsAre(3, no_expert, no_expert, 4));
  EXPECT_EQ(steps[1].step.position, 2);
  EXPECT_TRUE(steps[2].step.first_of_request);
  EXPECT_EQ(steps[2].step.position, 3);
}

TEST_F(Import, RouteTraceRefusesFaults) {
  const std::string head = route_head;
  EXPECT_THAT(refused(head + "0,0,0,0,0,8,0.7,0,1\n"), HasSubstr("in:6: expert is '8'"));
  EXPECT_THAT(refused(head + "0,0,0,3,0,1,0.7,0,1\n"), HasSubstr("layer is '3'"));
  EXPECT_THAT(refused(head + "0,0,0,0,2,1,0.7,0,1\n"), HasSubstr("slot is '2'"));
  EXPECT_THAT(refused(head + "0,0,0,0,0,1,nan,0,1\n"), HasSubstr("weight is 'nan'"));
  EXPECT_THAT(refused(head + "0,0,0,0,0,1,0.7,0\n"), HasSubstr("8 fields instead of 9"));
  EXPECT_THAT(refused(head + "0,0,0,0,0,1,0.7,0,1\n0,0,0,0,0,2,0.7,0,1\n"), HasSubstr("occurs twice"));
  EXPECT_THAT(refused(head + "0,0,0,0,0,1,0.7,0,1\n0,0,900000000,0,0,2,0.7,0,1\n"),
              HasSubstr("with only 2 rows"));
  EXPECT_THAT(refused(head + "0,1,4,0,0,1,0.7,0,1\n0,1,6,0,0,2,0.7,0,1\n"), HasSubstr("expected 5"));
  EXPECT_THAT(refused(head + "1,1,4,0,0,1,0.7,0,1\n0,1,5,0,0,2,0.7,0,1\n"),
              HasSubstr("turn 0 phase 1 after turn 1"));
  EXPECT_THAT(refused(head), HasSubstr("holds no routing decisions"));
  EXPECT_THAT(refused("# route_trace v1\n# n_layer=99999999\n"), HasSubstr("n_layer is '99999999'"));
  EXPECT_THAT(refused("# route_trace v1\n"), HasSubstr("ends before the column names"));
}

std::string switch_run(int layers, int encoder, int batch, int steps, int id = 3) {
  const auto line = [&](int ids) {
    std::string text = "permuted_experts_";
    for (int i = 0; i < ids; ++i) text += " " + std::to_string(id);
    return text + " \n";
  };
  std::string text;
  for (int l = 0; l < layers; ++l) text += line(encoder * batch);
  for (int l = 0; l < layers * steps; ++l) text += line(batch);
  return text;
}

TEST_F(Import, SwitchLinesShapeIsReadOffTheLines) {
  const std::string file = write("run_e16_b2.txt", switch_run(3, 5, 2, 4) + switch_run(3, 5, 2, 4));
  const ImportResult result = import({file});
  EXPECT_EQ(result.format, "switch-lines");
  EXPECT_EQ(result.info.stacks, (std::vector<std::string>{"encoder", "decoder"}));
  EXPECT_EQ(result.info.layers.size(), 6U);
  EXPECT_EQ(result.info.layers[5], (TraceLayer{1, 5, 16, 1, Bytes{}}));
  EXPECT_EQ(result.info.requests, 2);
  EXPECT_EQ(result.info.steps, 2 * (1 + 4));
  const auto steps = all_steps(*open_trace(path("t.db")));
  EXPECT_EQ(steps[0].step.tokens, 10);
  EXPECT_EQ(steps[0].step.sequences, 2);
  EXPECT_EQ(steps[2].step.position, 1);
  EXPECT_EQ(read_requests(path("t.db"))[1].sequences, 2);
}

TEST_F(Import, SwitchLinesRefuseWhatDoesNotDivide) {
  EXPECT_THAT(refused(switch_run(3, 5, 2, 4) + "permuted_experts_ 3 3\n"), HasSubstr("truncated"));
  EXPECT_THAT(refused(switch_run(3, 1, 2, 4)), HasSubstr("cannot be told apart"));
  EXPECT_THAT(refused(switch_run(3, 5, 2, 4) + switch_run(2, 5, 2, 3)), HasSubstr("2 encoder lines"));
  EXPECT_THAT(refused("permuted_experts_ 1 2 3\npermuted_experts_ 1 2\n"),
              HasSubstr("lines of 3 ids, then of 2"));
  EXPECT_THAT(refused("permuted_experts_ 1 x\n"), HasSubstr("in:1: expert is 'x'"));
  EXPECT_THAT(refused("permuted_experts_\n"), HasSubstr("holds no expert"));
  EXPECT_THAT(refused(switch_run(3, 5, 2, 4, 20), {.experts = 16}), HasSubstr("expert 20 occurs"));
}

TEST_F(Import, ExpertsThatNobodyNamedAreInferredAndSaid) {
  const ImportResult result = import({write("in", switch_run(2, 5, 1, 4, 20))});
  EXPECT_EQ(result.info.layers[0].experts, 32);
  EXPECT_THAT(result.notes, Contains(HasSubstr("does not say how many experts")));
}

TEST_F(Import, GptOssJsonIsReadStrictly) {
  const auto token = [](const std::string& name, const std::string& layer) {
    return R"({"dataset":"d","category":"c","x":[{"y":null}],"router_data":[{")" + name + R"(":{)" + layer +
           "}}]}";
  };
  const std::string good = R"("layer_0":{"selected_experts":[3,1],"selected_probs":[0.5,0.25]})";
  const ImportResult result = import({write("in", token("token_7", good))});
  EXPECT_EQ(result.format, "gpt-oss-json");
  const auto steps = all_steps(*open_trace(path("t.db")));
  EXPECT_THAT(steps.at(0).experts, ElementsAre(3, 1));
  EXPECT_THAT(steps.at(0).weights, ElementsAre(0.5F, 0.25F));
  EXPECT_EQ(steps.at(0).step.position, 7);
  EXPECT_EQ(read_requests(path("t.db"))[0].label, "d/c");
  std::filesystem::remove(path("t.db"));

  EXPECT_THAT(refused(token("word_7", good)), HasSubstr("'word_7' where token_<number> belongs"));
  EXPECT_THAT(refused(token("token_7", R"("layer_9999":{})")), HasSubstr("layer 9999"));
  EXPECT_THAT(refused(token("token_7", R"("layer_0":{"selected_experts":[1.5]})")),
              HasSubstr("not a whole number"));
  EXPECT_THAT(refused(token("token_7", R"("layer_0":{"selected_experts":[-1]})")), HasSubstr("expert -1"));
  EXPECT_THAT(refused(token("token_7", R"("layer_0":{"selected_experts":[1]})")),
              HasSubstr("differ in length"));
  EXPECT_THAT(refused(token("token_7", R"("layer_0":{"other":[1]})")), HasSubstr("'other' is not expected"));
  EXPECT_THAT(refused(token("token_7", good).substr(0, 60), {.format = "gpt-oss-json"}),
              HasSubstr("not valid JSON"));
  EXPECT_THAT(refused(R"({"model_type":"mixtral"})", {.format = "gpt-oss-json"}),
              HasSubstr("holds no router_data"));
  EXPECT_THAT(refused("{\"x\":" + std::string(100'000, '['), {.format = "gpt-oss-json"}),
              HasSubstr("nested too deeply"));
}

TEST_F(Import, JsonlIsStrict) {
  const std::string head =
      R"({"format":"pregate-trace","version":1,"stacks":["decoder"],"layers":[{"stack":0,"layer":0,"experts":8,"top_k":2}]})"
      "\n";
  const std::string request = head + "{\"request\":0}\n";
  EXPECT_THAT(refused(head), HasSubstr("at least one request"));
  EXPECT_THAT(refused(request + R"({"phase":"decode","tokens":1,"position":0,"experts":[[[1,8]]]})"),
              HasSubstr("in:3: expert 8 in layer 0"));
  EXPECT_THAT(
      refused(request + R"({"phase":"decode","tokens":1,"position":0,"experts":[[[1]]],"wieghts":[]})"),
      HasSubstr("in:3: the step has an unknown key 'wieghts'"));
  EXPECT_THAT(refused(request + R"({"phase":"decode","tokens":1,"tokens":1,"position":0,"experts":[[[1]]]})"),
              HasSubstr("'tokens' occurs twice"));
  EXPECT_THAT(refused(request + R"({"phase":"decode","tokens":2,"position":0,"experts":[[[1]]]})"),
              HasSubstr("not a list of 2 tokens"));
  EXPECT_THAT(refused(request + R"({"phase":"decode","tokens":1,"position":0,"experts":[[[1,2,3]]]})"),
              HasSubstr("at most 2"));
  EXPECT_THAT(refused(request + R"({"phase":"dekode","tokens":1,"position":0,"experts":[[[1]]]})"),
              HasSubstr("phase 'dekode'"));
  EXPECT_THAT(refused(request + R"({"phase":"decode")"), HasSubstr("in:3: is not valid JSON"));
  EXPECT_THAT(refused(head + R"({"phase":"decode","tokens":1,"position":0,"experts":[[[1]]]})"),
              HasSubstr("before the first request"));
  EXPECT_THAT(refused(head + "{\"request\":3}\n"), HasSubstr("has id 3, expected 0"));
  EXPECT_THAT(refused(R"({"format":"pregate-trace","version":7})"), HasSubstr("version 7"));
}

// As Windows' programs write text.
TEST_F(Import, AByteOrderMarkAndCarriageReturnsAreNoPartOfARecording) {
  for (const std::string& text : {std::string(R"({"t":0,"layer":0,"experts":[3,1]})") + "\n" +
                                      R"({"t":1,"layer":0,"experts":[2,0]})" + "\n",
                                  std::string("seq,dataset,category,token,L0\n0,a,b,5,1 2\n0,a,b,6,1 2\n")}) {
    std::string other = "\xEF\xBB\xBF";
    for (const char c : text) other += c == '\n' ? "\r\n" : std::string(1, c);
    const std::string plain = import({write("in", text)}).info.content_hash;
    EXPECT_EQ(import_trace({write("in", other)}, path("other.db")).info.content_hash, plain) << text;
    std::filesystem::remove(path("t.db"));
    std::filesystem::remove(path("other.db"));
  }
}

TEST_F(Import, FilesOfNoFormat) {
  EXPECT_THAT(refused(""), HasSubstr("is empty"));
  EXPECT_THAT(refused("hello\n"), HasSubstr("in no format that is known"));
  EXPECT_THAT(refused("SQLite format 3"), HasSubstr("is a database already"));
  EXPECT_THAT(complaint([&] { import({path("absent")}); }), HasSubstr("no such file"));
  EXPECT_THAT(complaint([&] { import({path(".")}); }), HasSubstr("is a folder"));
  EXPECT_THAT(refused("x", {.format = "switch-line"}), HasSubstr("did you mean 'switch-lines'"));
  const std::string csv = "seq,dataset,category,token,L0\n0,a,b,5,1 2\n0,a,b,7,1 2\n";
  EXPECT_THAT(refused(csv), HasSubstr("in:3: token 7 after token 5"));
}

TEST_F(Import, GzipIsTransparentAndTruncationIsSeen) {
  std::string csv = "# remark\nseq,dataset,category,token,L0\n";
  for (int i = 0; i < 5000; ++i)
    csv += "0,a,b," + std::to_string(i) + "," + std::to_string(i * 7 % 32) + "\n";
  const gzFile file = gzopen(path("in").c_str(), "wb");
  gzwrite(file, csv.data(), static_cast<unsigned>(csv.size()));
  gzclose(file);
  const std::string zipped = text_of(path("in"));
  EXPECT_EQ(import({path("in")}).info.tokens, 5000);
  std::filesystem::remove(path("t.db"));
  EXPECT_THAT(refused(zipped.substr(0, zipped.size() / 2)), HasSubstr("gzip file is truncated"));
}

// The counts of the acceptance test, and the statistics measured on the recordings by their own tools.
TEST_F(Import, RecordedQwen3) {
  PREGATE_NEEDS_SHARED_DATA();
  const ImportResult result = import({recorded("qwen3-30b-a3b/qwen.route.csv")});
  expect_sound_and_reversible(result);
  EXPECT_EQ(result.info.layers.size(), 48U);
  for (const TraceLayer& layer : result.info.layers) EXPECT_EQ(layer.experts, 128);
  EXPECT_EQ(result.info.layers[6].expert_bytes, Bytes{2654208});
  EXPECT_EQ(result.info.routed_entries, 44'766);
  const auto statistics = measure(*open_trace(path("t.db")));
  EXPECT_EQ(statistics.prefill_tokens, 28);
  EXPECT_EQ(statistics.decode_tokens, 128);
  EXPECT_NEAR(statistics.lag1_overlap, 0.380, 0.0006);
  EXPECT_EQ(statistics.layers[47].tokens, 129);  // the final prompt token only
}

TEST_F(Import, RecordedGptOss) {
  PREGATE_NEEDS_SHARED_DATA();
  const ImportResult result = import({recorded("gpt-oss-20b/derived-compact-sequences.csv.gz")});
  EXPECT_THAT(check(path("t.db")), IsEmpty());
  EXPECT_EQ(result.info.requests, 89);
  EXPECT_EQ(result.info.tokens, 29'711);
  EXPECT_EQ(result.info.routed_entries, 29'711 * 24 * 4);
  EXPECT_NEAR(measure(*open_trace(path("t.db"))).lag1_overlap, 0.441, 0.0006);
}

TEST_F(Import, RecordedGptOssRaw) {
  PREGATE_NEEDS_SHARED_DATA();
  std::vector<std::string> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(recorded("gpt-oss-20b")))
    if (entry.path().extension() == ".json") inputs.push_back(entry.path().string());
  std::sort(inputs.begin(), inputs.end());
  const ImportResult result = import(inputs);
  expect_sound_and_reversible(result);
  EXPECT_TRUE(result.info.has_weights);
  EXPECT_EQ(result.info.requests, 2);
  EXPECT_EQ(result.info.tokens, 2 * 511);
  EXPECT_EQ(read_requests(path("t.db"))[0].label, "gpqa_main/Astrophysics");
}

TEST_F(Import, RecordedSwitchBase) {
  PREGATE_NEEDS_SHARED_DATA();
  const std::vector<double> distinct = {1.00, 1.73, 2.61};
  for (const int i : {0, 1, 2}) {
    const int batch = 1 << i;
    ImportOptions options;
    options.overwrite = true;
    const auto result =
        import({recorded("switch-base/experts_e128_Pre-gated_b" + std::to_string(batch) + ".txt")}, options);
    EXPECT_EQ(result.info.model, "switch-base-128");
    EXPECT_EQ(result.info.requests, 5);
    EXPECT_EQ(result.info.steps, 5 * (1 + 256));
    EXPECT_EQ(result.info.tokens, 5 * 512 * batch);
    const auto statistics = measure(*open_trace(path("t.db")));
    EXPECT_NEAR(statistics.mean_activated, distinct[static_cast<std::size_t>(i)], 0.006);
    if (batch == 1) {
      EXPECT_NEAR(statistics.lag1_overlap, 0.675, 0.0006);
    }
  }
}

}  // namespace
}  // namespace pregate::test
