// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "models/catalog.hpp"
#include "validation/published/case.hpp"
#include "validation/published/case_reader.hpp"

namespace pregate::validation {

/// A machine as the source used it.
struct System {
  std::string name, machine;
  std::vector<Override> set;
};

/// A model and its routing.
struct ModelRun {
  std::string name, model, profile;  ///< no profile: `active` experts a layer, all of them ever different
  int active = 1, decode_steps = 128, requests = 1;
  std::vector<Override> set;
};

struct SystemRow {
  Row row;
  std::size_t system = 0, run = 0;
  std::string policy, fixes;
  std::vector<Override> set;
};

struct SystemSetup {
  std::vector<System> systems;
  std::vector<ModelRun> runs;
  std::vector<Constant> constants;
  std::vector<SystemRow> rows;
};

/// The systems of a case, their runs, constants and rows.
SystemSetup read_system_setup(TableReader& top);

}  // namespace pregate::validation
