// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "tests/standin/ptx/lexer.hpp"
#include "tests/standin/ptx/program.hpp"

namespace pregate::standin::ptx {

/// Reads a PTX module. A kernel that uses something unknown is kept with `unsupported` saying what, so that
/// the others can still run. Throws SyntaxError when the text cannot be followed.
std::unique_ptr<Module> parse(std::string_view ptx);

}  // namespace pregate::standin::ptx
