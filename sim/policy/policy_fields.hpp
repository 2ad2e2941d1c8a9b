// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/fields/fields.hpp"
#include "sim/parts/parts.hpp"
#include "sim/policy/policy.hpp"

namespace pregate {

/// What a policy made of these parts is described by, field by field, parameters of the parts included. A
/// field or part that is added is read, checked, set by --set, listed and in the resolved configuration of
/// results.
Fields<PolicySpec> policy_fields(const sim::Parts& parts);
/// Of the parts that the product has, and those of the host program's own.
const Fields<PolicySpec>& policy_fields();
/// After sim::add_own_part(): keys of policies take them. Not while anything runs.
void describe_own_parts();

}  // namespace pregate
