// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace pregate::sim {

/// Rates to expect, 1/s; both 0 where there is no rate (no output tokens).
struct RateRange {
  double least = 0, most = 0;
  [[nodiscard]] bool exists() const { return most > 0; }
};

/// How well a simulated rate is supported by measurements (docs/validation/confidence.md).
struct Confidence {
  enum class Label {
    calibrated,      ///< a machine file measured for this model, or fitted on rates measured on that machine
    published_case,  ///< machine, model and mechanism of a published case
    uncalibrated,    ///< everything else
  };
  Label label = Label::uncalibrated;
  std::string reason;     ///< why this label; for people
  std::string mechanism;  ///< of the policy
  std::string cases;      ///< that the rows below are of, separated by ", "
  std::string nearest;    ///< what those rows have in common with the run; for people
  int rows = 0;           ///< predicted rows of published cases that are nearest to the run
  bool are_own =
      false;  ///< those rows are the ones that the machine file was fitted on, each left out in turn
  /// The smallest and the largest of their errors, 100 (simulated / measured - 1).
  double least_percent = 0, most_percent = 0;
  /// By those errors, wider for few rows, a rate of this run is expected within these factors of the
  /// simulated one; 1 is among them.
  double least_factor = 1, most_factor = 1;
  /// Range of a simulated rate of this run. Every rate has its own: the one with prefill is not decode's.
  /// `idle_share` of the time that the rate is over nothing was to do: requests arrive when they do, however
  /// fast the machine is, so the factors are of the rest of it. A faster machine is idle for no less, a
  /// slower one for no more, so both bounds hold.
  [[nodiscard]] RateRange range_of(double rate, double idle_share = 0) const;
};

/// One a result, in their order; empty where the result has none (out of memory), or for all (measured).
using Confidences = std::vector<std::optional<Confidence>>;

/// "calibrated", "published-case", "uncalibrated".
const char* to_string(Confidence::Label label);

}  // namespace pregate::sim
