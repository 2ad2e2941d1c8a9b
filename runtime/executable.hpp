// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "sim/policy/policy.hpp"

namespace pregate::runtime {

/// Why no device executes a policy, and what to do about it.
struct Refusal {
  std::string why, hint;
};

/// The first reason not to execute it; nothing when a device does. docs/runtime.md lists part by part what
/// this says.
std::optional<Refusal> why_not_executable(const PolicySpec& policy);

/// InputError with that reason.
void check_executable(const PolicySpec& policy);

}  // namespace pregate::runtime
