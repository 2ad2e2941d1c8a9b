// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "models/machine.hpp"
#include "models/model.hpp"
#include "sim/policy/policy.hpp"
#include "sim/report/confidence.hpp"
#include "validation/published/residuals.hpp"

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
};

/// What is looked up among the residuals; an empty gpu or model is like no other.
struct Nearness {
  Basis basis = Basis::datasheet;
  std::string gpu, model, mechanism;
};

/// Fills rows, errors, cases, nearest and factors by the residuals nearest to `wanted`, which are the first
/// of these groups that are enough: at least five rows, and of two cases unless they are of the run's own
/// model.
/// 1. same GPU and mechanism, of a case that has the model  2. same mechanism  3. same design, whatever is
/// added to it  4. all
/// `spread`: of a calibration, comes on top; 0 without one. InputError when there are fewer than two.
void hold_against_nearest(const Nearness& wanted, std::span<const Residual> residuals, double spread,
                          sim::Confidence& confidence);

/// How well the simulated rates of a run are supported by `residuals`, by the rules of
/// docs/validation/confidence.md.
sim::Confidence confidence_in(const RunFacts& run, const PolicySpec& policy,
                              std::span<const Residual> residuals);

}  // namespace pregate::validation
