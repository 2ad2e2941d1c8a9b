// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pregate::test {

/// How a program ended and what it said.
struct Outcome {
  int exit_code = -1;  ///< -1 when a signal ended it
  std::string out, err;
};

/// What surrounds a run.
struct Surroundings {
  std::string standard_output{};  ///< a file in the place of the captured output, e.g. /dev/full
  std::int64_t largest_file = 0;  ///< bytes; a longer file cannot be written (0 = no limit)
  int kill_signal = 0;            ///< sent after `kill_after_ms` (0 = none)
  std::int64_t kill_after_ms = 0;
  int columns = 0;  ///< $COLUMNS; without it the variable is not set, whatever the tests run in
  /// The signal is sent when standard error, which is then a terminal, has shown this.
  std::string kill_when_shown{};
  std::vector<std::string> launcher{};  ///< words before the program's name, by whose first it is started
};

/// Runs the built program (or the one that $PREGATE_PROGRAM names) in a folder of the test's own.
class ProgramTest : public ::testing::Test {
 public:
  ~ProgramTest() override;
  ProgramTest(const ProgramTest&) = delete;
  ProgramTest& operator=(const ProgramTest&) = delete;

 protected:
  ProgramTest();

  using Words = std::vector<std::string>;

  Outcome run(const Words& arguments, const Surroundings& surroundings = {}) const;
  /// As run, where the program must succeed; its standard output.
  std::string succeed(const Words& arguments) const;
  /// Runs, and expects what every bad input gives: exit code 2, a message that starts with "error: " and
  /// holds all of `mentions`, nothing that looks like a crash, and a folder left exactly as it was.
  void expect_refused(const Words& arguments, const std::vector<std::string>& mentions,
                      const Surroundings& surroundings = {}) const;

  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, std::string_view text) const;
  [[nodiscard]] std::string read(const std::string& name) const;
  /// Every file of the folder with its content, hidden ones too.
  [[nodiscard]] std::map<std::string, std::string> files() const;
  /// Runs SQL on a database of the folder, from outside the program; the first column of the last row.
  std::string sql(const std::string& name, const std::string& statements) const;

 private:
  std::filesystem::path folder_, captured_;
};

/// The whole file; empty when it cannot be read.
std::string content_of(const std::filesystem::path& file);

/// The line `content hash <hex>` of what a command printed: the hex.
std::string content_hash(const std::string& output);

}  // namespace pregate::test
