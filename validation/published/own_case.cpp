// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/own_case.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "models/catalog.hpp"
#include "models/error.hpp"

namespace pregate::validation {

namespace {

constexpr Bytes largest_case{1 << 20};
constexpr std::size_t longest_text = 4096;

/// Keys that name descriptions. At the top of a case `model` and `software` are words about what was
/// measured.
constexpr std::array<std::string_view, 2> at_top = {"machine", "model_name"};
constexpr std::array<std::string_view, 11> in_tables = {"machine", "model",    "models", "design",
                                                        "policy",  "locality", "of",     "over",
                                                        "host",    "software", "profile"};

template <class Keys>
bool has(const Keys& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

void check_text(const std::string& text, const std::string& where) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (text.size() > longest_text)
    throw InputError(where, "a text is longer than " + std::to_string(longest_text) + " bytes");
  if (std::any_of(text.begin(), text.end(), is_control)) {
    throw InputError(where, "a text holds a control character: '" + printable(text) + "'",
                     "every text of a case is one line");
  }
}

void place(Node& node, const std::filesystem::path& folder) {
  if (node.kind == Node::Kind::text && is_path(node.text)) node.text = (folder / node.text).string();
  for (Node& item : node.items) place(item, folder);
}

void visit(Node& node, const std::filesystem::path& folder, bool is_top) {
  if (node.kind == Node::Kind::text) check_text(node.text, node.where);
  for (Member& member : node.members) {
    check_text(member.key, member.value.where);
    visit(member.value, folder, false);
    const bool names = is_top ? has(at_top, member.key) : has(in_tables, member.key);
    const bool is_table = member.value.kind == Node::Kind::table ||
                          (!member.value.items.empty() && member.value.items[0].kind == Node::Kind::table);
    if (names && !is_table) place(member.value, folder);
  }
  for (Node& item : node.items) visit(item, folder, false);
}

}  // namespace

OwnCase read_own_case(const std::string& path) {
  OwnCase own;
  own.where = printable(path, 200);
  const std::filesystem::path file(path);
  own.name = printable(file.stem().string());
  own.folder = file.parent_path();
  own.document = parse_toml_document(read_text_file(path, largest_case), own.where);
  visit(own.document, own.folder, true);
  if (own.folder.empty()) own.folder = ".";
  return own;
}

}  // namespace pregate::validation
