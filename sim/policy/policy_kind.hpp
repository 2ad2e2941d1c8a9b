// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/policy/policy.hpp"

namespace pregate {

/// What a policy does about an expert that is not on the GPU: the groups of long tables, in their order. It
/// follows from the parts; a policy that is of two kinds is of the later one.
enum class PolicyKind : std::uint8_t { resident, on_demand, ahead, beside_cpu, from_drive };

PolicyKind kind_of(const PolicySpec& policy);
/// A line's head, e.g. "fetched ahead".
const char* to_string(PolicyKind kind);

}  // namespace pregate
