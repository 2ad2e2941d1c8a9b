// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/files/gguf.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "tests/models/error_of.hpp"
#include "tests/models/gguf_writer.hpp"
#include "tests/runtime/scratch_folder.hpp"

namespace pregate {
namespace {

using test::error_of;
using test::GgufWriter;
using test::little_endian;
using testing::AllOf;
using testing::HasSubstr;

class Gguf : public testing::Test {
 protected:
  std::string refused(const std::string& content) {
    return error_of([&] { read_gguf(folder_.write("t.gguf", content)); });
  }
  test::ScratchFolder folder_;
};

// q4_k: 256 values in 144 bytes, so [512, 3] is 6 blocks, 864 bytes; f32 [4] is 16. Vocabularies are passed
// over.
TEST_F(Gguf, SaysMetadataAndTheBytesOfEachTensor) {
  const std::string path = GgufWriter("qwen3moe")
                               .number("qwen3moe.block_count", 2)
                               .numbers("qwen3moe.attention.head_count_kv", {4, 0})
                               .texts("tokenizer.ggml.tokens", {"a", "bc", std::string(5000, 'x')})
                               .text("tokenizer.chat_template", std::string(3000, 't'))
                               .key("general.scale", 6, little_endian(0.5F))
                               .key("general.yes", 7, std::string(1, '\1'))
                               .tensor("a.weight", {512, 3}, 12, 864)
                               .tensor("b", {4}, 0, 16)
                               .write(folder_.path("m.gguf"));
  EXPECT_TRUE(begins_as_gguf(path));
  const GgufFile file = read_gguf(path);
  EXPECT_EQ(file.architecture, "qwen3moe");
  EXPECT_EQ(std::get<std::int64_t>(file.metadata.at("qwen3moe.block_count")), 2);
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(file.metadata.at("qwen3moe.attention.head_count_kv")),
            (std::vector<std::int64_t>{4, 0}));
  EXPECT_EQ(std::get<SkippedList>(file.metadata.at("tokenizer.ggml.tokens")).count, 3U);
  EXPECT_EQ(std::get<double>(file.metadata.at("general.scale")), 0.5);
  EXPECT_EQ(std::get<std::int64_t>(file.metadata.at("general.yes")), 1);
  ASSERT_EQ(file.tensors.size(), 2U);
  EXPECT_EQ(file.tensors[0].type->name, "q4_k");
  EXPECT_EQ(file.tensors[0].bytes.count, 864);
  EXPECT_EQ(file.tensors[1].dims, std::vector<std::int64_t>{4});
  EXPECT_EQ(file.tensors[1].bytes.count, 16);
}

TEST_F(Gguf, PartsAreReadTogetherAndAMissingOneIsNamed) {
  const auto part = [&](std::uint16_t number, std::uint16_t parts, const std::string& tensor) {
    GgufWriter writer(number == 0 ? "llama" : "");
    writer.key("split.no", 2, little_endian(number)).key("split.count", 2, little_endian(parts));
    writer.key("split.tensors.count", 5, little_endian(std::int32_t{2}));
    return writer.tensor(tensor, {8}, 0, 32)
        .write(folder_.path("m-0000" + std::to_string(number + 1) + "-of-0000" + std::to_string(parts) +
                            ".gguf"));
  };
  const std::string first = part(0, 2, "a"), second = part(1, 2, "b");
  for (const std::string& named : {first, second}) {
    const GgufFile file = read_gguf(named);
    EXPECT_EQ(file.parts, 2);
    EXPECT_EQ(file.architecture, "llama");
    ASSERT_EQ(file.tensors.size(), 2U);
    EXPECT_EQ(file.tensors[1].name, "b");
  }
  std::filesystem::remove(second);
  EXPECT_THAT(error_of([&] { read_gguf(first); }),
              AllOf(HasSubstr("part 2 of 2 is missing"), HasSubstr("m-00002-of-00002.gguf")));
  std::filesystem::rename(first, folder_.path("other.gguf"));
  EXPECT_THAT(error_of([&] { read_gguf(folder_.path("other.gguf")); }), HasSubstr("is not named so"));
  part(0, 2, "a");
  part(1, 2, "a");
  EXPECT_THAT(error_of([&] { read_gguf(first); }), HasSubstr("tensor 'a', as has another part"));
}

TEST_F(Gguf, WhatCannotBeIsRefusedBeforeItIsUsed) {
  const auto number = [](auto value) { return little_endian(value); };
  EXPECT_THAT(refused(std::string("GGUF\3\0\0\0", 8)),
              AllOf(HasSubstr("ends inside its header"), HasSubstr("hint:")));
  EXPECT_THAT(refused("GGML" + std::string(40, '\0')), HasSubstr("does not begin with GGUF"));
  EXPECT_THAT(refused("GGUF" + number(std::uint32_t{0x03000000}) + std::string(40, '\0')),
              HasSubstr("big-endian"));
  EXPECT_THAT(refused("GGUF" + number(std::uint32_t{1}) + std::string(40, '\0')), HasSubstr("version 1"));
  // Counts beyond the file.
  const std::string head = "GGUF" + number(std::uint32_t{3});
  const std::string huge = number(std::uint64_t{1} << 62), none = number(std::uint64_t{0}),
                    one = number(std::uint64_t{1});
  EXPECT_THAT(refused(head + huge + none + std::string(40, 'x')), HasSubstr("cannot hold"));
  EXPECT_THAT(refused(head + none + huge + std::string(40, 'x')), HasSubstr("cannot hold"));
  EXPECT_THAT(refused(head + none + one + huge + std::string(40, 'x')), HasSubstr("a key has"));
  const auto list_of = [&](std::uint32_t type) {
    return refused(GgufWriter().key("k", 9, number(type) + huge).header() + std::string(64, 'x'));
  };
  for (const std::uint32_t type : {0U, 4U, 8U, 9U, 12U}) EXPECT_THAT(list_of(type), HasSubstr("cannot hold"));
  std::string nested;
  for (int i = 0; i < 10; ++i) nested += number(std::uint32_t{9}) + one;
  EXPECT_THAT(refused(GgufWriter().key("k", 9, nested).header() + std::string(64, '\0')),
              HasSubstr("nested"));
  // 2^30 empty texts, or lists, in a hole: passing them would take minutes.
  for (const std::uint32_t type : {8U, 9U}) {
    const std::string path = folder_.write(
        "t.gguf", GgufWriter().key("k", 9, number(type) + number(std::uint64_t{1} << 30)).header());
    std::filesystem::resize_file(path, std::uintmax_t{1} << 34);
    EXPECT_THAT(error_of([&] { read_gguf(path); }), HasSubstr("more than 16777216"));
  }
  EXPECT_THAT(refused(GgufWriter().key("k", 77, "").header()), HasSubstr("type 77"));
  EXPECT_THAT(refused(GgufWriter().key("k", 7, "\2").header()), HasSubstr("truth value"));
  EXPECT_THAT(refused(GgufWriter("a").number("k", 1).number("k", 1).header()), HasSubstr("'k' twice"));
  EXPECT_THAT(refused(GgufWriter("a").number("general.alignment", 24).header()), HasSubstr("power of two"));
  EXPECT_THAT(refused(GgufWriter().number("k", 1).header()), HasSubstr("architecture"));

  const auto tensor = [&](const std::vector<std::uint64_t>& dims, std::uint32_t type, std::uint64_t offset) {
    return refused(GgufWriter("a").tensor_at("t", dims, type, offset, 0).header() + std::string(128, '\0'));
  };
  EXPECT_THAT(tensor({1, 1, 1, 1, 1}, 0, 0), HasSubstr("5 dimensions"));
  EXPECT_THAT(tensor({0}, 0, 0), HasSubstr("dimension of 0"));
  EXPECT_THAT(tensor({1ULL << 40, 1ULL << 40}, 0, 0), HasSubstr("too large"));
  EXPECT_THAT(tensor({~0ULL}, 0, 0), HasSubstr("too large"));
  EXPECT_THAT(tensor({4}, 4, 0), HasSubstr("type 4"));
  EXPECT_THAT(tensor({100}, 12, 0), HasSubstr("no whole blocks of q4_k"));
  EXPECT_THAT(tensor({4}, 0, 8), HasSubstr("multiple of 32"));
  EXPECT_THAT(tensor({4}, 0, ~31ULL), HasSubstr("beyond any file"));
  EXPECT_THAT(tensor({4}, 0, 1ULL << 40), HasSubstr("ends inside tensor 't'"));
  EXPECT_THAT(refused(GgufWriter("a").tensor("t", {8}, 0, 32).tensor("t", {8}, 0, 32).header() +
                      std::string(128, ' ')),
              HasSubstr("'t' twice"));
  EXPECT_THAT(refused(GgufWriter("a").tensor_at("t", {16}, 0, 0, 64).tensor_at("u", {8}, 0, 32, 32).header() +
                      std::string(128, ' ')),
              HasSubstr("lies on another one"));
  EXPECT_THAT(error_of([&] { read_gguf(folder_.path("")); }), HasSubstr("is not a file"));
  EXPECT_FALSE(begins_as_gguf(folder_.path("absent")));
}

// Every cut and many damaged bytes end in a description or in an InputError.
TEST_F(Gguf, DamageNeverEscapesAsAnotherException) {
  const std::string whole = GgufWriter("llama")
                                .number("llama.block_count", 1)
                                .numbers("l", {1, 2, 3})
                                .texts("tokens", {"a", "b"})
                                .tensor("blk.0.ffn_down_exps.weight", {256, 2, 2}, 12, 576)
                                .header() +
                            std::string(700, '\0');
  std::mt19937 random(7);
  int refusals = 0;
  const auto attempt = [&](const std::string& text) {
    try {
      read_gguf(folder_.write("d.gguf", text));
    } catch (const InputError&) {
      ++refusals;
    }
  };
  attempt(whole);
  EXPECT_EQ(refusals, 0);
  for (std::size_t length = 0; length < 300; length += 3) attempt(whole.substr(0, length));
  EXPECT_EQ(refusals, 100);
  for (int i = 0; i < 500; ++i) {
    std::string damaged = whole;
    damaged[random() % 300] = static_cast<char>(random());
    attempt(damaged);
  }
  EXPECT_GT(refusals, 200);
}

}  // namespace
}  // namespace pregate
