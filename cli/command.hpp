// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/program_options.hpp>
#include <string>
#include <vector>

namespace pregate::cli {

namespace po = boost::program_options;

using Arguments = std::vector<std::string>;

/// What a subcommand returns: 0 done, 1 a check failed. Bad input is thrown (InputError) and becomes 2 in
/// main.
using ExitCode = int;

/// One subcommand: its name, a line for the overview, and what runs it.
struct Command {
  std::string name;
  std::string summary;
  ExitCode (*run)(const Arguments& arguments);
};

/// Runs the command named by the first argument; prints the overview for `help`, `--help` or nothing.
/// `program` is what the user typed before it, e.g. "pregate trace".
ExitCode dispatch(const std::string& program, const std::string& intro, const std::vector<Command>& commands,
                  const Arguments& arguments);

/// Parsed options of one subcommand.
struct Parsed {
  po::variables_map values;
  bool help = false;  ///< --help was given and the help printed: return 0

  [[nodiscard]] bool has(const char* name) const { return values.count(name) > 0; }
  [[nodiscard]] std::string text(const char* name) const {
    return has(name) ? values[name].as<std::string>() : std::string{};
  }
  [[nodiscard]] std::vector<std::string> texts(const char* name) const {
    return has(name) ? values[name].as<std::vector<std::string>>() : std::vector<std::string>{};
  }
  [[nodiscard]] bool flag(const char* name) const { return values[name].as<bool>(); }
  /// A whole number in [least, most]; InputError otherwise.
  [[nodiscard]] std::int64_t integer(const char* name, std::int64_t fallback, std::int64_t least,
                                     std::int64_t most) const;
};

/// Parses `arguments`; `positional` names the option that takes bare words (empty: none may appear), at most
/// `most_positional` of them (-1: any number). Unknown options are InputErrors with the nearest valid ones.
Parsed parse(const std::string& usage, po::options_description options, const Arguments& arguments,
             const std::string& positional = {}, int most_positional = 0);

/// Output for people: the text goes to standard output (terminal.hpp).
void print(const std::string& text);

ExitCode simulate(const Arguments& arguments);
ExitCode compare(const Arguments& arguments);
ExitCode advise(const Arguments& arguments);
ExitCode sweep(const Arguments& arguments);
ExitCode list(const Arguments& arguments);
ExitCode place(const Arguments& arguments);
ExitCode analyze(const Arguments& arguments);
ExitCode execute(const Arguments& arguments);
ExitCode calibrate(const Arguments& arguments);
ExitCode validate(const Arguments& arguments);
ExitCode validate_device(const Arguments& arguments);
ExitCode model(const Arguments& arguments);
ExitCode model_show(const Arguments& arguments);
ExitCode trace(const Arguments& arguments);
ExitCode trace_import(const Arguments& arguments);
ExitCode trace_export(const Arguments& arguments);
ExitCode trace_info(const Arguments& arguments);
ExitCode trace_check(const Arguments& arguments);
ExitCode trace_generate(const Arguments& arguments);
ExitCode trace_fit(const Arguments& arguments);
ExitCode trace_replay(const Arguments& arguments);

}  // namespace pregate::cli
