// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/machine.hpp"
#include "models/model.hpp"
#include "sim/policy/policy.hpp"
#include "sim/report/confidence.hpp"
#include "validation/published/nearest.hpp"

namespace pregate::validation {

/// What of a run, its policy apart, decides how well it is supported.
struct RunFacts {
  const ModelSpec& model;
  const MachineSpec& machine;
  bool is_catalogue_machine = false;  ///< the catalogue's own file, and not one of the user with its name
  bool machine_changed = false;       ///< by --set machine.*
  bool model_changed = false;         ///< by --set model.*, --weights or --dense-weights
  int batch = 1;
  bool generated_routing = false;  ///< made by the generator and not recorded
  int largest_pass = 0;            ///< tokens of the largest pass
  bool software_changed = false;   ///< by --set software.*
  bool several_gpus = false;
  /// All of its GPUs share every layer and attend to the same requests (tensor parallel, with whole experts
  /// or without), as in the published cases of several GPUs.
  bool shares_layers = false;
};

/// How well the simulated rates of a run are supported by `evidence`, by the rules of
/// docs/validation/confidence.md.
sim::Confidence confidence_in(const RunFacts& run, const PolicySpec& policy, const Evidence& evidence);

}  // namespace pregate::validation
