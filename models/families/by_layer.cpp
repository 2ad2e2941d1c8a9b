// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/families/by_layer.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

/// Whether each word is `special` rather than `usual`; any other word is an InputError.
std::vector<bool> is_special(const TableReader& config, const char* key,
                             const std::vector<std::string>& words, const char* special, const char* usual) {
  std::vector<bool> result;
  for (const std::string& word : words) {
    if (word != special && word != usual) {
      throw InputError(config.where(key), "unknown kind of layer '" + printable(word) + "'",
                       std::string("valid: ") + special + ", " + usual);
    }
    result.push_back(word == special);
  }
  return result;
}

}  // namespace

std::vector<int> number_by_layer(TableReader& config, const char* key, int layers) {
  const Node* value = config.find(key);
  if (value == nullptr) return {};
  if (value->kind == Node::Kind::array) return numbers_by_layer(config, key, layers);
  return std::vector<int>(static_cast<std::size_t>(layers), static_cast<int>(config.integer(key, 0, widest)));
}

std::vector<std::string> words_and_beyond(TableReader& config, const char* key, int layers, int beyond) {
  const Node* list = config.find(key);
  const std::size_t longer = static_cast<std::size_t>(layers) + static_cast<std::size_t>(beyond);
  if (list == nullptr || list->items.size() != longer) return words_by_layer(config, key, layers);
  std::vector<std::string> words = words_by_layer(config, key, layers + beyond);
  words.resize(static_cast<std::size_t>(layers));
  return words;
}

std::vector<bool> sparse_layers(TableReader& config, int layers, int beyond) {
  constexpr const char* key = "mlp_layer_types";
  return is_special(config, key, words_and_beyond(config, key, layers, beyond), "sparse", "dense");
}

std::vector<bool> sliding_layers(TableReader& config, int layers, int beyond) {
  constexpr const char* key = "layer_types";
  return is_special(config, key, words_and_beyond(config, key, layers, beyond), "sliding_attention",
                    "full_attention");
}

Mixer with_layer_config(TableReader& config, int layer, Mixer attention) {
  auto all = config.table_if("per_layer_config");
  if (!all) return attention;
  auto own = all->table_if(std::to_string(layer));
  if (!own) return attention;
  attention.heads = dimension_or(*own, "num_attention_heads", attention.heads);
  attention.kv_heads = dimension_or(*own, "num_key_value_heads", attention.kv_heads);
  attention.head_dim = dimension_or(*own, "head_dim", attention.head_dim);
  refuse_unread(*own, {});
  return attention;
}

void refuse_unread(TableReader& table, const std::vector<std::string>& free) {
  for (const Member& member : table.node().members) {
    if (table.knows(member.key) || is_free(member.key)) continue;
    if (std::find(free.begin(), free.end(), member.key) != free.end()) continue;
    throw InputError(table.where(member.key),
                     "is not known here; it may cost memory or time that would then be left out",
                     "if it costs nothing, take it out; else describe the model in TOML (docs/models.md)");
  }
}

}  // namespace pregate::families
