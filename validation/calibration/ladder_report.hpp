// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "validation/calibration/ladder.hpp"

namespace pregate::validation {

/// The figure of a tier as reports show it: "-" where no row was decidable.
std::string figure_text(const TierResult& tier);

/// Whether attention's scores are in the measured and in the predicted times, and what prices them.
std::string attention_note(const LadderResult& result);

/// The verdicts, then every row: for people.
std::string ladder_table(const LadderResult& result);
std::string ladder_json(const LadderResult& result);
/// A page on its own: verdicts, predicted against measured as a scatter, timelines one above the other.
std::string ladder_html(const LadderResult& result);

}  // namespace pregate::validation
