// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "cli/terminal.hpp"

namespace pregate::cli {

/// A file to write; the path "-" is standard output.
struct TextFile {
  std::string path, text;
};

/// Where the text for people goes: standard error when --json or --csv has standard output.
Channel people(const Parsed& parsed);

/// Fails before the work rather than after it where an output (--json, --csv, --store, --timeline,
/// --schedule, --report) cannot be written, is also another output, or is the trace. "-" is for one of --json
/// and --csv.
void check_outputs(const Parsed& parsed);

/// Writes files all or nothing: every text is on the disk under a temporary name before `then` runs and the
/// first appears under its own; a full disk leaves all outputs as they were. Standard output comes last.
void write_files(const std::vector<TextFile>& files, const std::function<void()>& then = nullptr);

/// The same for every file that an option names, alone or in a list.
void refuse_overwriting_inputs(const Parsed& parsed, const std::string& output);

/// InputError when both names lead to the same existing file.
void refuse_overwriting(const std::string& input, const std::string& output);

}  // namespace pregate::cli
