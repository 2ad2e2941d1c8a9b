// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/standin/ptx/declaration.hpp"
#include "tests/standin/ptx/program.hpp"

namespace pregate::standin::ptx {

/// Reads one `.entry` behind its name: parameters, tuning directives, body.
class KernelParser {
 public:
  /// `globals` are the names of the module: static data and shared variables.
  KernelParser(TokenStream& tokens, const std::map<std::string, Operand>& globals, std::size_t shared_bytes);
  Kernel read(const std::string& name);

 private:
  /// A `{ }` of the body: what is declared in it is unknown outside.
  struct Scope {
    std::map<std::string, Operand> names;
    std::map<std::string, std::uint32_t> labels;
    std::vector<std::pair<std::size_t, std::string>> branches;  ///< instructions whose label is not found yet
  };

  void read_parameters();
  void read_body();
  void read_statement();
  void read_registers();
  void read_variable();
  void read_instruction();
  Operand read_operand();
  Operand read_address();
  Operand read_vector();
  Operand named_operand(const std::string& name);
  const Operand* find(const std::string& name) const;
  void close_scope();
  void unsupported(const std::string& what, std::uint32_t line);

  TokenStream& tokens_;
  const std::map<std::string, Operand>& globals_;
  Kernel kernel_;
  std::vector<Scope> scopes_;
};

}  // namespace pregate::standin::ptx
