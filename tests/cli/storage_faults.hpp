// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/cli/program_test.hpp"

namespace pregate::test {

/// A system call of a run that reads or changes files: the n-th of its name in its thread.
struct FaultPoint {
  std::string call;
  int n = 0;
  auto operator<=>(const FaultPoint&) const = default;
};

/// Runs the program under strace(1), which lets single system calls fail or kills the program as it makes
/// one, so that every place where a command writes or reads is tried, whatever its timing.
class StorageFaults : public ProgramTest {
 protected:
  /// What a command leaves.
  struct Expected {
    Words command;
    std::vector<std::string> outputs;  ///< files that it makes or replaces
    /// Whether a file is one of a whole run. Empty: it has the bytes of an undisturbed one.
    std::function<bool(const std::string& output)> is_whole = nullptr;
    /// Databases that are added to in place: what is in them before and after a whole run, by SQL. The file
    /// may have a journal beside it.
    std::string database{}, counted{};
    /// Wanted after a killed run was repeated; empty: `is_whole` of all outputs.
    std::function<void()> after_repeat = nullptr;
  };
  enum class Fault { kill, no_space, input_output_error };

  /// Why strace cannot be had; empty where it can.
  [[nodiscard]] std::string why_not() const;
  /// Calls that the command makes in a folder as it is now, which is left as it was.
  [[nodiscard]] std::vector<FaultPoint> points_of(const Words& command, const std::string& calls) const;
  /// For each point and each fault: an error is said (exit code 2) and no file is half-written or left
  /// behind, or the fault did no harm; what was killed leaves hidden files at most, and the command repeated
  /// does what an undisturbed one does. Of all three faults, killing at every point and the others in turn,
  /// unless tries_every_fault(). The number of runs.
  int expect_survived(const Expected& expected, const std::vector<Fault>& faults,
                      const std::string& calls = changing_calls) const;
  /// A run in which `point` fails with `error` ("ENOSPC"). `more`: further words for strace.
  [[nodiscard]] Outcome run_failing(const Words& command, const FaultPoint& point, const std::string& error,
                                    const Words& more = {}) const;
  void restore(const std::map<std::string, std::string>& folder) const;

  /// Calls that change what is on a disk.
  static constexpr const char* changing_calls =
      "openat,write,pwrite64,writev,ftruncate,fallocate,fsync,fdatasync,rename,renameat2";

 private:
  Outcome run_traced(const Words& command, const Words& options) const;
  void check_files(const Expected& expected, const std::map<std::string, std::string>& before,
                   const std::map<std::string, std::string>& whole, bool was_killed) const;
};

}  // namespace pregate::test
