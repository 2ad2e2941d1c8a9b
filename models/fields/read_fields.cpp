// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/fields/read_fields.hpp"

namespace pregate {

std::string range_words(const Field& field) {
  return field.range->words + (field.zero ? "; 0: " + field.zero_words : "");
}

TableReader* TablePath::table_of(const Field& field) {
  const std::string parent =
      field.key.substr(0, field.key.size() - field.name().size());  // "" or "link.h2d."
  const auto leaves = [&] { return !parent.starts_with(open_.back().first); };
  for (; !open_.empty() && leaves(); open_.pop_back()) open_.back().second.finish();
  std::size_t begin = open_.empty() ? 0 : open_.back().first.size();
  while (begin < parent.size()) {
    const std::size_t dot = parent.find('.', begin);
    TableReader& outer = open_.empty() ? *root_ : open_.back().second;
    const std::string key = parent.substr(begin, dot - begin);
    if (field.need != Need::always && !outer.has(key)) return nullptr;
    TableReader inner = outer.table(key);
    begin = dot + 1;
    open_.emplace_back(parent.substr(0, begin), std::move(inner));
  }
  return open_.empty() ? root_ : &open_.back().second;
}

void TablePath::finish() {
  for (; !open_.empty(); open_.pop_back()) open_.back().second.finish();
}

void refuse_value(TableReader& table, const Field& field) {
  const Node* node = table.find(field.name());
  const bool is_text = node != nullptr && node->kind == Node::Kind::text;
  throw InputError(table.where(field.name()),
                   (is_text ? "'" + printable(node->text) + "' is" : "is") + " out of range",
                   "it must be " + range_words(field));
}

void refuse_absence(TableReader& table, const Field& field) {
  throw InputError(table.where(), field.key + " is missing, which this " + field.condition->key + " needs",
                   field.help);
}

}  // namespace pregate
