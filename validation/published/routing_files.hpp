// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "traces/trace.hpp"
#include "validation/published/case.hpp"

namespace pregate::validation {

/// A recording of the data folder, imported and held in memory; nothing is left behind. InputError when it is
/// absent or no recording.
std::unique_ptr<trace::StepSource> read_recording(const DataFolder& data, const std::string& file);

}  // namespace pregate::validation
