// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/profile.hpp"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/document.hpp"
#include "models/error.hpp"
#include "models/input_file.hpp"
#include "models/table_reader.hpp"
#include "traces/import/text_input.hpp"
#include "traces/layout.hpp"
#include "traces/text_output.hpp"
#include "traces/utf8.hpp"

namespace pregate::trace {

namespace {

constexpr double max_skew = 16, max_cutoff = 10'000;
constexpr std::size_t max_profile_text = std::size_t{1} << 20U;

void check_share(double value, double high, const char* key, const std::string& where) {
  if (!std::isfinite(value) || value < 0 || value > high)
    throw InputError(where, std::string(key) + " is " + std::to_string(value),
                     "a number from 0 to " + std::to_string(static_cast<int>(high)) + " belongs there");
}

LayerProfileParameters read_layer(TableReader& table) {
  LayerProfileParameters parameters;
  TraceLayer& layer = parameters.layer;
  layer.stack = static_cast<int>(table.integer("stack", 0, 15));
  layer.layer = static_cast<int>(table.integer("layer", 0, 1'000'000));
  layer.experts = static_cast<int>(table.integer("experts", 1, max_experts));
  layer.top_k = static_cast<int>(table.integer("top_k", 1, max_top_k));
  layer.expert_bytes.count = table.integer_or("expert_bytes", 0, std::int64_t{1} << 50, 0);
  parameters.popularity_skew = table.number_or("popularity_skew", 0);
  parameters.temporal_repeat = table.number_or("temporal_repeat", 0);
  parameters.cross_layer = table.number_or("cross_layer", 0);
  parameters.active_share = table.number_or("active_share", 1);
  parameters.popularity_cutoff = table.number_or("popularity_cutoff", 0);
  table.finish();
  check_share(parameters.popularity_skew, max_skew, "popularity_skew", table.where("popularity_skew"));
  check_share(parameters.popularity_cutoff, max_cutoff, "popularity_cutoff",
              table.where("popularity_cutoff"));
  check_share(parameters.temporal_repeat, 1, "temporal_repeat", table.where("temporal_repeat"));
  check_share(parameters.cross_layer, 1, "cross_layer", table.where("cross_layer"));
  check_share(parameters.active_share, 1, "active_share", table.where("active_share"));
  return parameters;
}

/// JSON's escapes are a subset of TOML's.
std::string quoted(const std::string& text) { return nlohmann::json(as_utf8(text)).dump(); }

std::string rounded(double value) {
  std::string text;
  append_number(text, std::round(value * 1e4) / 1e4);
  // TOML tells 1 from 1.0.
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

}  // namespace

std::vector<double> popularity_weights(const LayerProfileParameters& parameters) {
  std::vector<double> weights;
  weights.reserve(static_cast<std::size_t>(parameters.layer.experts));
  const double slope = parameters.popularity_cutoff / parameters.layer.experts;
  for (int r = 0; r < parameters.layer.experts; ++r)
    weights.push_back(std::pow(r + 1.0, -parameters.popularity_skew) * std::exp(-slope * r));
  return weights;
}

void validate_profile(const GeneratorProfile& profile, const std::string& where) {
  TraceInfo info;
  info.model = profile.model;
  info.stacks = profile.stacks;
  for (const auto& parameters : profile.layers) {
    info.layers.push_back(parameters.layer);
    check_share(parameters.popularity_skew, max_skew, "popularity_skew", where);
    check_share(parameters.popularity_cutoff, max_cutoff, "popularity_cutoff", where);
    check_share(parameters.temporal_repeat, 1, "temporal_repeat", where);
    check_share(parameters.cross_layer, 1, "cross_layer", where);
    check_share(parameters.active_share, 1, "active_share", where);
  }
  validate_info(info, where);
  const std::vector<StackLayout> stacks = layouts(info);
  const auto check_pass = [&](std::int64_t tokens, const StackLayout& stack, const char* what) {
    if (tokens == 0) return;
    tokens *= profile.sequences;
    if (tokens < 0 || tokens > max_step_tokens || tokens * stack.entries_a_token > max_step_entries)
      throw InputError(where, std::string(what) + " makes a pass of " + std::to_string(tokens) + " tokens");
    if (stack.layers.empty()) throw InputError(where, std::string(what) + " needs a stack with MoE layers");
  };
  check_share(profile.popularity_shift, 1, "popularity_shift", where);
  if (profile.sequences < 1 || profile.sequences > max_step_tokens)
    throw InputError(where, std::to_string(profile.sequences) + " sequences in a request");
  if (profile.decode_steps < 0 || profile.decode_steps > 1'000'000'000)
    throw InputError(where, std::to_string(profile.decode_steps) + " decode steps in a request");
  check_pass(profile.encoder_tokens, stacks.front(), "encoder_tokens");
  check_pass(profile.prefill_tokens, stacks.back(), "prefill_tokens");
  check_pass(profile.decode_steps > 0 ? 1 : 0, stacks.back(), "decode_steps");
  if (profile.encoder_tokens == 0 && profile.prefill_tokens == 0 && profile.decode_steps == 0)
    throw InputError(where, "a request of the profile has no tokens");
}

GeneratorProfile parse_profile(std::string_view toml, const std::string& where) {
  const Node root = parse_toml_document(toml, where);
  TableReader table(root, "");
  GeneratorProfile profile;
  profile.name = table.text("name");
  profile.source = table.text("source");
  profile.model = table.text_or("model", "");
  const Node* stacks = table.find("stacks");
  if (stacks == nullptr || stacks->kind != Node::Kind::array)
    throw InputError(table.where("stacks"), "a list of stack names is missing", "stacks = [\"decoder\"]");
  for (const Node& stack : stacks->items) {
    if (stack.kind != Node::Kind::text) throw InputError(stack.where, "a stack's name is not a text");
    profile.stacks.push_back(stack.text);
  }
  profile.encoder_tokens = static_cast<int>(table.integer_or("encoder_tokens", 0, max_step_tokens, 0));
  profile.prefill_tokens = static_cast<int>(table.integer_or("prefill_tokens", 0, max_step_tokens, 0));
  profile.decode_steps = static_cast<int>(table.integer_or("decode_steps", 0, 1'000'000'000, 0));
  profile.sequences = static_cast<int>(table.integer_or("sequences", 1, max_step_tokens, 1));
  profile.popularity_shift = table.number_or("popularity_shift", 0);
  for (TableReader& layer : table.tables("layers")) profile.layers.push_back(read_layer(layer));
  table.finish();
  validate_profile(profile, where);
  return profile;
}

std::string to_toml(const GeneratorProfile& profile) {
  std::string text = "# A profile for synthetic routing traces; docs/traces.md says what the numbers mean.\n";
  text += "name = " + quoted(profile.name) + "\nsource = " + quoted(profile.source) +
          "\nmodel = " + quoted(profile.model) + "\nstacks = [";
  for (std::size_t i = 0; i < profile.stacks.size(); ++i)
    text += (i > 0 ? ", " : "") + quoted(profile.stacks[i]);
  text += "]\nencoder_tokens = " + std::to_string(profile.encoder_tokens) +
          "\nprefill_tokens = " + std::to_string(profile.prefill_tokens) +
          "\ndecode_steps = " + std::to_string(profile.decode_steps) +
          "\nsequences = " + std::to_string(profile.sequences);
  if (profile.popularity_shift > 0) text += "\npopularity_shift = " + rounded(profile.popularity_shift);
  text += "\nlayers = [\n";
  for (const LayerProfileParameters& parameters : profile.layers) {
    const TraceLayer& layer = parameters.layer;
    text += "  { stack = " + std::to_string(layer.stack) + ", layer = " + std::to_string(layer.layer) +
            ", experts = " + std::to_string(layer.experts) + ", top_k = " + std::to_string(layer.top_k);
    if (layer.expert_bytes.count > 0) text += ", expert_bytes = " + std::to_string(layer.expert_bytes.count);
    text += ", popularity_skew = " + rounded(parameters.popularity_skew) +
            ", temporal_repeat = " + rounded(parameters.temporal_repeat) +
            ", cross_layer = " + rounded(parameters.cross_layer) +
            ", active_share = " + rounded(parameters.active_share);
    if (parameters.popularity_cutoff > 0)
      text += ", popularity_cutoff = " + rounded(parameters.popularity_cutoff);
    text += " },\n";
  }
  return text + "]\n";
}

std::vector<std::string> profile_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_profiles()) names.emplace_back(file.name);
  return names;
}

GeneratorProfile load_profile(const std::string& name_or_path) {
  for (const EmbeddedFile& file : embedded_profiles())
    if (file.name == name_or_path) return parse_profile(file.text, name_or_path + ".toml");
  if (is_absent(name_or_path))
    throw InputError("profile", "no profile and no file named '" + printable(name_or_path, 200) + "'",
                     suggest(name_or_path, profile_names()));
  require_regular_file(name_or_path);
  TextInput input(name_or_path);
  std::string text(max_profile_text + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const std::size_t got = input.read(text.data() + size, text.size() - size);
    if (got == 0) break;
    size += got;
  }
  if (size > max_profile_text) throw InputError(name_or_path, "is larger than 1 MiB");
  text.resize(size);
  return parse_profile(text, name_or_path);
}

}  // namespace pregate::trace
