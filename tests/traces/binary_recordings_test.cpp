// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/traces/binary_recordings.hpp"

#include <zstd.h>

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

class BinaryRecording : public TraceTest {
 protected:
  /// Imports, and checks what every import has to keep: a sound file, and the same hash by way of JSONL.
  std::vector<OwnedStep> steps_of(const std::vector<std::string>& inputs, const ImportOptions& options = {}) {
    result_ = import_trace(inputs, path("t.db"), options);
    EXPECT_THAT(check(path("t.db")), IsEmpty());
    const auto source = open_trace(path("t.db"));
    export_jsonl(*source, read_requests(path("t.db")), path("t.jsonl"));
    EXPECT_EQ(import_trace({path("t.jsonl")}, path("back.db")).info.content_hash, result_.info.content_hash);
    auto steps = all_steps(*source);
    for (const char* name : {"t.db", "back.db", "t.jsonl"}) std::filesystem::remove(path(name));
    return steps;
  }
  std::string refused(const std::string& bytes, const ImportOptions& options = {}) {
    return complaint([&] { import_trace({write("in", bytes)}, path("t.db"), options); });
  }
  static std::string recorded(const std::string& name) {
    return (shared_data() / "recordings" / name).string();
  }

  ImportResult result_;
};

constexpr const char* head = "{'descr': '<i2', 'fortran_order': False, 'shape': (3, 2, 2), }\n";
// Token by token, layer by layer: (5 1)(0 3) | (2 4)(1 0) | (6 7)(3 2)
const std::vector<int> ids = {5, 1, 0, 3, 2, 4, 1, 0, 6, 7, 3, 2};

TEST_F(BinaryRecording, NpyIsReadInEveryOrderWidthAndVersion) {
  // The same array by columns: the token runs fastest, then the layer, then the rank.
  const std::vector<int> columns = {5, 2, 6, 0, 1, 3, 1, 4, 7, 3, 0, 2};
  std::string big_endian;
  for (const int id : ids) big_endian += std::string(1, '\0') + static_cast<char>(id);
  const std::string files[] = {
      npy(head, numbers(ids, 2)),
      npy("{'fortran_order': True, 'shape': (3, 2, 2), 'descr': '<i4'}", numbers(columns, 4), 2),
      npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2, 2)}", numbers(ids, 1), 3),
      npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3, 2, 2)}", numbers(ids, 8)),
      npy("{'descr': '>i2', 'fortran_order': False, 'shape': (3, 2, 2)}", big_endian)};
  for (const std::string& file : files) {
    const auto steps = steps_of({write("a.npy", file)}, {.prompt_tokens = 2});
    EXPECT_EQ(result_.format, "vllm-npy");
    ASSERT_EQ(steps.size(), 2U);
    EXPECT_EQ(steps[0].step.phase, Phase::prefill);
    EXPECT_THAT(steps[0].experts, ElementsAre(5, 1, 2, 4, 0, 3, 1, 0));  // layer 0: both tokens, layer 1
    EXPECT_EQ(steps[1].step.phase, Phase::decode);
    EXPECT_EQ(steps[1].step.position, 2);
    EXPECT_THAT(steps[1].experts, ElementsAre(6, 7, 3, 2));
  }
  EXPECT_EQ(steps_of({write("a.npy", files[0])}).size(), 3U) << "without a prompt, every token is a step";
  EXPECT_THAT(result_.notes, Contains(HasSubstr("--prompt-tokens")));
}

