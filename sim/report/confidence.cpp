// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/confidence.hpp"

#include <algorithm>
#include <cmath>

#include "sim/report/report.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::sim {

namespace {

/// Label and reason of a block of lines.
std::string head_of(const Confidence& confidence) {
  switch (confidence.label) {
    case Confidence::Label::calibrated:
      return "calibrated on this machine: " + confidence.reason;
    case Confidence::Label::published_case:
      return "published case " + confidence.cases + ": " + confidence.reason;
    case Confidence::Label::uncalibrated:
      return "uncalibrated estimate: " + confidence.reason;
  }
  return {};
}

/// "9 published rates of this mechanism came out 5.01 % too low to 77.9 % too high".
std::string errors(const Confidence& confidence) {
  const double least = confidence.least_percent, most = confidence.most_percent;
  std::string text = std::to_string(confidence.rows) + " published rates of " + confidence.nearest;
  const auto size = [](double percent) { return three_digits(std::abs(percent)); };
  if (confidence.label == Confidence::Label::published_case) {
    return text + " came out within " + size(std::max(std::abs(least), std::abs(most))) + " %";
  }
  if (least >= 0) return text + " came out " + size(least) + " to " + size(most) + " % too high";
  if (most <= 0) return text + " came out " + size(most) + " to " + size(least) + " % too low";
  return text + " came out " + size(least) + " % too low to " + size(most) + " % too high";
}

}  // namespace

const char* to_string(Confidence::Label label) {
  switch (label) {
    case Confidence::Label::calibrated:
      return "calibrated";
    case Confidence::Label::published_case:
      return "published-case";
    case Confidence::Label::uncalibrated:
      return "uncalibrated";
  }
  return "";
}

std::string confidence_text(const std::vector<SimulationResult>& results, const Confidences& confidences) {
  std::vector<std::string> heads;
  std::size_t policy_width = 0, range_width = 0;
  const auto range = [](const Confidence& c) {
    if (c.most_tokens_per_s <= 0) return std::string("no tokens");
    return three_digits(c.least_tokens_per_s) + " - " + three_digits(c.most_tokens_per_s) + " tokens/s";
  };
  for (std::size_t i = 0; i < confidences.size(); ++i) {
    if (!confidences[i]) continue;
    policy_width = std::max(policy_width, display_width(results[i].policy.name));
    range_width = std::max(range_width, display_width(range(*confidences[i])));
    const std::string head = head_of(*confidences[i]);
    if (std::find(heads.begin(), heads.end(), head) == heads.end()) heads.push_back(head);
  }
  std::string text;
  for (const std::string& head : heads) {
    text += "confidence: " + head + "\n";
    for (std::size_t i = 0; i < confidences.size(); ++i) {
      if (!confidences[i] || head_of(*confidences[i]) != head) continue;
      const std::string name = results[i].policy.name, rates = range(*confidences[i]);
      text += "  " + name + std::string(policy_width - display_width(name), ' ') + "  " +
              std::string(range_width - display_width(rates), ' ') + rates + "; " + errors(*confidences[i]) +
              "\n";
    }
  }
  return text;
}

}  // namespace pregate::sim
