// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/confidence.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "models/terminal_text.hpp"
#include "sim/report/report.hpp"
#include "sim/report/shares.hpp"
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
  std::string text = std::to_string(confidence.rows) +
                     (confidence.are_own ? " rates of " + confidence.cases + ", each left out in turn,"
                                         : " published rates of " + confidence.nearest);
  const auto size = [](double percent) { return three_digits(std::abs(percent)); };
  if (confidence.label == Confidence::Label::published_case) {
    return text + " came out within " + size(std::max(std::abs(least), std::abs(most))) + " %";
  }
  if (least >= 0) return text + " came out " + size(least) + " to " + size(most) + " % too high";
  if (most <= 0) return text + " came out " + size(most) + " to " + size(least) + " % too low";
  return text + " came out " + size(least) + " % too low to " + size(most) + " % too high";
}

/// The rate with prefill, then decode's where it is another one.
std::array<std::string, 2> ranges_of(const Confidence& confidence, const SimulationResult& result) {
  const auto text = [&](double of, double idle, const char* unit) {
    const RateRange range = confidence.range_of(of, idle);
    return three_digits(range.least) + " - " + three_digits(range.most) + unit;
  };
  const double rate = result.tokens_per_second(), decode_rate = result.decode_tokens_per_second();
  if (!confidence.range_of(rate).exists()) return {"no tokens", ""};
  const bool has_prefill = confidence.range_of(decode_rate).exists() && decode_rate != rate;
  return {text(rate, idle_share(result), " tokens/s"),
          has_prefill ? text(decode_rate, 0, " decode tok/s") : std::string()};
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

RateRange Confidence::range_of(double rate, double idle_share) const {
  if (!(rate > 0) || !std::isfinite(rate)) return {};
  const auto with = [&](double factor) { return rate / (idle_share + (1 - idle_share) / factor); };
  if (!(idle_share > 0)) return {rate * least_factor, rate * most_factor};
  return {with(least_factor), with(most_factor)};
}

std::string confidence_text(const std::vector<SimulationResult>& results, const Confidences& confidences,
                            bool by_evidence) {
  std::vector<std::string> heads;
  std::vector<std::array<std::string, 2>> ranges(confidences.size());
  std::size_t policy_width = 0;
  std::array<std::size_t, 2> widths{};
  for (std::size_t i = 0; i < confidences.size(); ++i) {
    if (!confidences[i]) continue;
    ranges[i] = ranges_of(*confidences[i], results[i]);
    policy_width = std::max(policy_width, display_width(one_line(results[i].policy.name)));
    for (std::size_t c = 0; c < widths.size(); ++c)
      widths[c] = std::max(widths[c], display_width(ranges[i][c]));
    const std::string head = head_of(*confidences[i]);
    if (std::find(heads.begin(), heads.end(), head) == heads.end()) heads.push_back(head);
  }
  const auto line = [&](std::size_t i) {
    const std::string name = one_line(results[i].policy.name);
    std::string text = "  " + name + std::string(policy_width - display_width(name), ' ');
    for (std::size_t c = 0; c < widths.size(); ++c) {
      if (widths[c] > 0)
        text += "  " + std::string(widths[c] - display_width(ranges[i][c]), ' ') + ranges[i][c];
    }
    return text;
  };
  std::string text;
  for (const std::string& head : heads) {
    text += "confidence: " + one_line(head) + "\n";
    std::vector<std::size_t> of_head;
    for (std::size_t i = 0; i < confidences.size(); ++i) {
      if (confidences[i] && head_of(*confidences[i]) == head) of_head.push_back(i);
    }
    while (!of_head.empty()) {
      const std::string evidence = errors(*confidences[of_head.front()]);
      const auto others = std::stable_partition(of_head.begin(), of_head.end(), [&](std::size_t i) {
        return by_evidence ? errors(*confidences[i]) == evidence : i == of_head.front();
      });
      if (by_evidence) text += evidence + ":\n";
      for (auto i = of_head.begin(); i != others; ++i)
        text += line(*i) + (by_evidence ? "\n" : "; " + evidence + "\n");
      of_head.erase(of_head.begin(), others);
    }
  }
  return text;
}

}  // namespace pregate::sim