// Cached prompt tokens are -1 and layers without experts 0, neither of which is routing; the last token is
// never computed.
TEST_F(BinaryRecording, PlacesThatWereNeverWrittenAreNoRouting) {
  const std::vector<int> holes = {-1, -1, -1, -1, 0, 0, 1, 0, 0, 0, 3, 2, 0, 0, 0, 0};
  const auto steps = steps_of({write(
      "a.npy", npy("{'descr': '<i2', 'fortran_order': False, 'shape': (4, 2, 2)}", numbers(holes, 2)))});
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].step.position, 1);
  EXPECT_THAT(steps[1].experts, ElementsAre(3, 2));
  ASSERT_EQ(result_.info.layers.size(), 1U);
  EXPECT_EQ(result_.info.layers[0].layer, 1);
  EXPECT_THAT(result_.notes, Contains(HasSubstr("1 layer without any routing")));
  EXPECT_THAT(result_.notes, Contains(HasSubstr("prefix cache")));
  // A recording of the MoE layers alone gets the model's indices; one of another number is refused.
  ImportOptions model{
      .model = "m", .model_top_k = 2, .model_experts = 8, .model_layers = 4, .model_moe_layers = {1, 3}};
  steps_of({write("a.npy", npy(head, numbers(ids, 2)))}, model);
  EXPECT_EQ(result_.info.layers[0].layer, 1);
  EXPECT_EQ(result_.info.layers[1].layer, 3);
  model.model_layers = 9;
  model.model_moe_layers = {1, 3, 5};
  EXPECT_THAT(refused(npy(head, numbers(ids, 2)), model),
              HasSubstr("2 layers, but m has 9, 3 of them with experts"));
}

TEST_F(BinaryRecording, NpyRefusesFaults) {
  const auto shaped = [](const std::string& shape, const std::string& type = "<i2") {
    return "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + "}";
  };
  const std::string data = numbers(ids, 2);
  EXPECT_THAT(refused(npy(head, data).substr(0, 40)), HasSubstr("truncated"));
  EXPECT_THAT(refused(npy(head, data.substr(1))), HasSubstr("its shape and type make 24"));
  EXPECT_THAT(refused(npy(head, data + "x")), HasSubstr("25 bytes"));
  EXPECT_THAT(refused(npy(shaped("(9223372036854775807, 9, 9)"), data)), HasSubstr("too large for any file"));
  EXPECT_THAT(refused(npy(shaped("(99999999999999999999, 9, 9)"), data)), HasSubstr("no size"));
  EXPECT_THAT(refused(npy(shaped("(0, 2, 2)"), "")), HasSubstr("has the shape (0, 2, 2)"));
  EXPECT_THAT(refused(npy(shaped("(12,)"), data)), HasSubstr("has the shape (12)"));
  EXPECT_THAT(refused(npy(shaped("(12)"), data)), HasSubstr("no tuple"));
  EXPECT_THAT(refused(npy(shaped("(3, 2, 2)", "<f4"), data)), HasSubstr("type '<f4'"));
  EXPECT_THAT(refused(npy(shaped("(3, 2, 2)", "|O"), data)), HasSubstr("Python objects are not read"));
  EXPECT_THAT(refused(npy("{'descr': [('a', '<i2')], 'fortran_order': False, 'shape': (3,)}", data)),
              HasSubstr("array of records"));
  EXPECT_THAT(refused(npy("{'descr': '<i2', 'descr': '<i2'}", data)), HasSubstr("'descr' twice"));
  EXPECT_THAT(refused(npy("{'descr': __import__('os')}", data)), HasSubstr("other than a text"));
  EXPECT_THAT(refused(npy(head, data, 4)), HasSubstr("version 4.0"));
  EXPECT_THAT(refused(npy(head, numbers({5, 1, 0, 3, 2, 4, 1, 1, 6, 7, 3, 2}, 2))),
              HasSubstr("token 1: layer 1 has expert 1 twice"));
  EXPECT_THAT(refused(npy(head, numbers({5, 1, 0, 3, 2, 4, 1, -2, 6, 7, 3, 2}, 2))),
              HasSubstr("token 1: expert -2"));
}

