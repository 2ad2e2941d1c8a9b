// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include <driver_types.h>

namespace pregate::standin {

/// "cudaErrorMemoryAllocation"; "unrecognized error code" for those that the stand-in does not know.
const char* error_name(cudaError_t error);
/// "out of memory"
const char* error_text(cudaError_t error);
std::optional<cudaError_t> error_named(std::string_view name);

}  // namespace pregate::standin
