// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "validation/published/case_reader.hpp"

namespace pregate::validation {

/// A row of a served case as a rate: output tokens of a request in a second, 1 / TPOT, while as many are
/// served.
struct ServedRate {
  std::string row;                       ///< server and lengths
  std::string machine, software, model;  ///< of the catalogue
  int concurrency = 1;
  double percent = 0;  ///< 100 (predicted / published - 1)
};

/// Of the case's gated rows of several GPUs but those that constants of it are fixed by, of these the first
/// and every `every`-th after it, predicted with the catalogue's machine and software as they stand.
/// InputError as for a case of this kind.
std::vector<ServedRate> predict_served_rates(TableReader& top, std::size_t every = 1);

}  // namespace pregate::validation
