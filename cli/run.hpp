// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "sim/report/report.hpp"
#include "sim/simulate.hpp"
#include "traces/trace.hpp"

namespace pregate::cli {

/// Options that `simulate` and `compare` share.
po::options_description run_options();

/// A trace as a run reads it: from a database or a generator, batched on request.
struct OpenTrace {
  std::unique_ptr<trace::StepSource> reader;   ///< of the file or generator
  std::unique_ptr<trace::StepSource> batched;  ///< over `reader`; null for batch 1
  [[nodiscard]] trace::StepSource& source() const { return batched ? *batched : *reader; }
};

/// Everything a run needs, resolved from the options.
struct Run {
  sim::RunConfiguration configuration;
  std::vector<PolicySpec> policies;
  std::function<OpenTrace()> open;  ///< a fresh reader, for each thread its own
  std::string trace_name;           ///< for errors
  sim::SimulationOptions options;
  int threads = 1;
  /// What of the machine's and the model's description is the catalogue's own.
  bool is_catalogue_machine = false, machine_changed = false, model_changed = false;
};

/// `policies` as the user gave them, comma-separated. InputError on anything that does not fit.
Run resolve(const Parsed& parsed, const std::string& policies);

/// Runs every policy of the run, on its threads; results in the order of the policies, whatever the thread
/// count.
std::vector<sim::SimulationResult> run_policies(const Run& run);

/// How well each simulated result is supported; none for what did not fit.
sim::Confidences confidences_in(const Run& run, const std::vector<sim::SimulationResult>& results);

struct TextFile {
  std::string path, text;
};

/// Writes what --json, --csv and --store ask for, and `more` files. Every text is on the disk under a
/// temporary name before the first appears under its own: a full disk leaves all outputs as they were.
void write_outputs(const Parsed& parsed, const Run& run, const std::vector<sim::SimulationResult>& results,
                   const sim::Confidences& confidences, const std::vector<TextFile>& more = {});

/// Fails before the work rather than after it where an output (--json, --csv, --store, --timeline,
/// --schedule,
/// --report) cannot be written, is also another output, or is the trace.
void check_outputs(const Parsed& parsed);

/// Writes files all or nothing, as write_outputs() does.
void write_files(const std::vector<TextFile>& files);

/// InputError when both names lead to the same existing file.
void refuse_overwriting(const std::string& input, const std::string& output);

/// Splits at commas; empty parts are InputErrors at `where`.
std::vector<std::string> split_list(const std::string& text, const std::string& where);

}  // namespace pregate::cli
