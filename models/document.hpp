// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pregate {

struct Member;

/// A value of a TOML or JSON document, free of the library that parsed it. `where` is what an error about it
/// starts with: `file.toml:12`, `config.json` or `--set machine.gpu.memory`.
struct Node {
  enum class Kind { null, table, array, text, integer, real, boolean, date };

  Kind kind = Kind::null;
  std::string where;
  std::string text;          ///< kind text
  bool from_option = false;  ///< text of `--set`: numbers and booleans are read out of it
  std::int64_t integer = 0;
  double real = 0;
  bool boolean = false;
  std::vector<Member> members;  ///< kind table, in file order
  std::vector<Node> items;      ///< kind array

  [[nodiscard]] const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
};

/// A key of a table and its value.
struct Member {
  std::string key;
  Node value;
};

/// Both refuse, as InputError at `where`, what is no document, larger than 1 MiB (JSON: 16 MiB) or nested
/// deeper than 32 levels. JSON may hold the words Infinity and NaN, as Python writes them: reals that no
/// reader accepts.
Node parse_toml_document(std::string_view text, const std::string& where);
Node parse_json_document(std::string_view text, const std::string& where);

/// Lays `over` on top of `base`: tables are merged key by key, everything else is replaced.
void merge(Node& base, const Node& over);

/// Sets the value at the dotted `path` of `root`, creating tables on the way; `where` names the option.
/// Whether the key means anything is found when the tree is read.
void set_value(Node& root, std::string_view path, std::string_view value, const std::string& where);

}  // namespace pregate
