// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "validation/published/case.hpp"

namespace pregate::validation {

/// A case and what came out of it.
struct Evaluated {
  Case published;
  CaseResult result;
};

/// For a terminal: what was fitted, a summary of each series, aggregates, gates; every row with `rows`.
std::string results_text(const Evaluated& evaluated, bool rows);
/// One line for each gate that failed, and what was skipped.
std::string verdict(const std::vector<Evaluated>& all);
/// Tables of constants, rows, summaries, aggregates and gates, as docs/validation holds them.
std::string results_markdown(const Evaluated& evaluated);
/// Everything, deterministic byte for byte.
std::string results_json(const std::vector<Evaluated>& all);
/// One page that needs nothing else: the tables and a picture a series.
std::string results_html(const std::vector<Evaluated>& all);

/// One SVG a series and metric: published figures as points, predicted ones as lines; designs in the same
/// order everywhere.
std::vector<std::string> pictures(const CaseResult& result);

/// A figure of the row as tables show it.
std::string figure_text(const Row& row, double value);
/// Signed error with its unit: "+1.2 %", "-0.01 points", "equal".
std::string error_text(const Row& row);
/// A value of a gate with its unit and limit: "2.1 % (limit 5)".
std::string gate_text(const GateResult& gate);
/// "pass", "FAIL" or "not run".
const char* gate_word(const GateResult& gate);

}  // namespace pregate::validation
