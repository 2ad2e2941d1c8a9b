// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sim/policy/policy.hpp"

namespace pregate {

/// What validate() asks of what is known early and of what is fetched of it: InputError at `where`.
void check_lookahead(const PolicySpec& policy, const std::string& where);
void check_prefetch(const PolicySpec& policy, const std::string& where);

}  // namespace pregate
