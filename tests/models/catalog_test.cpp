// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/catalog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include <unistd.h>

#include "models/document.hpp"
#include "models/embedded.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/models/error_of.hpp"

namespace pregate {
namespace {

using test::error_of;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsSupersetOf;

TEST(Catalog, HoldsWhatItPromises) {
  EXPECT_THAT(
      model_names(),
      IsSupersetOf({"switch-base-8", "switch-base-16", "switch-base-32", "switch-base-64", "switch-base-128",
                    "switch-base-256", "switch-large-128", "nllb-moe-54b", "mixtral-8x7b", "mixtral-8x22b",
                    "qwen1.5-moe-a2.7b", "qwen3-30b-a3b", "qwen3-235b-a22b", "deepseek-v2-lite",
                    "deepseek-v3", "olmoe-1b-7b", "phi-3.5-moe", "gpt-oss-20b", "gpt-oss-120b"}));
  EXPECT_THAT(machine_names(), IsSupersetOf({"a100-80g-pcie4",
                                             "a100-40g-pcie4",
                                             "rtx3090-pcie4",
                                             "rtx4090-pcie4",
                                             "rtx4090d-pcie4",
                                             "rtx5090-pcie5",
                                             "rtxpro6000-pcie5",
                                             "a6000-pcie4",
                                             "t4-pcie3",
                                             "l4-pcie4",
                                             "h100-sxm-pcie5",
                                             "h200-sxm-pcie5",
                                             "gh200-nvlink-c2c",
                                             "rtx2080-pcie3",
                                             "rtx2080ti-pcie3",
                                             "rtx3060-pcie4",
                                             "rtx4060ti-pcie4",
                                             "rtx4070ti-super-pcie4",
                                             "rtx4080-super-pcie4",
                                             "rtx5060ti-pcie5",
                                             "rtx5070-pcie5",
                                             "rtx5070ti-pcie5",
                                             "rtx5080-pcie5",
                                             "rtx6000ada-pcie4",
                                             "l40s-pcie4",
                                             "a5000-pcie4",
                                             "b200-sxm-pcie5",
                                             "gb10-unified",
                                             "v100-16g-pcie3",
                                             "v100-32g-pcie3"}));
  EXPECT_THAT(policy_names(), IsSupersetOf({"gpu-only", "on-demand", "prefetch-all", "pre-gated",
                                            "on-demand-cache", "prefetch-all-cache", "pre-gated-cache"}));
}

TEST(Catalog, EveryEntryLoadsAndSaysWhereItComesFrom) {
  for (const std::string& name : model_names()) {
    const ModelSpec model = load_model(name);
    EXPECT_EQ(model.name, name);
    EXPECT_FALSE(model.description.empty()) << name;
    EXPECT_FALSE(model.source.empty()) << name;
  }
  for (const std::string& name : machine_names()) {
    const MachineSpec machine = load_machine(name);
    EXPECT_EQ(machine.name, name);
    EXPECT_FALSE(machine.description.empty()) << name;
    EXPECT_FALSE(machine.source.empty()) << name;
  }
  for (const std::string& name : policy_names()) {
    const PolicySpec policy = load_policy(name);
    EXPECT_EQ(policy.name, name);
    EXPECT_FALSE(policy.description.empty()) << name;
    EXPECT_FALSE(policy.source.empty()) << name;
  }
}

bool is_number(const Node& node) {
  if (node.kind == Node::Kind::integer || node.kind == Node::Kind::real) return true;
  return node.kind == Node::Kind::text && !node.text.empty() && node.text[0] >= '0' && node.text[0] <= '9';
}

void collect_numbers(const Node& node, const std::string& path, std::vector<std::string>& paths) {
  if (is_number(node)) paths.push_back(path);
  for (const Node& item : node.items) collect_numbers(item, path, paths);
  for (const auto& [key, value] : node.members) {
    if (path.empty() && key == "sources") continue;
    collect_numbers(value, path.empty() ? key : path + "." + key, paths);
  }
}

// Each file gives the source of each number it states, of the key itself or of a table around it.
TEST(Catalog, EveryNumberOfAMachineAndAHostHasASource) {
  int numbers = 0;
  std::vector<EmbeddedFile> files(embedded_machines().begin(), embedded_machines().end());
  files.insert(files.end(), embedded_hosts().begin(), embedded_hosts().end());
  for (const EmbeddedFile& file : files) {
    const Node root = parse_toml_document(file.text, std::string(file.name));
    std::vector<std::string> paths;
    collect_numbers(root, "", paths);
    const Node* sources = root.find("sources");
    for (const std::string& path : paths) {
      ++numbers;
      const bool sourced = sources != nullptr &&
                           std::any_of(sources->members.begin(), sources->members.end(), [&](const auto& s) {
                             return (path == s.key || path.starts_with(s.key + ".")) && !s.value.text.empty();
                           });
      EXPECT_TRUE(sourced) << file.name << ": " << path << " has no entry in [sources]";
    }
  }
  EXPECT_GT(numbers, 150);
}

TEST(Catalog, PartsOfOthersAreNotOffered) {
  for (const std::string& name : machine_names()) EXPECT_NE(name[0], '_');
  EXPECT_THAT(error_of([] { load_machine("_pcie4"); }), HasSubstr("no machine named '_pcie4'"));
}

TEST(Catalog, AnUnknownNameSuggestsTheNearest) {
  EXPECT_EQ(
      error_of([] { load_policy("pregated"); }),
      "policy: no policy named 'pregated'\n       hint: did you mean 'pre-gated'? (pregate list policies)");
  EXPECT_THAT(error_of([] { load_model("mixtral-8x7"); }),
              AllOf(HasSubstr("'mixtral-8x7b'"), HasSubstr("(pregate list models)")));
  EXPECT_THAT(error_of([] { load_machine("4090"); }), HasSubstr("'rtx4090-pcie4'"));
  EXPECT_THAT(error_of([] { load_machine(""); }), HasSubstr("valid: a10-pcie4, a100"));
}

class CatalogFiles : public testing::Test {
 protected:
  std::string write(const std::string& leaf, const std::string& text) {
    std::string path = testing::TempDir() + "/pregate_catalog_" + std::to_string(::getpid()) + "_" + leaf;
    std::ofstream(path, std::ios::binary) << text;
    paths_.push_back(path);
    return path;
  }
  void TearDown() override {
    for (const std::string& path : paths_) std::remove(path.c_str());
  }

