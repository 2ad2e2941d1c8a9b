// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/files/safetensors.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "models/error.hpp"
#include "tests/runtime/safetensors_writer.hpp"
#include "tests/runtime/scratch_folder.hpp"

namespace pregate::runtime {
namespace {

using pregate::test::safetensors_file;
using testing::HasSubstr;

class Safetensors : public testing::Test {
 protected:
  /// The file is refused with a text that names it, says all of `mentions` and how to mend it.
  void refused(const std::string& content, const std::vector<std::string>& mentions) {
    const std::string path = folder_.write("t.safetensors", content);
    try {
      const SafetensorsFile file(path);
      ADD_FAILURE() << "it was read, but should say " << mentions.front();
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith(path));
      EXPECT_THAT(error.what(), HasSubstr("hint: "));
      for (const std::string& text : mentions) EXPECT_THAT(error.what(), HasSubstr(text));
    }
  }
  void refused_header(const std::string& header, const std::vector<std::string>& mentions) {
    refused(safetensors_file(header, std::string(16, 'x')), mentions);
  }
  /// A tensor 'a' that takes all 16 bytes, but for `dtype`, `shape` or `offsets`.
  static std::string one_tensor(const std::string& dtype, const std::string& shape,
                                const std::string& offsets) {
    return R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  }

  pregate::test::ScratchFolder folder_;
};

TEST_F(Safetensors, ReadsWhatTheReferenceImplementationWrites) {
  // The bytes of its own test of serialisation (safetensors/src/tensor.rs, test_serialization).
  const std::string bytes =
      safetensors_file(R"({"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}} )"
                       "",
                       pregate::test::as_bytes(std::vector<float>{0, 1, 2, 3, 4, 5}));
  const SafetensorsFile file(folder_.write("t.safetensors", bytes));
  ASSERT_EQ(file.tensors().size(), 1U);
  const StoredTensor& tensor = file.tensors().front();
  EXPECT_EQ(tensor.name, "attn.0");
  EXPECT_EQ(tensor.dtype, "F32");
  EXPECT_THAT(tensor.shape, testing::ElementsAre(1, 2, 3));
  float three = 0;
  file.read(tensor, 12, std::as_writable_bytes(std::span(&three, 1)));
  EXPECT_EQ(three, 3);
  EXPECT_THROW(file.read(tensor, 21, std::as_writable_bytes(std::span(&three, 1))), std::out_of_range);
  EXPECT_THROW(file.read(tensor, -1, std::as_writable_bytes(std::span(&three, 1))), std::out_of_range);
}

TEST_F(Safetensors, OrderInTheHeaderScalarsAndEmptyTensorsAreFree) {
  const std::string header =
      R"({"late":{"shape":[],"dtype":"I64","data_offsets":[8,16]},"none":{"dtype":"U8","shape":[3,0],)"
      R"("data_offsets":[8,8]},"early":{"data_offsets":[0,8],"dtype":"F4","shape":[4,4]},"__metadata__":{}})";
  const SafetensorsFile file(folder_.write("t.safetensors", safetensors_file(header, std::string(16, 'x'))));
  std::vector<std::string> names;
  for (const StoredTensor& tensor : file.tensors()) names.push_back(tensor.name);
  EXPECT_THAT(names, testing::ElementsAre("early", "none", "late"));
  EXPECT_TRUE(
      SafetensorsFile(folder_.write("empty.safetensors", safetensors_file("{}", ""))).tensors().empty());
}

TEST_F(Safetensors, EveryTruncationIsRefused) {
  const std::string whole = safetensors_file(one_tensor("\"F32\"", "[4]", "[0,16]"), std::string(16, 'x'));
  { const SafetensorsFile file(folder_.write("t.safetensors", whole)); }
  for (std::size_t size = 0; size < whole.size(); ++size)
    refused(whole.substr(0, size), {"download it again"});
  refused(whole + "x", {"1 bytes at its end belong to no tensor"});
}

TEST_F(Safetensors, ALengthIsNotBelievedBeforeItIsChecked) {
  for (const std::uint64_t length : {~std::uint64_t{0}, std::uint64_t{1} << 63U, std::uint64_t{100'000'001}})
    refused(pregate::test::as_bytes(std::vector<std::uint64_t>{length}) + "{}", {"100 MB is the most"});
  refused(pregate::test::as_bytes(std::vector<std::uint64_t>{100'000'000}) + "{}",
          {"ends inside its header"});
}

