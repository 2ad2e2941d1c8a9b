// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What the readme and the pages show below "$ pregate …" is what the program prints. A line "..." stands for
// any lines, "..." at the end of a line for the rest of it. With PREGATE_UPDATE_GOLDEN=1 what has no such
// line is written instead of compared.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

#include "tests/cli/program_test.hpp"
#include "tests/support/shared_data.hpp"

namespace pregate::test {
namespace {

/// A command of a block and what is shown below it.
struct Session {
  std::string command;     ///< joined where lines end in a backslash
  std::size_t begin, end;  ///< of what is shown, in the page
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The commands of all blocks that begin with one of the program.
std::vector<Session> sessions_of(const std::string& page) {
  std::vector<Session> sessions;
  const std::string fence = "```\n", prompt = "$ pregate ";
  for (std::size_t at = 0; (at = page.find(fence + prompt, at)) != std::string::npos;) {
    const std::size_t close = page.find("\n```", at + fence.size()) + 1;
    for (std::size_t next = at + fence.size(); next < close;) {
      Session session;
      next += 2;
      for (bool goes_on = true; goes_on;) {
        const std::size_t end_of_line = page.find('\n', next);
        session.command += page.substr(next, end_of_line - next);
        goes_on = session.command.back() == '\\';
        if (goes_on) session.command.pop_back();
        next = end_of_line + 1;
      }
      session.begin = next;
      session.end = std::min(close, page.find("\n$ ", next - 1) + 1);
      if (session.end == 0) session.end = close;
      next = session.end;
      sessions.push_back(session);
    }
    at = close + fence.size();
  }
  return sessions;
}

/// As a shell splits it, of quotes only those that are needed here.
std::vector<std::string> words_of(const std::string& command) {
  std::vector<std::string> words;
  bool in_word = false, quoted = false;
  for (const char c : command) {
    if (c == '\'') {
      quoted = !quoted;
    } else if (c == ' ' && !quoted) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c != '\'') words.back() += c;
  }
  return words;
}

bool is_shortened(const std::string& line) {
  return line.size() > 3 && line.compare(line.size() - 3, 3, "...") == 0;
}
bool line_agrees(const std::string& shown, const std::string& printed) {
  return is_shortened(shown) ? printed.rfind(shown.substr(0, shown.size() - 3), 0) == 0 : shown == printed;
}

/// The first shown line that the printed ones, in order, do not have; empty when all agree.
std::string first_that_differs(const std::vector<std::string>& shown,
                               const std::vector<std::string>& printed) {
  std::size_t at = 0;
  bool any_before = false;
  for (const std::string& line : shown) {
    if (line == "...") {
      any_before = true;
      continue;
    }
    while (any_before && at < printed.size() && !line_agrees(line, printed[at])) ++at;
    if (at == printed.size() || !line_agrees(line, printed[at]))
      return line.empty() ? "(an empty line)" : line;
    ++at;
    any_before = false;
  }
  return any_before || at == printed.size() ? "" : "more is printed: " + printed[at];
}

/// The file of a page's own: a block of TOML below a line that begins with its name, "`my-policy.toml`, …".
struct PageFile {
  std::string name, text;
};
std::optional<PageFile> file_of(const std::string& page) {
  const std::string open = "\n```toml\n";
  for (std::size_t at = 0; (at = page.find(open, at)) != std::string::npos; at += open.size()) {
    const std::size_t line = page.rfind("\n", page.find_last_not_of('\n', at)) + 1;
    const std::size_t end = page.find("`", line + 1);
    if (page[line] != '`' || page.substr(line, end - line).find(".toml") == std::string::npos) continue;
    const std::size_t begin = at + open.size();
    return PageFile{page.substr(line + 1, end - line - 1),
                    page.substr(begin, page.find("```", begin) - begin)};
  }
  return std::nullopt;
}

class DocumentedRuns : public ProgramTest {
 protected:
  /// Runs what `page` shows in the order of the page, in one folder, which has the recording that the readme
  /// imports.
  void check(const std::string& name, std::size_t commands) {
    const std::filesystem::path page = std::filesystem::path(PREGATE_SOURCE_DIR) / name;
    const std::filesystem::path recording = shared_data() / "traces" / "qwen3-30b-a3b" / "qwen.route.csv";
    const bool has_recording = std::filesystem::exists(recording);
    if (has_recording) {
      write("qwen.route.csv", content_of(recording));
      if (name != "README.md") succeed({"trace", "import", "qwen.route.csv", "-o", "qwen3.db"});
    }
    std::string text = content_of(page);
    if (const auto file = file_of(text)) write(file->name, file->text);
    const std::vector<Session> sessions = sessions_of(text);
    EXPECT_EQ(sessions.size(), commands) << page;
    int left_out = 0;
    std::ptrdiff_t grown = 0;
    for (const Session& session : sessions) {
      const bool reads_recording = session.command.find("qwen3.db") != std::string::npos ||
                                   session.command.find("s.json") != std::string::npos;
      if (reads_recording && !has_recording) {
        ++left_out;
        continue;
      }
      Words words = words_of(session.command);
      words.erase(words.begin());  // the program's name
      const Outcome outcome = run(words);
      EXPECT_NE(outcome.exit_code, -1) << session.command;
      const std::string printed = outcome.out + outcome.err;
      const std::size_t begin = session.begin + static_cast<std::size_t>(grown);
      const std::string shown = text.substr(begin, session.end - session.begin);
      if (shown.empty()) {
        EXPECT_EQ(outcome.exit_code, 0) << session.command << "\n" << outcome.err;
        continue;
      }
      const std::vector<std::string> shown_lines = lines_of(shown);
      const std::string differs = first_that_differs(shown_lines, lines_of(printed));
      const bool is_whole = std::none_of(shown_lines.begin(), shown_lines.end(), [](const std::string& line) {
        return line == "..." || is_shortened(line);
      });
      if (std::getenv("PREGATE_UPDATE_GOLDEN") != nullptr && is_whole) {
        text.replace(begin, shown.size(), printed);
        grown += static_cast<std::ptrdiff_t>(printed.size()) - static_cast<std::ptrdiff_t>(shown.size());
      } else {
        EXPECT_EQ(differs, "") << page << ", " << session.command << "\nprints:\n"
                               << printed
                               << "if this is meant, PREGATE_UPDATE_GOLDEN=1 (what is shortened: by hand)";
      }
    }
    if (std::getenv("PREGATE_UPDATE_GOLDEN") != nullptr) std::ofstream(page, std::ios::binary) << text;
    if (left_out > 0) GTEST_SKIP() << "SKIPPED: " << left_out << " commands need " << recording;
  }
};

TEST_F(DocumentedRuns, Readme) { check("README.md", 5); }
TEST_F(DocumentedRuns, Policies) { check("docs/policies.md", 3); }
TEST_F(DocumentedRuns, Cache) { check("docs/cache.md", 3); }
TEST_F(DocumentedRuns, Calibration) { check("docs/calibration.md", 1); }
TEST_F(DocumentedRuns, CommandLine) { check("docs/cli.md", 10); }
TEST_F(DocumentedRuns, Models) { check("docs/models.md", 2); }
TEST_F(DocumentedRuns, Software) { check("docs/software.md", 2); }
TEST_F(DocumentedRuns, Serving) { check("docs/serving.md", 1); }
TEST_F(DocumentedRuns, SeveralGpus) { check("docs/several-gpus.md", 1); }

// No page beside these has any.
TEST_F(DocumentedRuns, AreAll) {
  const std::vector<std::string> checked{"cache.md",    "calibration.md",  "cli.md",     "models.md",
                                         "policies.md", "several-gpus.md", "serving.md", "software.md"};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(PREGATE_SOURCE_DIR "/docs")) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".md" || std::find(checked.begin(), checked.end(), name) != checked.end())
      continue;
    EXPECT_TRUE(sessions_of(content_of(entry.path())).empty()) << entry.path();
  }
}

TEST(ShownLines, MayBeShortened) {
  EXPECT_EQ(first_that_differs({"a", "...", "c"}, {"a", "b", "c"}), "");
  EXPECT_EQ(first_that_differs({"a", "c"}, {"a", "b", "c"}), "c");
  EXPECT_EQ(first_that_differs({"a", "b..."}, {"a", "bcd"}), "");
  EXPECT_EQ(first_that_differs({"a", "..."}, {"a"}), "");
  EXPECT_EQ(first_that_differs({"a"}, {"a", "b"}), "more is printed: b");
  EXPECT_EQ(first_that_differs({"...", "d"}, {"a", "b"}), "d");
}

}  // namespace
}  // namespace pregate::test