// Two prompt tokens and three generated ones; the last of these has no routing.
TEST_F(BinaryRecording, AnswersOfVllm) {
  const std::string prompt = "[[[5,1],[0,3]],[[2,4],[1,0]]]", generated = "[[[6,7],[3,2]],[[1,2],[3,4]]]";
  const std::string whole = prompt.substr(0, prompt.size() - 1) + "," + generated.substr(1);
  const std::string array = base64(npy("{'descr': '<i2', 'fortran_order': False, 'shape': (4, 2, 2)}",
                                       numbers({5, 1, 0, 3, 2, 4, 1, 0, 6, 7, 3, 2, 1, 2, 3, 4}, 2)));
  const std::string usage = R"(,"usage":{"prompt_tokens":2,"completion_tokens":3}})";
  const std::string answers[] = {
      R"({"id":"a","prompt_routed_experts":)" + prompt + R"(,"choices":[{"routed_experts":)" + generated +
          "}]}",
      R"({"id":"a","choices":[{"text":"x","routed_experts":)" + whole + "}]" + usage,
      R"([{"id":"a","choices":[{"logprobs":{"a":[[]]},"routed_experts":")" + array + "\"}]" + usage + "]"};
  for (const std::string& answer : answers) {
    const auto steps = steps_of({write("a.json", answer)});
    EXPECT_EQ(result_.format, "vllm-api");
    ASSERT_EQ(steps.size(), 3U);
    EXPECT_EQ(steps[0].step.phase, Phase::prefill);
    EXPECT_THAT(steps[0].experts, ElementsAre(5, 1, 2, 4, 0, 3, 1, 0));
    EXPECT_THAT(steps[2].experts, ElementsAre(1, 2, 3, 4));
    EXPECT_EQ(steps[2].step.position, 3);
  }
  // Generated tokens alone begin after the prompt.
  const auto steps = steps_of({write("a.json", R"({"choices":[{"routed_experts":[[[6,7]]]}],"usage":)"
                                               R"({"prompt_tokens":20,"completion_tokens":2}})")});
  EXPECT_EQ(steps.at(0).step.position, 20);
}

TEST_F(BinaryRecording, AnswersOfSglangNeedTheModelsShape) {
  const std::string routing = base64(numbers(ids, 4));
  const auto answer = [&](const std::string& counts) {
    return R"({"text":"x","meta_info":{"id":"r",)" + counts + R"("routed_experts":")" + routing + R"("}})";
  };
  const std::string counted = answer(R"("prompt_tokens":2,"completion_tokens":2,)");
  const ImportOptions model{
      .model = "m", .model_top_k = 2, .model_experts = 8, .model_layers = 2, .model_moe_layers = {0, 1}};
  for (const std::string& text :
       {counted, "[" + counted + "," + counted + "]", counted + "\n" + counted + "\n"}) {
    const auto steps = steps_of({write("a.json", text)}, model);
    EXPECT_EQ(result_.format, "sglang-api");
    EXPECT_EQ(result_.info.requests, text == counted ? 1 : 2);
    EXPECT_THAT(steps.at(0).experts, ElementsAre(5, 1, 2, 4, 0, 3, 1, 0));
    EXPECT_THAT(steps.at(1).experts, ElementsAre(6, 7, 3, 2));
  }
  // 12 ids of 3 tokens are 2 layers of top-2.
  steps_of({write("a.json", counted)}, {.top_k = 2});
  EXPECT_EQ(result_.info.layers.size(), 2U);
  EXPECT_THAT(refused(counted), HasSubstr("without their shape"));
  EXPECT_THAT(refused(answer(""), {.top_k = 2}), HasSubstr("does not count its tokens"));
  ImportOptions other = model;
  other.model_top_k = 3;
  EXPECT_THAT(refused(counted, other), HasSubstr("4 ids a token"));
  // One turn of several: tokens from routed_experts_start_len on.
  const auto later = steps_of(
      {write("a.json", answer(R"("prompt_tokens":12,"completion_tokens":2,"routed_experts_start_len":10,)"))},
      model);
  EXPECT_EQ(later.at(0).step.position, 10);
  EXPECT_EQ(later.at(0).step.tokens, 2);
}

