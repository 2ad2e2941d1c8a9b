// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A Hugging Face config.json: opens wrappers, finds the family's reader, sees that nothing is ignored.
#include <algorithm>
#include <array>
#include <tuple>

#include "models/families/family.hpp"
#include "models/formats/apply_formats.hpp"
#include "models/readers.hpp"

namespace pregate {
namespace {

/// Where multimodal models keep their language model.
constexpr std::array inner_keys = {"text_config", "language_config", "llm_config", "thinker_config",
                                   "language_model_config"};
/// And what stands before it, which a run on text does not use.
struct Front {
  const char* key;
  const char* words;
};
constexpr std::array fronts = {Front{"vision_config", "the vision encoder"},
                               Front{"audio_config", "the audio encoder"},
                               Front{"vision_tower_config", "the vision encoder"},
                               Front{"projector_config", "the projector of images"},
                               Front{"talker_config", "the talker"},
                               Front{"code2wav_config", "the vocoder"}};
constexpr int deepest_wrapper = 4;

/// A language model as a file describes it. Keys of a wrapper fill in what the inner table leaves out; the
/// wrapper's other keys are about its front.
struct LanguageModel {
  Node tree;
  std::vector<std::string> own;  ///< keys that stand in the innermost table
  std::vector<std::string> left_out;
};

LanguageModel open_wrappers(const Node& root) {
  LanguageModel found;
  const Node* inner = &root;
  std::vector<const Node*> wrappers;
  for (int depth = 0; depth < deepest_wrapper; ++depth) {
    for (const Front& front : fronts) {
      const Node* part = inner->find(front.key);
      if (part != nullptr && part->kind == Node::Kind::table)
        found.left_out.push_back(std::string(front.words) + " (" + front.key + ")");
    }
    const auto key = std::find_if(inner_keys.begin(), inner_keys.end(), [&](const char* each) {
      const Node* next = inner->find(each);
      return next != nullptr && next->kind == Node::Kind::table && !next->members.empty();
    });
    if (key == inner_keys.end()) break;
    wrappers.push_back(inner);
    inner = inner->find(*key);
  }
  found.tree = *inner;
  found.tree.where = root.where;
  for (const Member& member : found.tree.members) found.own.push_back(member.key);
  std::reverse(wrappers.begin(), wrappers.end());
  for (const Node* wrapper : wrappers) {
    for (const Member& member : wrapper->members) {
      const Node* known = found.tree.find(member.key);
      if (known == nullptr) {
        found.tree.members.push_back(member);
      } else if (known->kind == Node::Kind::null) {
        *found.tree.find(member.key) = member.value;
      }
    }
  }
  return found;
}

const families::Family& family_of(TableReader& config, const std::string& where) {
  const std::vector<std::string> known = families::model_types();
  if (!config.has("model_type")) {
    throw InputError(where, "is no config.json of a model: the field 'model_type' is missing",
                     suggest("", known));
  }
  const std::string type = config.text("model_type");
  if (const families::Family* family = families::find(type)) return *family;
  // No name is proposed: read as another family, a model loses what only its own reader knows.
  throw InputError(where, "model_type '" + printable(type) + "' is not a family known here",
                   "describe the model in TOML (docs/models.md); families: pregate list families");
}

/// Whether a value says that whatever the key names is not there.
bool is_switched_off(const Node& value) {
  switch (value.kind) {
    case Node::Kind::null:
      return true;
    case Node::Kind::boolean:
      return !value.boolean;
    case Node::Kind::integer:
      return value.integer == 0;
    case Node::Kind::real:
      return value.real == 0;
    case Node::Kind::text:
      return value.text.empty();
    case Node::Kind::array:
      return value.items.empty();
    case Node::Kind::table:
      return value.members.empty();
    default:
      return false;
  }
}

/// Whether the key is one of a part that left_out names already.
bool is_front(const std::string& key) {
  return std::any_of(fronts.begin(), fronts.end(), [&](const Front& front) { return key == front.key; });
}

/// A key that nobody asked for may be something that costs.
void refuse_ignored(const TableReader& config, const families::Family& family,
                    const LanguageModel& language) {
  for (const Member& member : config.node().members) {
    const std::string& key = member.key;
    if (config.knows(key)) continue;
    if (member.value.where.starts_with("--set ")) {
      throw InputError(
          member.value.where,
          "the config.json of this family has no field '" + printable(key) + "' that matters here",
          suggest(key, config.known()));
    }
    if (std::find(language.own.begin(), language.own.end(), key) == language.own.end()) continue;
    if (is_switched_off(member.value) || is_front(key) || families::is_free(key)) continue;
    if (std::find(family.free.begin(), family.free.end(), key) != family.free.end()) continue;
    throw InputError(config.where(key),
                     "is not known in a " + std::string(family.model_types.front()) +
                         " model; it may cost memory or time that would then be left out",
                     "if it costs nothing, set it to null; else describe the model in TOML (docs/models.md)");
  }
}

/// As the checkpoint says, then as the user chose.
void store(TableReader& config, const ModelOptions& options, const Node* beside, ModelSpec& model) {
  for (const std::string_view key : checkpoint_format_keys()) config.find(key);
  CheckpointFormats formats = read_checkpoint_formats(config.node(), beside);
  const bool all_chosen = !options.weights.empty() && !options.dense_weights.empty();
  if (!formats.wide && !all_chosen) {
    const bool experts_chosen = !options.weights.empty(), rest_chosen = !options.dense_weights.empty();
    throw InputError(config.where(),
                     std::string("says nothing about the format of the weights (torch_dtype or dtype)") +
                         (experts_chosen ? ", and --weights is about the routed experts alone" : ""),
                     "choose it with " + std::string(experts_chosen ? "" : "--weights bf16") +
                         (experts_chosen || rest_chosen ? "" : " and ") +
                         (rest_chosen ? "" : "--dense-weights bf16"));
  }
  if (!formats.wide) formats.wide = weight_format("bf16", config.where());
  store_as_checkpoint(model, formats);
  for (const std::string& note : formats.notes) model.description += "; " + note;
}

/// Everything but formats; says which family it was.
const families::Family& read_language_model(TableReader& config, const LanguageModel& language,
                                            ModelSpec& model) {
  const families::Family& family = family_of(config, language.tree.where);
  model.vocabulary = config.integer("vocab_size", 1, 100'000'000);
  model.left_out = language.left_out;
  family.read(config, model);
  return family;
}

}  // namespace

void read_config_table(const Node& table, ModelSpec& model) {
  std::ignore = TableReader(table, "config");  // a table
  const LanguageModel language = open_wrappers(table);
  TableReader config(language.tree, "config");
  refuse_ignored(config, read_language_model(config, language, model), language);
}

ModelSpec read_model_config(const Node& root, const std::string& name, const ModelOptions& options,
                            const Node* beside) {
  ModelSpec model;
  std::ignore = TableReader(root, "");  // a table
  const LanguageModel language = open_wrappers(root);
  TableReader config(language.tree, "");
  const families::Family& family = read_language_model(config, language, model);
  model.name = name;
  model.description = config.text("model_type") + " as described by " + root.where;
  model.source = root.where;
  store(config, options, beside, model);
  choose_formats(model, options.weights, options.dense_weights);
  refuse_ignored(config, family, language);
  validate(model, root.where);
  return model;
}

}  // namespace pregate
