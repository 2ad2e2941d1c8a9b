// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/storage_faults.hpp"

#include <fstream>
#include <map>
#include <sstream>

#include "tests/support/every_fault.hpp"

namespace pregate::test {

namespace {

using ::testing::HasSubstr;

bool is_hidden(const std::string& name) {
  return std::filesystem::path(name).filename().string().starts_with(".");
}

/// Whether a line of the log of strace -y, as "write(3</tmp/r.json>, ...", is about a file that is written.
/// Reads of libraries, what is said on standard output, and threads' names are not.
bool changes_a_file(const std::string& call, const std::string& rest) {
  if (rest.find("</proc/") != std::string::npos || rest.find("\"/proc/") != std::string::npos) return false;
  if (call == "openat")
    return rest.find("O_WRONLY") != std::string::npos || rest.find("O_RDWR") != std::string::npos;
  return !(call == "write" && (rest.starts_with("1<") || rest.starts_with("2<")));
}

}  // namespace

std::string StorageFaults::why_not() const {
  const Outcome outcome = run_traced({"--version"}, {"-e", "trace=fsync"});
  if (outcome.exit_code == 0) return {};
  return "SKIPPED: strace cannot trace here: " + outcome.err;
}

Outcome StorageFaults::run_traced(const Words& command, const Words& options) const {
  Words launcher{"/usr/bin/strace", "-f", "-qq"};
  launcher.insert(launcher.end(), options.begin(), options.end());
  return run(command, {.launcher = launcher});
}

std::vector<FaultPoint> StorageFaults::points_of(const Words& command, const std::string& calls) const {
  const auto before = files();
  const Outcome outcome = run_traced(command, {"-y", "-o", path("strace.log"), "-e", "trace=" + calls});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  std::istringstream log(read("strace.log"));
  std::map<std::pair<std::string, std::string>, int> counts;  // by thread and name
  std::set<FaultPoint> points;
  for (std::string line; std::getline(log, line);) {
    std::istringstream words(line);
    std::string thread, call, rest;
    if (!(words >> thread) || !std::getline(words >> std::ws, call, '(') || !std::getline(words, rest))
      continue;
    const int n = ++counts[{thread, call}];
    if (changes_a_file(call, rest)) points.insert({call, n});
  }
  restore(before);
  return {points.begin(), points.end()};
}

Outcome StorageFaults::run_failing(const Words& command, const FaultPoint& point, const std::string& error,
                                   const Words& more) const {
  // Quicker than stopping at every call; a signal would not come there.
  Words options{"--seccomp-bpf",
                "-o",
                "/dev/null",
                "-e",
                "trace=" + point.call + ",io_uring_setup",
                "-e",
                "inject=" + point.call + ":error=" + error + ":when=" + std::to_string(point.n)};
  options.insert(options.end(), more.begin(), more.end());
  return run_traced(command, options);
}

void StorageFaults::restore(const std::map<std::string, std::string>& folder) const {
  for (const auto& [name, text] : files())
    if (!folder.contains(name)) std::filesystem::remove_all(path(name));
  for (const auto& [name, text] : folder)
    if (text != "(not a file)" && content_of(path(name)) != text) write(name, text);
}

void StorageFaults::check_files(const Expected& expected, const std::map<std::string, std::string>& before,
                                const std::map<std::string, std::string>& whole, bool was_killed) const {
  const auto after = files();
  const auto is_output = [&](const std::string& name) {
    return std::find(expected.outputs.begin(), expected.outputs.end(), name) != expected.outputs.end();
  };
  for (const auto& [name, text] : before) {
    const auto found = after.find(name);
    ASSERT_TRUE(found != after.end()) << name << " is lost";
    if (name != expected.database && !is_output(name)) {
      EXPECT_EQ(found->second, text) << name << " changed";
    }
  }
  for (const auto& [name, text] : after) {
    const auto old = before.find(name);
    if (old != before.end() && old->second == text) continue;
    if (is_output(name)) {
      EXPECT_TRUE(expected.is_whole ? expected.is_whole(name) : text == whole.at(name))
          << name << " is half-written";
    } else if (!expected.database.empty() && name.starts_with(expected.database)) {
      continue;  // looked at through SQLite, which undoes what was not complete
    } else {
      EXPECT_TRUE(was_killed && is_hidden(name)) << name << " was left";
    }
  }
  if (expected.database.empty() || !after.contains(expected.database)) return;
  if (!before.contains(expected.database) && after.at(expected.database).empty()) return;
  EXPECT_EQ(sql(expected.database, "PRAGMA integrity_check"), "ok");
}

int StorageFaults::expect_survived(const Expected& expected, const std::vector<Fault>& faults,
                                   const std::string& calls) const {
  const auto before = files();
  const std::vector<FaultPoint> points = points_of(expected.command, calls);
  succeed(expected.command);
  const auto whole = files();
  restore(before);
  int runs = 0, at = 0;
  for (const FaultPoint& point : points) {
    ++at;
    for (const Fault fault : faults) {
      // A full disk here and a failing one there: to the program they are two numbers of an error.
      const Fault other = at % 2 == 0 ? Fault::no_space : Fault::input_output_error;
      if (fault == other && faults.size() == 3 && !tries_every_fault()) continue;
      const char* const name = fault == Fault::kill ? "kill" : fault == Fault::no_space ? "ENOSPC" : "EIO";
      SCOPED_TRACE(std::string(name) + " at " + point.call + " " + std::to_string(point.n));
      ++runs;
      if (fault == Fault::kill) {
        const Outcome outcome = run_traced(
            expected.command, {"-o", "/dev/null", "-e", "trace=" + point.call, "-e",
                               "inject=" + point.call + ":signal=KILL:when=" + std::to_string(point.n)});
        EXPECT_THAT(outcome.exit_code, ::testing::AnyOf(-1, 0)) << outcome.err;
        if (outcome.exit_code == 0) --runs;  // this time it made fewer such calls
        check_files(expected, before, whole, true);
        const Outcome repeated = run(expected.command);
        EXPECT_EQ(repeated.exit_code, 0) << repeated.err;
      } else {
        const Outcome outcome = run_failing(expected.command, point, name);
        const bool did_no_harm = outcome.exit_code == 0;
        EXPECT_TRUE(did_no_harm || outcome.exit_code == 2) << outcome.exit_code << outcome.err;
        if (!did_no_harm) {
          EXPECT_THAT(outcome.err, HasSubstr("error: "));
        }
        EXPECT_THAT(outcome.err, ::testing::Not(HasSubstr("fault in pregate")));
        check_files(expected, before, whole, false);
        if (!did_no_harm) {
          EXPECT_EQ(run(expected.command).exit_code, 0);
        }
      }
      for (const std::string& output : expected.outputs) {
        const std::string text = read(output);
        EXPECT_TRUE(expected.is_whole ? expected.is_whole(output) : text == whole.at(output)) << output;
      }
      if (expected.after_repeat) expected.after_repeat();
      if (HasFatalFailure() || HasNonfatalFailure()) return runs;  // one is enough to look at
      restore(before);
    }
  }
  return runs;
}

}  // namespace pregate::test