TEST_F(BinaryRecording, AnswersRefuseFaults) {
  const auto vllm = [](const std::string& routing) {
    return R"({"choices":[{"routed_experts":)" + routing + "}]}";
  };
  EXPECT_THAT(refused(R"({"choices":[{"text":"x","routed_experts":null}]})"),
              HasSubstr("--enable-return-routed-experts"));
  EXPECT_THAT(refused(vllm("[[[1,2]],[[1]]]")),
              HasSubstr("token 1 of the routing has 1 experts in its list"));
  EXPECT_THAT(refused(vllm("[[[1],[2]],[[1]]]")), HasSubstr("1 layers in its list, where 2"));
  EXPECT_THAT(refused(vllm("[[[1.5]]]")), HasSubstr("a fraction where an expert's number"));
  EXPECT_THAT(refused(vllm("[[[70000]]]")), HasSubstr("expert 70000"));
  EXPECT_THAT(refused(vllm("[[[[1]]]]")), HasSubstr("a list where an expert's number"));
  EXPECT_THAT(refused(vllm("{}")), HasSubstr("is an object"));
  EXPECT_THAT(refused(vllm("\"QQ=\"")), HasSubstr("no multiple of 4"));
  EXPECT_THAT(refused(vllm("\"Q!==\"")), HasSubstr("the character '!'"));
  EXPECT_THAT(refused(vllm("[[[1]]").substr(0, 30)), HasSubstr("truncated"));
  EXPECT_THAT(refused(R"({"choices":[],"x":)" + std::string(100'000, '[')), HasSubstr("nested too deeply"));
  EXPECT_THAT(
      refused(
          R"({"choices":[{"routed_experts":[[[1]],[[2]]]}],"usage":{"prompt_tokens":9,"completion_tokens":9}})"),
      HasSubstr("routing of 2 tokens, but its prompt has 9"));
}

std::string record(int pass, int mode, const std::vector<int>& positions, const std::string& lengths,
                   const std::string& routing) {
  return p_dict({{"forward_pass_id", p_int(pass)},
                 {"rank", p_int(0)},
                 {"gatherer_key", p_text("primary")},
                 {"input_ids", p_ints(positions)},
                 {"positions", p_ints(positions)},
                 {"extend_seq_lens", lengths},
                 {"forward_mode", p_int(mode)},
                 {"topk_ids_of_layer", routing},
                 {"misc_objects", "]"}});
}

// Physical experts 0 to 3 are the logical 0, 1, 2 and a copy of 0. One layer: two prompts of one and two
// tokens, a decode step of both, and after an idle pass a sequence of its own.
TEST_F(BinaryRecording, RecorderOfSglangMapsPhysicalExpertsAndKeepsBatches) {
  const std::string file = torch_file(
      p_dict({{"records", p_list({record(3, 1, {0, 0, 1}, p_ints({1, 2}), p_tensor("0", {1, 3, 2})),
                                  record(4, 2, {1, 2}, "N", p_tensor("1", {1, 2, 2})),
                                  record(5, 4, {}, "N", p_list({p_list({})})),
                                  record(6, 2, {7}, "N", p_list({p_list({p_ints({2, -1})})}))})},
              {"last_physical_to_logical_map", p_list({p_ints({0, 1, 2, 0})})}}),
      {{"archive/byteorder", "little"},
       {"archive/data/0", numbers({0, 1, 3, 2, 1, 2}, 4)},
       {"archive/data/1", numbers({3, 1, 2, 3}, 4)}});
  const auto steps = steps_of({write("r.pt", file)});
  EXPECT_EQ(result_.format, "sglang-recorder");
  EXPECT_THAT(result_.info.layers, ElementsAre(TraceLayer{0, 0, 3, 2, Bytes{}}));
  EXPECT_EQ(result_.info.requests, 2);
  ASSERT_EQ(steps.size(), 3U);
  EXPECT_EQ(steps[0].step.phase, Phase::prefill);
  EXPECT_EQ(steps[0].step.sequences, 2);
  EXPECT_THAT(steps[0].experts, ElementsAre(0, 1, 0, 2, 1, 2));
  EXPECT_EQ(steps[1].step.position, 2);  // 1.5 cached tokens a sequence, rounded up
  EXPECT_THAT(steps[1].experts, ElementsAre(0, 1, 2, 0));
  EXPECT_EQ(steps[2].step.position, 7);
  EXPECT_THAT(steps[2].experts, ElementsAre(2, no_expert));
  EXPECT_THAT(result_.notes, Contains(HasSubstr("4 physical, 3 logical")));
  EXPECT_THAT(result_.notes, Contains(HasSubstr("1 idle passes")));
}

TEST_F(BinaryRecording, TorchFilesRefuseWhatTheRecorderDoesNotWrite) {
  const auto pickled = [&](const std::string& operations) { return refused(torch_file(operations)); };
  EXPECT_THAT(pickled("cos\nsystem\n" + p_text("x") + "\x85R"),
              HasSubstr("needs 'os.system', which is never called"));
  EXPECT_THAT(pickled(p_text("builtins") + p_text("eval") + "\x93"), HasSubstr("'builtins.eval'"));
  EXPECT_THAT(pickled("]q\x05"), HasSubstr("out of turn"));
  EXPECT_THAT(pickled("h\x07"), HasSubstr("did not remember"));
  EXPECT_THAT(pickled("(((("), HasSubstr("ends with 0 values"));
  EXPECT_THAT(pickled("}e"), HasSubstr("no mark"));
  EXPECT_THAT(pickled("K\x01]"), HasSubstr("ends with 2 values"));
  EXPECT_THAT(pickled("\x42"), HasSubstr("operation 66"));
  EXPECT_THAT(pickled("X\xff\xff\xff\xff"), HasSubstr("truncated"));
  EXPECT_THAT(pickled(p_dict({{"logical_count", p_int(1)}})), HasSubstr("mode per_token"));
  EXPECT_THAT(
      pickled(p_dict(
          {{"records", p_list({p_dict({{"forward_pass_id", p_int(0)}, {"forward_mode", p_int(1)}})})}})),
      HasSubstr("record 0: has no topk_ids_of_layer; it has forward_pass_id, forward_mode"));
  // A list that holds itself, as records and as routing.
  EXPECT_THAT(
      pickled("}" + p_text("records") + "]q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "as"),
      HasSubstr("record 0: is a list of 1"));
  const std::string itself = "]q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "a";
  EXPECT_THAT(pickled(p_dict({{"records", p_list({record(0, 2, {0}, "N", itself)})}})),
              HasSubstr("not a whole number"));

  const auto routing = [&](const std::string& tensor, const std::string& bytes) {
    return refused(torch_file(p_dict({{"records", p_list({record(0, 2, {0}, "N", tensor)})}}),
                              {{"archive/data/0", bytes}}));
  };
  EXPECT_THAT(routing(p_tensor("0", {1, 1, 2}), numbers({1}, 4)), HasSubstr("its storage has 4 bytes"));
  EXPECT_THAT(routing(p_tensor("9", {1, 1, 2}), numbers({1, 2}, 4)), HasSubstr("no member 'archive/data/9'"));
  EXPECT_THAT(routing(p_tensor("0", {1, 2}), numbers({1, 2}, 4)), HasSubstr("2 dimensions, not 3"));
  const std::string sound =
      torch_file(p_dict({{"records", p_list({record(0, 2, {0}, "N", p_tensor("0", {1, 1, 2}))})}}),
                 {{"archive/data/0", numbers({1, 2}, 4)}});
  EXPECT_EQ(steps_of({write("in", sound)}).size(), 1U);
  EXPECT_THAT(refused(sound.substr(0, sound.size() - 30)), HasSubstr("directory is missing"));
  std::string damaged = sound;
  damaged[damaged.find("positions")] = 'P';
  EXPECT_THAT(refused(damaged), HasSubstr("does not have its checksum"));
  EXPECT_THAT(refused(zip({{"weights.npy", "x"}})), HasSubstr("without data.pkl"));
  EXPECT_THAT(refused("\x80\x02\x8a\x0a" + numbers({1, 2, 3}, 4), {.format = "sglang-recorder"}),
              HasSubstr("before 1.6"));
}

TEST_F(BinaryRecording, RouterLogitsAreTheirTopKWithTiesToTheLowerIndex) {
  // BF16: 1.0 = 3f80, 2.0 = 4000, -1.0 = bf80, 0 = 0000
  const std::vector<int> first = {0x3f80, 0x4000, 0x3f80, 0xbf80, 0, 0, 0, 0};
  const std::vector<int> second = {0xbf80, 0xbf80, 0, 0x3f80, 0x4000, 0, 0, 0x4000};
  const std::string file =
      safetensors(R"({"model.layers.2.router_logits":{"dtype":"BF16","shape":[2,4],"data_offsets":[16,32]},)"
                  R"("model.layers.0.router_logits":{"dtype":"BF16","shape":[2,4],"data_offsets":[0,16]}})",
                  numbers(first, 2) + numbers(second, 2));
  const auto steps = steps_of({write("l.safetensors", file)}, {.top_k = 2});
  EXPECT_EQ(result_.format, "router-logits");
  EXPECT_THAT(result_.info.layers,
              ElementsAre(TraceLayer{0, 0, 4, 2, Bytes{}}, TraceLayer{0, 2, 4, 2, Bytes{}}));
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_THAT(steps[0].experts, ElementsAre(1, 0, 3, 2));
  EXPECT_THAT(steps[1].experts, ElementsAre(0, 1, 0, 3));
  EXPECT_THAT(refused(file), HasSubstr("--top-k"));
  EXPECT_THAT(refused(file, {.top_k = 5}), HasSubstr("4 experts a layer, fewer than the 5"));
  EXPECT_THAT(refused(file.substr(0, file.size() - 3), {.top_k = 2}), HasSubstr("truncated"));
  const auto one = [](const std::string& name, const std::string& shape, const std::vector<int>& bits) {
    return safetensors("{\"" + name + R"(":{"dtype":"BF16","shape":)" + shape + R"(,"data_offsets":[0,)" +
                           std::to_string(2 * bits.size()) + "]}}",
                       numbers(bits, 2));
  };
  EXPECT_THAT(refused(one("router_logits.0", "[1,2]", {0x7fc0, 0}), {.top_k = 1}),
              HasSubstr("expert 0 in layer 0 is NaN"));
  EXPECT_THAT(refused(one("layers.0.mlp.gate.weight", "[1,2]", {0, 0}), {.top_k = 1}),
              HasSubstr("weights of a model"));
  EXPECT_THAT(refused(one("hidden.0", "[1,2]", {0, 0}), {.top_k = 1}),
              HasSubstr("not known as router logits"));
  EXPECT_THAT(refused(one("router_logits", "[1,2]", {0, 0}), {.top_k = 1}), HasSubstr("2 dimensions"));
  // Without a number, the first dimension is the layer's.
  EXPECT_EQ(steps_of({write("l.safetensors", one("router_logits", "[2,1,2]", {0, 1, 2, 3}))}, {.top_k = 1})
                .at(0)
                .experts,
            (std::vector<std::uint16_t>{1, 1}));
}

TEST_F(BinaryRecording, ZstdIsTransparentAndItsFaultsAreSeen) {
  const auto packed = [](const std::string& bytes) {
    std::string out(ZSTD_compressBound(bytes.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
    return out;
  };
  const std::string file = npy(head, numbers(ids, 2));
  EXPECT_EQ(steps_of({write("in", packed(file))}).size(), 3U);
  EXPECT_EQ(steps_of({write("in", packed(file.substr(0, 50)) + packed(file.substr(50)))}).size(), 3U)
      << "two frames";
  EXPECT_THAT(refused(packed(file).substr(0, 60)), HasSubstr("the zstd file is truncated"));
  EXPECT_THAT(refused(packed(file) + "junk"), HasSubstr("cannot be read"));
  // A frame that says it needs a window of 2 GiB: single segment off, window descriptor 0xA8 = 2^(10 + 21).
  EXPECT_THAT(refused(std::string("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", 9) + std::string(100, '\0')),
              HasSubstr("too much memory"));
}

TEST_F(BinaryRecording, Recorded) {
  PREGATE_NEEDS_SHARED_DATA();
  const auto npy_steps = steps_of({recorded("routed_experts.npy")});
  EXPECT_EQ(npy_steps.size(), 6U);
  EXPECT_EQ(result_.info.layers.size(), 24U);
  steps_of({recorded("vllm_api.json")});
  EXPECT_EQ(result_.info.layers.size(), 48U);
  const auto sglang = steps_of({recorded("sglang_response.json")}, {.top_k = 4});
  EXPECT_EQ(result_.info.layers.size(), 24U);
  EXPECT_EQ(sglang.at(0).step.tokens, 3);
  // Both hold the same array: three prompt tokens, then three decode steps.
  for (std::size_t s = 1; s < 4; ++s) EXPECT_EQ(sglang.at(s).experts, npy_steps.at(s + 2).experts);
  steps_of({recorded("router_logits.safetensors")}, {.top_k = 2});
  EXPECT_EQ(result_.info.tokens, 3);
  // This one was recorded without any expert.
  EXPECT_THAT(complaint([&] { steps_of({recorded("expert_distribution_recorder_1732.5_0.pt")}); }),
              HasSubstr("record 0: has no topk_ids_of_layer"));
}

}  // namespace
}  // namespace pregate::test
