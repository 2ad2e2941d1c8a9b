// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/files/safetensors.hpp"

namespace pregate {

/// The tensors that a header names, in its order, each with a dtype of the format and as many bytes as its
/// shape says. Where they lie in the file is not looked at. InputError naming `where`.
std::vector<StoredTensor> parse_safetensors_header(std::string_view header, const std::string& where);

}  // namespace pregate
