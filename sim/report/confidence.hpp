// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace pregate::sim {

/// How well a simulated rate is supported by measurements (docs/validation/confidence.md).
struct Confidence {
  enum class Label {
    calibrated,      ///< a machine file measured for this model
    published_case,  ///< machine, model and mechanism of a published case
    uncalibrated,    ///< everything else
  };
  Label label = Label::uncalibrated;
  std::string reason;     ///< why this label; for people
  std::string mechanism;  ///< of the policy
  std::string cases;      ///< that the rows below are of, separated by ", "
  std::string nearest;    ///< what those rows have in common with the run; for people
  int rows = 0;           ///< predicted rows of published cases that are nearest to the run
  /// The smallest and the largest of their errors, 100 (simulated / measured - 1).
  double least_percent = 0, most_percent = 0;
  /// Rates within which those errors leave the truth, wider for few rows; it holds the simulated rate. Both 0
  /// for a run without output tokens.
  double least_tokens_per_s = 0, most_tokens_per_s = 0;
};

/// One a result, in their order; empty where the result has none (out of memory), or for all (measured).
using Confidences = std::vector<std::optional<Confidence>>;

/// "calibrated", "published-case", "uncalibrated".
const char* to_string(Confidence::Label label);

}  // namespace pregate::sim
