// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "traces/trace.hpp"

namespace pregate::trace {

struct ImportOptions {
  std::string format{};  ///< empty = detect by content; else a name of import_formats()
  std::string model{};   ///< recorded as the model's name; empty = what the file says
  bool overwrite = false;
  int experts = 0;  ///< experts a MoE layer, for recordings that do not say; 0 = as recorded or inferred
  /// What the caller knows of the recorded model's decoder; 0 or empty = unknown. Formats that do not say
  /// these themselves are read by them, and a recording that contradicts them is refused.
  int model_top_k = 0;                  ///< experts a token
  int model_experts = 0;                ///< experts a MoE layer
  int model_layers = 0;                 ///< layers, those without MoE included
  std::vector<int> model_moe_layers{};  ///< which of them are MoE layers, ascending
  int top_k = 0;                        ///< experts a token, for recordings that do not say; 0 = the model's
  /// First tokens of each sequence that are its prompt, for recordings that do not say; 0 = unknown.
  std::int64_t prompt_tokens = 0;
};

struct ImportResult {
  TraceInfo info;
  std::string format;
  std::vector<std::string> notes;  ///< what the user must know, e.g. "recorded with 6 of 8 experts a token"
};

/// A recording format that can be imported: its name, what it looks like and what writes it, a line each.
struct FormatDescription {
  std::string name, description, source;
};
std::vector<FormatDescription> import_formats();

/// Reads `inputs` (one or more files of one format; gzip and zstd are read transparently) into a new
/// database.
ImportResult import_trace(const std::vector<std::string>& inputs, const std::string& output,
                          const ImportOptions& options = {});

/// Lossless; import_trace of a JSONL export gives the same content hash.
void export_jsonl(StepSource& source, const std::vector<Request>& requests, const std::string& output);
/// One row a routed entry: request,step,phase,stack,position,layer,token,rank,expert[,weight][,predicted].
void export_csv(StepSource& source, const std::vector<Request>& requests, const std::string& output);

}  // namespace pregate::trace