TEST_F(Safetensors, WhatBreaksTheFormatIsRefused) {
  refused_header("", {"not JSON"});
  refused_header(" {}", {"not JSON"});
  refused_header("[]", {"not JSON"});
  refused_header("{\"a\":", {"not JSON"});
  refused_header("{}{}", {"not JSON"});
  refused_header("{\"\xFF\":1}", {"not JSON"});
  refused_header(std::string("{}\0{}", 5), {"not JSON"});
  refused_header(R"({"a":1})", {"a number"});
  refused_header(R"({"a":"F32"})", {"text"});
  refused_header(R"({"a":[]})", {"a list"});
  refused_header(R"({"a":null})", {"null"});
  refused_header(R"({"a":{"dtype":{}}})", {"'a'", "an object"});
  refused_header(R"({"a":{"dtype":"F32","shape":[[4]],"data_offsets":[0,16]}})", {"'a'", "a list"});
  refused_header(R"({"a":{"dtype":"F32","shape":["4"],"data_offsets":[0,16]}})", {"'a'", "text"});
  refused_header(R"({"__metadata__":{"format":1}})", {"__metadata__", "a number"});
  refused_header(R"({"__metadata__":{"format":{}}})", {"__metadata__", "an object"});
  refused_header(R"({"__metadata__":{"a":"b","a":"c"}})", {"__metadata__", "twice"});
  refused_header(R"({"__metadata__":{},"__metadata__":{}})", {"__metadata__", "twice"});
  refused_header(R"({"a":{"dtype":"F32","shape":[4]}})", {"'a'", "lacks"});
  refused_header(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"x":"y"}})", {"'a'", "'x'"});
  refused_header(R"({"a":{"dtype":"F32","dtype":"I32","shape":[4],"data_offsets":[0,16]}})",
                 {"'a'", "twice"});
  refused_header(std::string(100'000, '[').insert(0, R"({"a":{"shape":)"), {"'a'", "a list"});

  refused_header(one_tensor("\"FLOAT\"", "[4]", "[0,16]"), {"'a'", "no dtype 'FLOAT'"});
  refused_header(one_tensor("\"F32\"", "[5]", "[0,16]"), {"'a'", "16 bytes", "make 20"});
  refused_header(one_tensor("\"F4\"", "[3]", "[0,16]"), {"'a'", "whole number of bytes"});
  refused_header(one_tensor("\"F32\"", "[-4]", "[0,16]"), {"'a'", "a negative number"});
  refused_header(one_tensor("\"F32\"", "[4.0]", "[0,16]"), {"'a'", "a fraction"});
  refused_header(one_tensor("\"F32\"", "[18446744073709551615]", "[0,16]"), {"'a'", "a huge number"});
  refused_header(one_tensor("\"F32\"", "[99999999999999999999999]", "[0,16]"), {"'a'", "huge number"});
  // 2^62 elements of 4 bytes, and dimensions whose product is 4 modulo 2^64.
  refused_header(one_tensor("\"F32\"", "[4611686018427387904]", "[0,0]"), {"'a'", "too large for any file"});
  refused_header(one_tensor("\"F32\"", "[4294967296,4294967296,4]", "[0,16]"), {"'a'", "too large"});
  refused_header(one_tensor("\"F32\"", "[4611686018427387904,4,0]", "[0,0]"), {"'a'", "too large"});
  refused_header(one_tensor("\"F32\"", "[4]", "[16,0]"), {"'a'", "data_offsets"});
  refused_header(one_tensor("\"F32\"", "[4]", "[0]"), {"'a'", "data_offsets"});
  refused_header(one_tensor("\"F32\"", "[4]", "[0,8,16]"), {"'a'", "data_offsets"});
  refused_header(one_tensor("\"F32\"", "[4]", "[9223372036854775791,9223372036854775807]"), {"hole", "'a'"});
  refused_header(one_tensor("\"F32\"", "[5]", "[0,20]"), {"ends inside tensor 'a'"});
}

TEST_F(Safetensors, TensorsNeitherOverlapNorLeaveHoles) {
  const auto two = [](const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"U8","shape":[8],"data_offsets":)" + a +
           R"(},"b":{"dtype":"U8","shape":[8],"data_offsets":)" + b + "}}";
  };
  {
    const SafetensorsFile file(
        folder_.write("t.safetensors", safetensors_file(two("[8,16]", "[0,8]"), std::string(16, 'x'))));
  }
  refused_header(two("[0,8]", "[7,15]"), {"tensor 'b' lies on another"});
  refused_header(two("[0,8]", "[0,8]"), {"lies on another"});
  refused_header(two("[1,9]", "[9,17]"), {"hole before tensor 'a'"});
  refused_header(two("[0,8]", "[9,17]"), {"hole before tensor 'b'"});
  refused_header(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[8],)"
                 R"("data_offsets":[8,16]}})",
                 {"'a' twice"});
}

TEST_F(Safetensors, OnlyFilesAreRead) {
  const auto refused_path = [](const std::string& path, const std::string& text) {
    try {
      const SafetensorsFile file(path);
      ADD_FAILURE() << path;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(text));
    }
  };
  refused_path(folder_.path("absent"), "No such file");
  refused_path(folder_.path("."), "is not a file");
  refused_path("/dev/zero", "is not a file");
  ASSERT_EQ(::mkfifo(folder_.path("pipe").c_str(), 0600), 0);
  refused_path(folder_.path("pipe"), "is not a file");
}

TEST_F(Safetensors, AFileThatShrinksIsSaid) {
  const std::string path = folder_.write(
      "t.safetensors", safetensors_file(one_tensor("\"F32\"", "[4]", "[0,16]"), std::string(16, 'x')));
  const SafetensorsFile file(path);
  std::filesystem::resize_file(path, 70);
  std::vector<std::byte> all(16);
  EXPECT_THROW(file.read(file.tensors().front(), 0, all), InputError);
}

}  // namespace
}  // namespace pregate::runtime
