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
  std::string host, software;  ///< descriptions of the catalogue; empty: the machine's own, and the usual one
  std::vector<Override> set;
};

/// A model and its routing.
struct ModelRun {
  /// weights: of the whole model, dense_weights: of all but the experts; empty: as its description says, and
  /// as files for the system's software hold it.
  std::string name, model, weights, dense_weights;
  std::string profile, locality;  ///< neither: `active` experts a layer, all of them ever different
  int active = 1, decode_steps = 128, requests = 1;
  int batch = 1;   ///< sequences side by side, where no profile says
  int prompt = 0;  ///< tokens, where the locality is given
  /// What the router gives the best of a token's experts, the next one as much of the rest, ..., the last one
  /// what is left; 0: the routing has no gate weights.
  double best_share = 0;
  std::vector<Override> set;
};

/// What of a run a row is about.
enum class RowQuantity {
  decode,   ///< tokens/s of the decode passes
  prompt,   ///< prompt tokens over the time of the passes before decode
  request,  ///< generated tokens over the time of all passes
};

struct SystemRow {
  Row row;
  RowQuantity quantity = RowQuantity::decode;
  int prompt_chunk = 0;  ///< tokens; 0: the software's
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