 private:
  std::vector<std::string> paths_;
};

TEST_F(CatalogFiles, APathIsLoadedAsTheCatalogueIs) {
  for (const EmbeddedFile& file : embedded_models()) {
    if (file.name != "deepseek-v3") continue;
    const ModelSpec model = load_model(write("v3.toml", std::string(file.text)));
    EXPECT_EQ(model.parameter_count(), load_model("deepseek-v3").parameter_count());
    EXPECT_THAT(model.name, testing::EndsWith("v3"));
  }
}

TEST_F(CatalogFiles, WhatCannotBeReadIsAnError) {
  EXPECT_THAT(error_of([] { load_model("./no/such.toml"); }), HasSubstr("there is no such file"));
  EXPECT_THAT(error_of([] { load_model("/"); }), HasSubstr("a folder without a config.json"));
  EXPECT_THAT(error_of([] { load_machine("/dev/zero"); }), HasSubstr("not a regular file"));
  const std::string empty = write("empty.toml", "");
  EXPECT_THAT(error_of([&] { load_model(empty); }), HasSubstr("the key 'family' is missing"));
  const std::string large = write("large.toml", std::string((1 << 20) + 1, '#'));
  EXPECT_THAT(error_of([&] { load_policy(large); }), HasSubstr("is larger than 1 MiB"));
  const std::string json = write("machine.json", "{}");
  EXPECT_THAT(error_of([&] { load_machine(json); }), HasSubstr("described in TOML"));
  EXPECT_EQ(read_text_file(write("four", "abcd"), {4}), "abcd");
  EXPECT_THAT(error_of([&] { read_text_file(write("five", "abcde"), {4}); }), HasSubstr("larger than 4 B"));
}

}  // namespace
}  // namespace pregate
