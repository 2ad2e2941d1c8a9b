// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Outputs that cannot be written, disks that fill up, runs that are interrupted: nothing is left
// half-written.
#include <csignal>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

class BadOutput : public ProgramTest {
 protected:
  BadOutput() {
    succeed({"trace", "generate", "--requests", "4", "-o", "t.db"});
    write("old.out", "precious");
  }
};

TEST_F(BadOutput, PlacesThatCannotBeWritten) {
  std::filesystem::create_directory(path("folder"));
  // A parent that is missing, or a file: refused to every user, root too.
  for (const std::string place : {"nowhere/x.out", "old.out/x.out", "folder"}) {
    for (const char* option : {"--json", "--csv", "--store"})
      expect_refused({"compare", "--trace", "t.db", option, place}, {place});
    for (const char* option : {"--timeline", "--schedule"})
      expect_refused({"simulate", "--trace", "t.db", "--json", "other.json", option, place}, {place});
    expect_refused({"trace", "export", "t.db", "-o", place}, {place});
    expect_refused({"trace", "fit", "t.db", "-o", place}, {place});
    expect_refused({"trace", "generate", "-o", place}, {place});
  }
  expect_refused({"compare", "--json", "/dev/full"}, {"/dev/full"});
  expect_refused({"trace", "generate", "-o", "/dev/full"}, {"/dev/full"});
}

TEST_F(BadOutput, OneFileForTwoThings) {
  expect_refused({"compare", "--json", "r.out", "--csv", "./r.out"}, {"--csv", "--json", "hint:"});
  expect_refused({"simulate", "--timeline", "r", "--schedule", "r"}, {"--schedule", "--timeline", "hint:"});
  // A trace is never replaced by what is made from it.
  for (const char* option : {"--json", "--csv", "--store"})
    expect_refused({"compare", "--trace", "t.db", option, "./t.db"}, {"t.db", "overwritten", "hint:"});
  expect_refused({"trace", "export", "t.db", "-o", "t.db"}, {"t.db", "overwritten", "hint:"});
  expect_refused({"trace", "fit", "t.db", "-o", "t.db"}, {"t.db", "overwritten", "hint:"});
  succeed({"trace", "export", "t.db", "-o", "t.jsonl"});
  expect_refused({"trace", "import", "t.jsonl", "-o", "t.jsonl", "--overwrite"}, {"t.jsonl", "overwritten"});
  // Nor is another trace, unless asked for.
  expect_refused({"trace", "import", "t.jsonl", "-o", "t.db"}, {"t.db", "exists already", "hint:"});
  expect_refused({"trace", "generate", "-o", "t.db"}, {"t.db", "exists already", "hint:"});
}

TEST_F(BadOutput, FullDisks) {
  succeed({"trace", "export", "t.db", "-o", "t.jsonl"});
  const Surroundings full{.largest_file = 8192};
  const std::vector<Words> commands = {
      {"compare", "--json", "old.out"},
      {"compare", "--json", "r.json", "--csv", "r.csv", "--store", "r.db"},
      {"compare", "--policy", "on-demand", "--csv", "r.csv", "--store", "r.db"},
      {"simulate", "--timeline", "old.out"},
      {"simulate", "--schedule", "s.json", "--csv", "r.csv"},
      {"trace", "export", "t.db", "-o", "old.out"},
      {"trace", "export", "t.db", "--format", "csv", "-o", "e.csv"},
      {"trace", "generate", "--requests", "4", "-o", "g.db"},
      {"trace", "generate", "--requests", "4", "--overwrite", "-o", "t.db"},
      {"trace", "import", "t.jsonl", "-o", "i.db"}};
  for (const Words& command : commands) expect_refused(command, {"hint:"}, full);
}

TEST_F(BadOutput, AFullStoreKeepsItsRows) {
  succeed({"compare", "--store", "r.db"});
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path("r.db")));
  expect_refused({"compare", "--store", "r.db", "--csv", "r.csv"}, {"r.db"}, {.largest_file = size + 4096});
  EXPECT_EQ(sql("r.db", "SELECT count(*) FROM results"), "4");
  EXPECT_EQ(sql("r.db", "PRAGMA integrity_check"), "ok");
}

TEST_F(BadOutput, StandardOutput) {
  for (const Words& command : {Words{"compare"}, Words{"list"}, Words{"--help"}, Words{"compare", "--help"},
                               Words{"--version"}, Words{"trace", "info", "t.db"}}) {
    expect_refused(command, {"standard output", "cannot write"}, {.standard_output = "/dev/full"});
  }
}

TEST_F(BadOutput, AnInterruptedImportLeavesNoDestinationOrAWholeOne) {
  succeed({"trace", "generate", "--requests", "1000", "-o", "large.db"});
  succeed({"trace", "export", "large.db", "-o", "large.jsonl"});
  const std::string hash = content_hash(succeed({"trace", "info", "large.db"}));
  int interrupted = 0;
  const auto import_killed_after = [&](int signal, std::int64_t milliseconds, const std::string& name) {
    const Outcome outcome = run({"trace", "import", "large.jsonl", "-o", name, "--overwrite"},
                                {.kill_signal = signal, .kill_after_ms = milliseconds});
    interrupted += outcome.exit_code != 0 ? 1 : 0;
  };
  for (const int signal : {SIGKILL, SIGINT, SIGTERM}) {
    for (const std::int64_t milliseconds : {5, 60, 200}) {
      import_killed_after(signal, milliseconds, "new.db");
      if (std::filesystem::exists(path("new.db"))) {
        EXPECT_EQ(content_hash(succeed({"trace", "info", "new.db"})), hash);
        std::filesystem::remove(path("new.db"));
      }
    }
  }
  // One that is to be replaced stays as it was, or becomes whole.
  const std::string before = content_hash(succeed({"trace", "info", "t.db"}));
  import_killed_after(SIGKILL, 60, "t.db");
  EXPECT_THAT(content_hash(succeed({"trace", "info", "t.db"})), ::testing::AnyOf(before, hash));
  succeed({"trace", "check", "t.db"});
  EXPECT_GT(interrupted, 3) << "the imports were too quick to be interrupted: enlarge the trace";
}

}  // namespace
}  // namespace pregate::test
