// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "models/model.hpp"
#include "traces/trace.hpp"

namespace pregate::cli {

/// What the user said of formats, by option, by key or with a model file of his own.
struct FormatChoice {
  bool experts = false, dense = false;
};

/// Prices the model's experts at the bytes that the trace records for them, layer by layer, in the known
/// format whose experts are as large, else in one of the recording's own bits a parameter; where the
/// recording names that format as its file's, the rest of the model as well. Where the user chose, nothing
/// changes. Gives the note to put first when the recorded and the described sizes differ; empty otherwise.
/// The trace must fit.
std::string use_recorded_sizes(const trace::TraceInfo& info, FormatChoice choice, ModelSpec& model);

}  // namespace pregate::cli
