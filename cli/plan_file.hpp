// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/program_options.hpp>
#include <string>
#include <vector>

namespace pregate::cli {

/// The words that a plan file stands for, to go before those of the command line: every key one of `options`,
/// those of sweep, its value or list of values; tables [vary] and [set]. InputError with file and line.
std::vector<std::string> arguments_of_plan(const std::string& path,
                                           const boost::program_options::options_description& options);

}  // namespace pregate::cli
