// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace pregate::trace {

/// Decodes RFC 4648 base64 with its padding and nothing else: no line ends, no other alphabet, no bits after
/// the last byte. InputError at `where`.
std::string decode_base64(std::string_view text, const std::string& where);

}  // namespace pregate::trace
