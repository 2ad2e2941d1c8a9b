// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "models/document.hpp"
#include "models/table_reader.hpp"
#include "validation/calibration/effective_times.hpp"
#include "validation/calibration/embedded_ladder.hpp"
#include "validation/calibration/ladder.hpp"

namespace pregate::validation {

namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

/// Mean of |error| over the decidable rows of a tier.
TierResult mean_error(int tier, const std::string& what, const std::vector<LadderRow>& rows, double gate) {
  TierResult result{tier, what + ": MAPE <= " + number(gate) + " %", 0, 0, 0, Verdict::undecidable};
  double sum = 0;
  for (const LadderRow& row : rows) {
    if (row.tier != tier) continue;
    if (!row.decidable) {
      ++result.undecidable;
      continue;
    }
    sum += std::fabs(row.error());
    ++result.rows;
  }
  if (result.rows == 0) return result;
  result.figure = sum / result.rows;
  result.verdict = result.figure <= gate ? Verdict::passed : Verdict::failed;
  // A gate that holds only because most rows do not count does not hold.
  if (result.verdict == Verdict::passed && result.undecidable > result.rows)
    result.verdict = Verdict::undecidable;
  return result;
}

}  // namespace

LadderGates ladder_gates() {
  const Node root = parse_toml_document(embedded_ladder().front().text, "ladder.toml");
  TableReader top(root, "");
  TableReader first = top.table("tier1"), second = top.table("tier2"), third = top.table("tier3");
  return {first.number("primitive_mape_percent"), second.number("block_mape_percent"),
          third.number("tokens_mape_percent"), third.number("order_percent"),
          third.number("tellable_spreads")};
}

std::vector<TierResult> judge(const std::vector<ExactRow>& exact, const std::vector<LadderRow>& rows,
                              const std::vector<GridPoint>& grid, const LadderGates& gates) {
  std::vector<TierResult> tiers;
  const auto wrong =
      std::count_if(exact.begin(), exact.end(), [](const ExactRow& row) { return !row.holds(); });
  tiers.push_back({0, "schedules, bytes and hits differ in 0 runs", static_cast<double>(wrong),
                   static_cast<int>(exact.size()), 0,
                   exact.empty() ? Verdict::undecidable
                   : wrong == 0  ? Verdict::passed
                                 : Verdict::failed});
  tiers.push_back(mean_error(1, "copies and operations", rows, gates.primitive_mape));
  tiers.push_back(mean_error(2, "block latency", rows, gates.block_mape));
  tiers.push_back(mean_error(3, "tokens/s", rows, gates.tokens_mape));

  // Order of any two points of a workload that can be told apart.
  std::map<std::string, std::vector<const LadderRow*>> workloads;
  for (const LadderRow& row : rows) {
    if (row.tier != 3) continue;
    for (const GridPoint& point : grid) {
      if (point.name == row.what) workloads[point.workload].push_back(&row);
    }
  }
  int pairs = 0, right = 0, untold = 0;
  for (const auto& [workload, points] : workloads) {
    for (std::size_t a = 0; a < points.size(); ++a) {
      for (std::size_t b = a + 1; b < points.size(); ++b) {
        const LadderRow &first = *points[a], &second = *points[b];
        const double spread = first.spread * first.measured / 100 + second.spread * second.measured / 100;
        const double difference = first.measured - second.measured;
        if (std::fabs(difference) <= gates.tellable * spread / 2) {
          ++untold;
          continue;
        }
        ++pairs;
        right += (difference > 0) == (first.predicted > second.predicted) ? 1 : 0;
      }
    }
  }
  TierResult order{3,      "order of two designs right in >= " + number(gates.order_share) + " % of pairs",
                   0,      pairs,
                   untold, Verdict::undecidable};
  order.counts_pairs = true;
  if (pairs > 0) {
    order.figure = 100.0 * right / pairs;
    order.verdict = order.figure >= gates.order_share ? Verdict::passed : Verdict::failed;
  }
  tiers.push_back(order);
  return tiers;
}

std::string drift_note(const std::vector<LadderRow>& rows) {
  std::vector<double> errors;
  for (const LadderRow& row : rows) {
    if (row.tier == 1 && row.decidable) errors.push_back(row.error());
  }
  constexpr double noticeable = 5;  // per cent
  const double middle = median(errors);
  if (std::fabs(middle) < noticeable) return {};
  char size[32];
  std::snprintf(size, sizeof size, "%.0f %%", std::fabs(middle));
  return std::string("tier 1: half of the predicted times are at least ") + size +
         (middle < 0 ? " too short" : " too long") +
         ": does the machine run as it did when it was calibrated?";
}

}  // namespace pregate::validation
