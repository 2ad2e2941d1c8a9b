// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace pregate::standin {

/// The PTX text inside what nvcc hands to __cudaRegisterFatBinary. Throws std::runtime_error saying what is
/// wrong when there is none or it cannot be unpacked. Of several the one for the highest architecture is
/// taken.
std::string ptx_of_fat_binary(const void* wrapper);

}  // namespace pregate::standin
