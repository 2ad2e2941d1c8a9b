// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "models/machine.hpp"

namespace pregate::validation {

/// A machine as a TOML description that load_machine() reads back: the same numbers to six digits. `sources`:
/// key path and where its numbers come from. `comments` head the file, a line each.
std::string to_toml(const MachineSpec& machine,
                    const std::vector<std::pair<std::string, std::string>>& sources,
                    const std::vector<std::string>& comments);

}  // namespace pregate::validation
