// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "sim/policy/policy_fields.hpp"
#include "sim/report/report.hpp"

namespace pregate::sim {

/// The resolved configuration, defaults included, with bare numbers whose keys carry the unit.
nlohmann::ordered_json configuration_json(const RunConfiguration& configuration);
nlohmann::ordered_json policy_json(const PolicySpec& policy,
                                   const Fields<PolicySpec>& fields = policy_fields());

/// Version of the program, as reported.
const char* version();

}  // namespace pregate::sim
