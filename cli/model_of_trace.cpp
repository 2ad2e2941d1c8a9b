// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/model_of_trace.hpp"

#include <algorithm>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::cli {

namespace {

/// Lower-case words between the marks that spellings differ in; a version as 3.5 stays a word.
std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    if (c == '-' || c == '_' || c == ' ' || c == '/' || c == '\\' || c == ':') {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  if (words.back().empty()) words.pop_back();
  // The last word may carry what a file is.
  for (const char* ending : {".gguf", ".json", ".toml"})
    if (!words.empty() && words.back().ends_with(ending))
      words.back().resize(words.back().size() - std::string(ending).size());
  return words;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

Fit fit_of_stack(const trace::TraceInfo& info, int stack, const ModelSpec& model) {
  const int model_stack = model.stack_index(info.stacks[static_cast<std::size_t>(stack)]);
  if (model_stack < 0) return Fit::none;
  std::vector<LayerProfile> described = model.profile(model.stacks[static_cast<std::size_t>(model_stack)]);
  std::erase_if(described, [](const LayerProfile& layer) { return !layer.moe; });
  const std::vector<int> recorded = info.layers_of(stack);
  if (recorded.size() != described.size()) return Fit::none;
  Fit fit = Fit::exact;
  for (std::size_t i = 0; i < recorded.size(); ++i) {
    const trace::TraceLayer& layer = info.layers[static_cast<std::size_t>(recorded[i])];
    if (layer.layer != described[i].layer || layer.experts != described[i].experts ||
        layer.top_k > described[i].top_k)
      return Fit::none;
    // A recording may have overridden the model's number of experts a token, and say so.
    if (layer.top_k < described[i].top_k && info.model_top_k != described[i].top_k) fit = Fit::fewer;
  }
  return fit;
}

}  // namespace

Fit fit(const trace::TraceInfo& info, const ModelSpec& model) {
  Fit worst = Fit::exact;
  for (std::size_t stack = 0; stack < info.stacks.size(); ++stack)
    worst = std::min(worst, fit_of_stack(info, static_cast<int>(stack), model));
  return worst;
}

std::vector<std::string> models_that_fit(const trace::TraceInfo& info) {
  std::vector<std::string> exact, fewer;
  for (const std::string& name : model_names()) {
    const Fit how = fit(info, load_model(name));
    if (how == Fit::exact) exact.push_back(name);
    if (how == Fit::fewer) fewer.push_back(name);
  }
  return exact.empty() ? fewer : exact;
}

std::string catalogue_name_in(const std::string& name, const std::vector<std::string>& catalogue) {
  const std::vector<std::string> words = words_of(name);
  std::string found;
  std::size_t longest = 0;
  for (const std::string& candidate : catalogue) {
    const std::vector<std::string> wanted = words_of(candidate);
    if (wanted.size() <= longest) continue;
    if (std::search(words.begin(), words.end(), wanted.begin(), wanted.end()) == words.end()) continue;
    longest = wanted.size();
    found = candidate;
  }
  return found;
}

std::string describe_shape(const trace::TraceInfo& info) {
  std::string text;
  for (std::size_t stack = 0; stack < info.stacks.size(); ++stack) {
    const std::vector<int> layers = info.layers_of(static_cast<int>(stack));
    if (layers.empty()) continue;
    const trace::TraceLayer& first = info.layers[static_cast<std::size_t>(layers.front())];
    const bool alike = std::all_of(layers.begin(), layers.end(), [&](int index) {
      const trace::TraceLayer& layer = info.layers[static_cast<std::size_t>(index)];
      return layer.experts == first.experts && layer.top_k == first.top_k;
    });
    text += (text.empty() ? "" : ", and ") + std::to_string(layers.size()) + " MoE layers of ";
    text += alike ? std::to_string(first.experts) + " experts, top-" + std::to_string(first.top_k)
                  : "experts that differ by layer";
    if (info.stacks.size() > 1) text += " (" + printable(info.stacks[stack]) + ")";
  }
  return text;
}

ModelChoice model_of_trace(const trace::TraceInfo& info) {
  const std::string said = printable(info.model);
  const std::string named = catalogue_name_in(info.model, model_names());
  if (!named.empty() && fit(info, load_model(named)) != Fit::none)
    return {named, named == info.model ? "" : "model " + named + ", as the trace names '" + said + "'"};
  const std::vector<std::string> fitting = models_that_fit(info);
  const std::string shape = describe_shape(info);
  const std::string unnamed =
      info.model.empty() ? "the trace names no model" : "the trace names '" + said + "'";
  if (fitting.size() == 1)
    return {fitting.front(), "model " + fitting.front() + " by its shape (" + shape + "): " + unnamed +
                                 "; --model says another"};
  if (fitting.empty())
    throw InputError("--model", "not given; " + unnamed + ", and no model of the catalogue has " + shape,
                     "give the model's config.json: --model FILE");
  throw InputError("--model",
                   "not given; " + unnamed + ", and several models have " + shape + ": " + listed(fitting),
                   "choose one of them with --model");
}

void check_model_fits(const trace::TraceInfo& info, const ModelSpec& model, const std::string& where) {
  try {
    const sim::ExpertMap map(info, model, where);
  } catch (const InputError& fault) {
    std::string problem = fault.what();
    problem.resize(std::min(problem.find('\n'), problem.size()));
    const std::vector<std::string> fitting = models_that_fit(info);
    const std::string shape = "the trace has " + describe_shape(info);
    throw InputError("", problem,
                     fitting.empty()
                         ? shape + ", as no model of the catalogue: give its config.json with --model"
                         : shape + ", as " + listed(fitting) + ": --model " + fitting.front());
  }
}

}  // namespace pregate::cli
