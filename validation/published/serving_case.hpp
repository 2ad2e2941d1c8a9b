// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "validation/published/case_reader.hpp"

namespace pregate::validation {

/// A row of a served case as a rate: output tokens of a request in a second, 1 / TPOT, while as many are
/// served.
struct ServedRate {
  std::string row;                       ///< server and lengths
  std::string machine, software, model;  ///< of the catalogue
  int gpus = 1;                          ///< that share every layer
  int concurrency = 1;
  double percent = 0;  ///< 100 (predicted / published - 1)
};

/// Of the case's gated rows but those that constants of it are fixed by, predicted with the catalogue's
/// machine and software as they stand. InputError as for a case of this kind.
std::vector<ServedRate> predict_served_rates(TableReader& top);

}  // namespace pregate::validation
