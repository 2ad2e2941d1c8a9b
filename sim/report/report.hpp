// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/machine.hpp"
#include "models/model.hpp"
#include "models/software.hpp"
#include "sim/report/confidence.hpp"
#include "sim/report/limits.hpp"
#include "sim/report/text_layout.hpp"
#include "sim/simulate.hpp"

namespace pregate::sim {

/// How generated routing came about: by a locality, for the model's own shape, or by a profile.
struct Routing {
  std::string locality{}, profile{};         ///< one of them is empty
  int prompt_tokens = 0, output_tokens = 0;  ///< of a request, by locality
};

/// What was asked: everything that a result depends on, resolved.
struct RunConfiguration {
  ModelSpec model;
  MachineSpec machine;
  std::optional<SoftwareSpec>
      software;  ///< that drives it; without a value: the machine's file says what it costs
  bool software_is_default = true;  ///< nobody named it
  trace::TraceInfo trace;
  std::string trace_path;  ///< as given, or "profile <name>" for a generated trace
  int batch = 1;
  std::uint64_t seed = 0;          ///< of a generated trace; 0 = recorded
  std::optional<Routing> routing;  ///< without a value: recorded
  CountedExperts counted = CountedExperts::all;
  int prompt_chunk = default_prompt_chunk;  ///< 0 = whole passes
  bool prompt_in_chunks = false;            ///< also in time, not as memory alone
  ServingSpec serving;
  ParallelSpec parallel;
  std::string device = "simulator";  ///< or what executed it
  std::vector<std::string> notes;    ///< about the run as a whole
  /// All policies were asked for: those that the run does not permit, with the reason. Tables are then
  /// grouped by kind, and only the fastest of each kind is explained.
  struct LeftOut {
    std::string policy, reason;
  };
  bool all_policies = false;
  std::vector<LeftOut> left_out;
};

/// Version of what results_json() and results_csv() write: a key or column that changes its meaning or goes
/// away raises it, a new one does not.
inline constexpr int results_format_version = 1;

/// JSON of `simulate` and `compare` (docs/cli.md); deterministic, byte for byte.
std::string results_json(const RunConfiguration& configuration, const std::vector<SimulationResult>& results,
                         const Confidences& confidences = {});
/// One of its results, on one line.
std::string one_result_json(const SimulationResult& result, const std::optional<Confidence>& confidence);
/// One row a result, with a header; names carry units.
std::string results_csv(const RunConfiguration& configuration, const std::vector<SimulationResult>& results,
                        const Confidences& confidences = {});
/// One row a request of one result that keeps them, with a header; unknown times are empty.
std::string requests_csv(const std::vector<RequestRecord>& records);
/// A table for people, the notes, a line that says why, and how sure the rates are.
std::string results_table(const RunConfiguration& configuration, const std::vector<SimulationResult>& results,
                          const TextLayout& layout = {}, const Confidences& confidences = {});
/// The lines about confidence below that table: one for each label and reason, and one a policy, which says
/// what its range rests on. `by_evidence`: that once for all policies of which it is the same.
std::string confidence_text(const std::vector<SimulationResult>& results, const Confidences& confidences,
                            bool by_evidence = false);
/// What `compare --policy all` did not run: one line for each reason.
std::string left_out_text(const RunConfiguration& configuration);
/// The lines about what generated routing leaves open: one a policy, its rates with low and high locality.
std::string routing_span_text(const std::vector<SimulationResult>& results);
/// The run's notes, and what its results add to them.
std::vector<std::string> notes_of(const RunConfiguration& configuration,
                                  const std::vector<SimulationResult>& results);
/// What bounds one result, and where its time went, in a sentence.
std::string why(const SimulationResult& result);

/// Chrome trace events (Perfetto, chrome://tracing): one track a stream and link, an arrow from each copy to
/// the kernel that waits for it, experts in GPU memory and copies in flight as counters. Of the recorded
/// steps.
std::string perfetto_json(const SimulationResult& result, const RunConfiguration& configuration);

/// Appends the results to a SQLite database (created when absent): one row a result, with its JSON. All or
/// nothing. InputError: not a pregate result database, not writable.
void store_results(const std::string& path, const RunConfiguration& configuration,
                   const std::vector<SimulationResult>& results, const Confidences& confidences = {});

}  // namespace pregate::sim
