// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "traces/trace.hpp"

namespace pregate::trace {

struct ImportOptions {
  std::string format{};  ///< empty = detect by content; else a name of import_formats()
  std::string model{};   ///< recorded as the model's name; empty = what the file says
  bool overwrite = false;
  int experts = 0;      ///< experts a MoE layer, for recordings that do not say; 0 = as recorded or inferred
  int model_top_k = 0;  ///< experts a token of the model itself, when the caller knows it; 0 = unknown
};

struct ImportResult {
  TraceInfo info;
  std::string format;
  std::vector<std::string> notes;  ///< what the user must know, e.g. "recorded with 6 of 8 experts a token"
};

/// "switch-lines", "route-trace-v1", "gpt-oss-csv", "gpt-oss-json", "jsonl", each with a one-line
/// description.
struct FormatDescription {
  std::string name, description;
};
std::vector<FormatDescription> import_formats();

/// Reads `inputs` (one or more files of one format; gzip is read transparently) into a new database.
ImportResult import_trace(const std::vector<std::string>& inputs, const std::string& output,
                          const ImportOptions& options = {});

/// Lossless; import_trace of a JSONL export gives the same content hash.
void export_jsonl(StepSource& source, const std::vector<Request>& requests, const std::string& output);
/// One row a routed entry: request,step,phase,stack,position,layer,token,rank,expert[,weight][,predicted].
void export_csv(StepSource& source, const std::vector<Request>& requests, const std::string& output);

}  // namespace pregate::trace
