// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "models/model.hpp"
#include "traces/trace.hpp"

namespace pregate::cli {

/// Whether routing of this shape can be the model's.
enum class Fit {
  none,   ///< another stack, MoE layer or number of experts, or more experts a token than the model's
  fewer,  ///< fewer experts a token than the model's
  exact,
};
Fit fit(const trace::TraceInfo& info, const ModelSpec& model);

/// Names of the catalogue's models that fit: the exact ones, or if there are none those with more experts a
/// token.
std::vector<std::string> models_that_fit(const trace::TraceInfo& info);

/// The catalogue's name that `name`, a model as a recording writes it, means: the longest whose words
/// ("qwen3", "30b", "a3b") stand in `name` in a row, whatever the case, the folder before it and the words
/// after it. Empty when there is none.
std::string catalogue_name_in(const std::string& name, const std::vector<std::string>& catalogue);

/// "48 MoE layers of 128 experts, top-8" for each stack of the trace.
std::string describe_shape(const trace::TraceInfo& info);

struct ModelChoice {
  std::string name;  ///< of the catalogue
  std::string note;  ///< how it was found, where that is worth a word
};

/// The catalogue's model that a trace is of: by name, else by shape. InputError when there is none, or
/// several, which the message then lists.
ModelChoice model_of_trace(const trace::TraceInfo& info);

/// InputError at `where` when the trace is not the model's; the hint names models that would fit.
void check_model_fits(const trace::TraceInfo& info, const ModelSpec& model, const std::string& where);

}  // namespace pregate::cli
