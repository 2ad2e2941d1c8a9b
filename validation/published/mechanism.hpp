// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sim/policy/policy.hpp"

namespace pregate::validation {

/// What of a policy decides which costs are priced, in words: "pre-gated", "on-demand, cached, swap". Two
/// policies of the same mechanism are simulated by the same parts of the model, so a row of one says
/// something about the other. Sizes (slots, pinned layers), eviction and recall do not enter: they decide how
/// often something happens and not what it costs.
std::string mechanism_of(const PolicySpec& policy);

}  // namespace pregate::validation
