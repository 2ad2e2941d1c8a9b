// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <vector>

namespace pregate::cli {

/// "90 s", "3 min", "2 h".
inline std::string duration(double seconds) {
  if (seconds < 100) return std::to_string(std::lround(seconds)) + " s";
  if (seconds < 100 * 60) return std::to_string(std::lround(seconds / 60)) + " min";
  return std::to_string(std::lround(seconds / 3600)) + " h";
}

/// One line on standard error with the share done, only when that is a terminal.
class Progress {
 public:
  explicit Progress(std::size_t runs) : shares_(runs), shown_(isatty(STDERR_FILENO) != 0) {}

  void report(std::size_t run, std::int64_t done, std::int64_t all) {
    if (!shown_) return;
    const std::lock_guard lock(mutex_);
    shares_[run] = all > 0 ? static_cast<double>(done) / static_cast<double>(all) : 1;
    double sum = 0;
    for (const double share : shares_) sum += share;
    const int percent = static_cast<int>(100 * sum / static_cast<double>(shares_.size()));
    if (percent == last_percent_) return;
    last_percent_ = percent;
    std::fprintf(stderr, "\rsimulating %3d %%", percent);
  }
  void clear() const {
    if (shown_ && last_percent_ >= 0) std::fprintf(stderr, "\r                \r");
  }

 private:
  std::mutex mutex_;
  std::vector<double> shares_;
  bool shown_;
  int last_percent_ = -1;
};

}  // namespace pregate::cli
