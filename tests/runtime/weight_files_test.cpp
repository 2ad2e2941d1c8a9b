// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/weight_files.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <random>

#include "models/error.hpp"
#include "runtime/reference_model.hpp"
#include "tests/runtime/execute_checks.hpp"
#include "tests/runtime/safetensors_writer.hpp"
#include "tests/runtime/scratch_folder.hpp"

namespace pregate::runtime::test {
namespace {

using pregate::test::as_bytes;
using pregate::test::decoder_info;
using pregate::test::random_source;
using pregate::test::ScratchFolder;
using pregate::test::tiny_model;
using pregate::test::WrittenTensor;
using testing::HasSubstr;

constexpr std::int64_t d = 64, ffn = 128;  // of tiny_model

/// A matrix whose values every 16-bit type holds exactly: multiples of 2^-8 below 1/2.
std::vector<float> random_matrix(std::mt19937& random, std::int64_t size) {
  std::vector<float> values(static_cast<std::size_t>(size));
  for (float& value : values) value = (static_cast<float>(random() % 256) - 127.5F) / 256 - 0.5F / 256;
  return values;
}

std::string stored(const std::vector<float>& values, const std::string& dtype) {
  if (dtype == "F32") return as_bytes(values);
  std::vector<std::uint16_t> bits;
  for (const float value : values)
    bits.push_back(dtype == "F16" ? kernels::to_float16(value).bits : kernels::to_bfloat16(value).bits);
  return as_bytes(bits);
}

/// One expert's values by [gate, up, out], as written down here: the oracle's.
struct Values {
  std::vector<float> gate, up, out;
};

std::string prefix(int layer, int expert) {
  return "model.layers." + std::to_string(layer) + ".mlp.experts." + std::to_string(expert) + ".";
}

void write(std::vector<WrittenTensor>& tensors, int layer, int expert, const Values& values,
           const std::string& dtype) {
  const std::string name = prefix(layer, expert);
  tensors.push_back({name + "down_proj.weight", dtype, {d, ffn}, stored(values.out, dtype)});
  tensors.push_back({name + "gate_proj.weight", dtype, {ffn, d}, stored(values.gate, dtype)});
  tensors.push_back({name + "up_proj.weight", dtype, {ffn, d}, stored(values.up, dtype)});
}

class RealWeights : public testing::TestWithParam<std::string> {
 protected:
  ScratchFolder folder_;
};

// The right tensor is in the right slot: outputs are the double reference's with the values written here,
// under a policy that fetches late and one that fetches early, with an expert that is left out and two
// shards.
TEST_P(RealWeights, AreWhatTheOutputsAreComputedFrom) {
  constexpr int layers = 3, experts = 6, top_k = 2;
  const ModelSpec model = tiny_model(layers, experts, top_k);
  ListSource source = random_source(9, layers, experts, top_k, 2, 3, 5);
  std::mt19937 random(4);
  std::vector<std::optional<Values>> written(static_cast<std::size_t>(layers * experts));
  std::vector<WrittenTensor> shards[2];
  for (int key = 0; key < layers * experts; ++key) {
    if (key % 5 == 3) continue;  // stays synthetic
    const Values& values = written[static_cast<std::size_t>(key)].emplace(Values{
        random_matrix(random, ffn * d), random_matrix(random, ffn * d), random_matrix(random, d * ffn)});
    write(shards[key % 2], key / experts, key % experts, values, GetParam());
  }
  shards[0].push_back({"model.layers.0.self_attn.q_proj.weight", "I64", {2}, std::string(16, 'x')});
  const sim::PreparedTrace prepared(source, model, "test");
  const WeightFiles files({folder_.write("a.safetensors", pregate::test::safetensors_file(shards[0])),
                           folder_.write("b.safetensors", pregate::test::safetensors_file(shards[1]))},
                          model, prepared.map());
  EXPECT_EQ(files.experts(), 15);

  const auto host = open_device("host", {});
  ReferenceModel oracle(model_shape(model, *host), prepared.map(), prepared.map().keys(), 1,
                        [&](sim::ExpertKey key) -> std::optional<std::vector<double>> {
                          const std::optional<Values>& values = written[key];
                          if (!values) return {};
                          std::vector<double> all(values->gate.begin(), values->gate.end());
                          all.insert(all.end(), values->up.begin(), values->up.end());
                          all.insert(all.end(), values->out.begin(), values->out.end());
                          return all;
                        });
  std::vector<std::vector<double>> expected;
  trace::Step step;
  for (source.rewind(); source.next(step);)
    expected.push_back(oracle.run(step, static_cast<std::int64_t>(expected.size()), 0));
  source.rewind();

  for (const char* policy : {"on-demand", "pre-gated", "gpu-only"}) {
    const LiveRun live = run_live("host", model, policy_of(policy, "0"), source, {.files = &files});
    EXPECT_LT(error_of(live, expected), tolerance) << policy;
    EXPECT_THAT(
        live.execution.result.notes,
        testing::Contains(testing::AllOf(HasSubstr("15 of 18 experts have real weights"),
                                         HasSubstr("a.safetensors (8)"), HasSubstr("b.safetensors (7)"))));
  }
  // It could fail: without the files the outputs are others.
  EXPECT_GT(error_of(run_live("host", model, policy_of("on-demand", "0"), source), expected), 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Types, RealWeights, testing::Values("F32", "F16", "BF16"));

class WeightFilesTest : public testing::Test {
 protected:
  [[nodiscard]] std::vector<WrittenTensor> one_expert(int layer = 0, int expert = 0) const {
    std::vector<WrittenTensor> tensors;
    write(tensors, layer, expert, {ones_, ones_, ones_}, "F32");
    return tensors;
  }
  WeightFiles open(const std::vector<std::vector<WrittenTensor>>& files) {
    std::vector<std::string> paths;
    for (const auto& tensors : files)
      paths.push_back(
          folder_.write("f" + std::to_string(paths.size()), pregate::test::safetensors_file(tensors)));
    return WeightFiles(paths, model_, map_);
  }
  void refused(const std::vector<std::vector<WrittenTensor>>& files,
               const std::vector<std::string>& mentions) {
    try {
      open(files);
      ADD_FAILURE() << "taken, but should say " << mentions.front();
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr("hint: "));
      for (const std::string& text : mentions) EXPECT_THAT(error.what(), HasSubstr(text));
    }
  }

  std::vector<float> ones_ = std::vector<float>(static_cast<std::size_t>(ffn * d), 1.0F);
  ScratchFolder folder_;
  ModelSpec model_ = tiny_model(2, 4, 1);
  sim::ExpertMap map_{decoder_info(2, 4, 1), model_, "test"};
};

TEST_F(WeightFilesTest, WhatDoesNotFitTheModelIsRefused) {
  const auto changed = [&](auto&& change) {
    auto tensors = one_expert();
    change(tensors[1]);  // gate_proj
    return tensors;
  };
  refused({{{"lm_head.weight", "U8", {1}, "x"}}}, {"f0", "none of its 1 tensors", "'lm_head.weight'"});
  refused({one_expert(), {}}, {"f1", "none of its 0 tensors"});
  refused({one_expert(0, 4)}, {"experts.4.", "4 experts a layer", "--model"});
  refused({changed([](WrittenTensor& t) { t.shape = {d, ffn}; })}, {"gate_proj", "[64 x 128]", "[128 x 64]"});
  refused({changed([](WrittenTensor& t) { t.shape = {ffn * d}; })}, {"gate_proj", "[8192]", "[128 x 64]"});
  refused({changed([](WrittenTensor& t) {
            t.dtype = "F8_E4M3";
            t.data.resize(t.data.size() / 4);
          })},
          {"gate_proj", "F8_E4M3", "BF16"});
  refused(
      {changed([](WrittenTensor& t) { t.name = "decoder.block.0.layer.2.mlp.experts.expert_0.wi.weight"; })},
      {"expert_0.wi", "two", "three"});
  refused({one_expert(), one_expert()}, {"f1", "is also in", "f0"});
  refused({changed([](WrittenTensor& t) { t.name = "other"; })},
          {"no expert has all its matrices", "shards"});
  // Two names of one matrix.
  auto twice = one_expert();
  twice.push_back({"model.layers.0.block_sparse_moe.experts.0.w1.weight", "F32", {ffn, d}, as_bytes(ones_)});
  refused({twice}, {"w1.weight", "is also in"});
  // A layer that has no experts.
  model_.stacks[0].feed_forwards.push_back({.ffn_dim = 64});
  model_.stacks[0].layers[1].feed_forward = 1;
  map_ = sim::ExpertMap(
      [] {
        trace::TraceInfo info = decoder_info(2, 4, 1);
        info.layers.pop_back();
        return info;
      }(),
      model_, "test");
  refused({one_expert(1, 0)}, {"layer 1", "has none"});
}

TEST_F(WeightFilesTest, PartsOfAnExpertMayBeInSeveralFilesOrMissing) {
  auto first = one_expert(0, 1), second = one_expert(1, 2);
  second.push_back(first.back());
  first.pop_back();
  second.push_back({prefix(1, 3) + "up_proj.weight", "F32", {ffn, d}, as_bytes(ones_)});
  second.push_back({prefix(2, 0) + "up_proj.weight", "U8", {1}, "x"});  // of a layer beyond the model's
  const WeightFiles files = open({first, second});
  EXPECT_EQ(files.experts(), 2);
  EXPECT_TRUE(files.has(1) && files.has(6));
  EXPECT_FALSE(files.has(7));
  EXPECT_THAT(files.notes(),
              testing::ElementsAre(
                  testing::AllOf(HasSubstr("2 of 8 experts"), HasSubstr("f0 (1)"), HasSubstr("f1 (2)")),
                  HasSubstr("1 experts have only some"), HasSubstr("1 tensors")));
}

TEST_F(WeightFilesTest, ValuesThatARunCannotHoldAreRefused) {
  std::vector<std::byte> expert(static_cast<std::size_t>(3 * ffn * d) * 2);
  auto tensors = one_expert();
  auto values = ones_;
  values.back() = 1e5F;  // beyond fp16's 65504
  tensors[1].data = as_bytes(values);
  EXPECT_THROW(open({tensors}).read(0, ElementType::f16, expert), InputError);
  EXPECT_NO_THROW(open({tensors}).read(0, ElementType::bf16, expert));
  EXPECT_THROW(open({tensors}).read(0, ElementType::f32, expert), std::invalid_argument);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    values.back() = bad;
    tensors[1].data = as_bytes(values);
    try {
      open({tensors}).read(0, ElementType::bf16, expert);
      ADD_FAILURE() << bad;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr("gate_proj.weight': value 8191"));
    }
  }
}

