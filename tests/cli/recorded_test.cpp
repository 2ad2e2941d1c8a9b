// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The recorded traces through the program: what they hold, and that nothing is lost on the way.
#include "tests/cli/program_test.hpp"
#include "tests/support/shared_data.hpp"

namespace pregate::test {
namespace {

using ::testing::HasSubstr;

class Recorded : public ProgramTest {
 protected:
  static std::string recording(const std::string& name) { return (shared_data() / "traces" / name).string(); }

  /// Imports into `t.db`, checks it, takes it out as JSONL and in again; what the first import printed.
  std::string import_both_ways(const Words& arguments) const {
    Words words = {"trace", "import", "-o", "t.db"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    const std::string imported = succeed(words);
    EXPECT_EQ(succeed({"trace", "check", "t.db"}), "t.db: sound\n");
    succeed({"trace", "export", "t.db", "-o", "t.jsonl"});
    const std::string again = succeed({"trace", "import", "t.jsonl", "-o", "u.db"});
    EXPECT_EQ(content_hash(again), content_hash(imported));
    return imported + succeed({"trace", "info", "t.db"});
  }
};

TEST_F(Recorded, Qwen3) {
  PREGATE_NEEDS_SHARED_DATA();
  const std::string said = import_both_ways({recording("qwen3-30b-a3b/qwen.route.csv")});
  EXPECT_THAT(said, HasSubstr("44766 routed entries in 48 MoE layers"));
  EXPECT_THAT(said, HasSubstr("156 (encoder 0, prefill 28, decode 128)"));
  EXPECT_THAT(said, ::testing::ContainsRegex("\ndecoder 47 +128 +6 "));  // experts and k of the last layer

  const std::string table =
      succeed({"compare", "--trace", "t.db", "--model", "qwen3-30b-a3b", "--machine", "rtx4090-pcie4",
               "--cache", "4GiB", "--policy", "gpu-only,on-demand,prefetch-all,pre-gated"});
  for (const char* policy : {"gpu-only", "on-demand", "prefetch-all", "pre-gated"})
    EXPECT_THAT(table, HasSubstr(std::string("\n") + policy));
  EXPECT_THAT(table, HasSubstr("recorded with 6 experts a token where the model routes to 8"));
  // Priced at the recording's own sizes, it fits: the first note says so.
  EXPECT_THAT(table, ::testing::Not(HasSubstr("out of memory")));
  EXPECT_THAT(
      table,
      HasSubstr("\nnote: the recording's experts take 2.53 to 2.92 MiB each, and are priced so: q4_k_m"));
  EXPECT_THAT(succeed({"compare", "--trace", "t.db", "--policy", "on-demand"}),
              HasSubstr("note: model qwen3-30b-a3b, as the trace names 'Qwen3-30B-A3B-Q4_K_M'"));

  succeed({"simulate", "--trace", "t.db", "--model", "qwen3-30b-a3b", "--machine", "rtx4090-pcie4",
           "--policy", "pre-gated", "--set", "machine.link.h2d.bandwidth=50GB/s", "--timeline", "t.json",
           "--json", "r.json"});
  EXPECT_THAT(read("r.json"), HasSubstr("\"evidence\": \"simulated\""));
  EXPECT_GT(read("t.json").size(), 10'000U);
}

TEST_F(Recorded, GptOssCompact) {
  PREGATE_NEEDS_SHARED_DATA();
  const std::string said = import_both_ways({recording("gpt-oss-20b/derived-compact-sequences.csv.gz")});
  EXPECT_THAT(said, HasSubstr("89 requests"));
  EXPECT_THAT(said, HasSubstr("29711 tokens"));
  EXPECT_THAT(said, HasSubstr("in 24 MoE layers"));
}

TEST_F(Recorded, GptOssJson) {
  PREGATE_NEEDS_SHARED_DATA();
  for (const char* name : {"gpqa_main--Astrophysics--False_False_examples.json",
                           "mmlu_dev--abstract_algebra--False_False_examples.json"}) {
    const std::string said = import_both_ways({recording(std::string("gpt-oss-20b/") + name), "--overwrite"});
    EXPECT_THAT(said, HasSubstr("decode 511)")) << name;
    std::filesystem::remove(path("u.db"));
  }
}

TEST_F(Recorded, SwitchBase) {
  PREGATE_NEEDS_SHARED_DATA();
  for (const int batch : {1, 2}) {
    const std::string file = "switch-base/experts_e128_Pre-gated_b" + std::to_string(batch) + ".txt";
    const std::string said = import_both_ways({recording(file), "--overwrite"});
    EXPECT_THAT(said, HasSubstr("5 requests"));
    const int tokens = 5 * 256 * batch;
    EXPECT_THAT(said, HasSubstr("(encoder " + std::to_string(tokens) + ", prefill 0, decode " +
                                std::to_string(tokens) + ")"));
    EXPECT_THAT(succeed({"compare", "--trace", "t.db", "--model", "switch-base-128"}),
                HasSubstr("pre-gated"));
    std::filesystem::remove(path("u.db"));
  }
}

}  // namespace
}  // namespace pregate::test
