// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace pregate {

/// InputError, with the reason, unless `path` leads to a regular file: absent, a folder, a pipe or device, a
/// link that leads nowhere or back to itself, a folder on the way that may not be entered.
void require_regular_file(const std::string& path);

/// Nothing at all has this name, not even a link that leads nowhere. False where that cannot be told.
bool is_absent(const std::string& path);

}  // namespace pregate