TEST_F(WeightFilesTest, SharedBuffersHaveNoWeightsOfTheirOwn) {
  const WeightFiles files = open({one_expert()});
  ListSource source = random_source(4, 2, 4, 1, 1, 0, 2);
  EXPECT_THROW(run_live("host", model_, policy_of("on-demand", "0"), source,
                        {.experts = {.distinct_experts = 2}, .files = &files}),
               InputError);
}

// Names as the checkpoints have them (Mixtral-8x7B-v0.1, Qwen3-30B-A3B and OLMoE-1B-7B, switch-base-8).
TEST(TensorNames, OfHuggingFaceCheckpoints) {
  using Part = ExpertMatrix::Part;
  const auto is = [](const char* name, const std::string& stack, int layer, int expert, Part part) {
    const auto matrix = expert_matrix(name);
    return matrix && matrix->stack == stack && matrix->layer == layer && matrix->expert == expert &&
           matrix->part == part;
  };
  EXPECT_TRUE(is("model.layers.31.block_sparse_moe.experts.7.w1.weight", "decoder", 31, 7, Part::gate));
  EXPECT_TRUE(is("model.layers.0.block_sparse_moe.experts.0.w3.weight", "decoder", 0, 0, Part::up));
  EXPECT_TRUE(is("model.layers.0.block_sparse_moe.experts.0.w2.weight", "decoder", 0, 0, Part::out));
  EXPECT_TRUE(is("model.layers.47.mlp.experts.127.gate_proj.weight", "decoder", 47, 127, Part::gate));
  EXPECT_TRUE(is("model.layers.10.mlp.experts.63.up_proj.weight", "decoder", 10, 63, Part::up));
  EXPECT_TRUE(is("model.layers.10.mlp.experts.63.down_proj.weight", "decoder", 10, 63, Part::out));
  EXPECT_TRUE(is("decoder.block.11.layer.2.mlp.experts.expert_7.wi.weight", "decoder", 11, 7, Part::in));
  EXPECT_TRUE(is("encoder.block.1.layer.1.mlp.experts.expert_0.wo.weight", "encoder", 1, 0, Part::out));
  for (const char* none :
       {"", "model.layers.0.mlp.gate.weight", "model.layers.0.mlp.gate_proj.weight",
        "model.layers.0.mlp.shared_expert.up_proj.weight", "model.layers.0.mlp.experts.0.gate_proj.bias",
        "model.layers.0.mlp.experts.0.gate_proj.weight_scale_inv",
        "model.layers..mlp.experts.0.up_proj.weight", "model.layers.00.mlp.experts.0.up_proj.weight",
        "model.layers.-1.mlp.experts.0.up_proj.weight", "model.layers.9999999.mlp.experts.0.up_proj.weight",
        "model.layers.0.mlp.experts.0", "model.layers.0.mlp.experts.0.up_proj.weight ",
        "mtp.layers.0.mlp.experts.0.up_proj.weight", "decoder.block.1.layer.1.mlp.experts.expert_0.wi.weight",
        "model.layers.1"})
    EXPECT_FALSE(expert_matrix(none)) << none;
}

}  // namespace
}  // namespace pregate::runtime::test
