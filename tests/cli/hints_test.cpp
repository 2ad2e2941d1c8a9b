// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What a message names exists: every option in a string of the program's source is one that some command's
// help explains.
#include <filesystem>
#include <regex>
#include <set>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

class Hints : public ProgramTest {
 protected:
  /// String literals of the program's sources, with the file that each is in.
  static std::vector<std::pair<std::string, std::string>> literals() {
    std::vector<std::pair<std::string, std::string>> found;
    static const std::regex literal(R"re("((?:[^"\\\n]|\\.)*)")re");
    for (const char* folder : {"cli", "models", "traces", "sim", "runtime", "validation"}) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(
               std::filesystem::path(PREGATE_SOURCE_DIR) / folder)) {
        const std::string extension = entry.path().extension().string();
        if (extension != ".cpp" && extension != ".hpp") continue;
        const std::string text = content_of(entry.path());
        for (auto at = std::sregex_iterator(text.begin(), text.end(), literal); at != std::sregex_iterator();
             ++at)
          found.emplace_back((*at)[1].str(), entry.path().string());
      }
    }
    return found;
  }
};

TEST_F(Hints, NameOptionsThatExist) {
  std::string help;
  for (const Words& command :
       {Words{"compare"}, Words{"simulate"}, Words{"execute"}, Words{"calibrate"}, Words{"analyze"},
        Words{"list"}, Words{"validate", "device"}, Words{"validate", "published"}, Words{"trace", "import"},
        Words{"trace", "export"}, Words{"trace", "info"}, Words{"trace", "check"}, Words{"trace", "generate"},
        Words{"trace", "fit"}, Words{"trace", "replay"}, Words{"model", "show"}, Words{"advise"},
        Words{"sweep"}, Words{"place"}}) {
    Words asked = command;
    asked.emplace_back("--help");
    help += succeed(asked);
  }
  // The latter are of the programs that `advise` names.
  std::set<std::string> options = {"--version",
                                   "--n-cpu-moe",
                                   "--max-model-len",
                                   "--max-num-seqs",
                                   "--cpu-moe",
                                   "--model",
                                   "--gguf",
                                   "--cpu",
                                   "--enable-expert-parallel",
                                   "--model-path",
                                   "--context-length",
                                   "--max-running-requests"};
  static const std::regex option("--[a-z][a-z0-9-]+");
  for (auto at = std::sregex_iterator(help.begin(), help.end(), option); at != std::sregex_iterator(); ++at)
    options.insert(at->str());
  ASSERT_GT(options.size(), 40U);
  for (const auto& [text, file] : literals()) {
    for (auto at = std::sregex_iterator(text.begin(), text.end(), option); at != std::sregex_iterator(); ++at)
      EXPECT_TRUE(options.contains(at->str())) << at->str() << " in " << file << ": " << text;
    EXPECT_EQ(text.find("allow overwriting"), std::string::npos) << file;
  }
}

}  // namespace
}  // namespace pregate::test
