// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "models/model.hpp"
#include "runtime/execute.hpp"
#include "validation/calibration/pass_list.hpp"

namespace pregate::validation {

/// How long passes are repeated for, and how often at least and at most.
struct Rounds {
  double seconds = 1;
  double least = 3, most = 200;
};

/// Executes all of `passes` once to warm up and to see how long a round takes, and then as many rounds as
/// `rounds` has time for, every pass recorded. InputError where they do not fit the device.
runtime::Execution execute_rounds(runtime::Device& device, const ModelSpec& model, const std::string& policy,
                                  const std::vector<Pass>& passes, runtime::ExecuteOptions options,
                                  const Rounds& rounds);

}  // namespace pregate::validation
