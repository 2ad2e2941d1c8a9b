// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/ptx/kernel_parser.hpp"

#include <array>
#include <utility>

#include "tests/standin/ptx/mnemonic.hpp"
#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

/// In the order of SpecialRegister.
constexpr std::array<std::string_view, 26> special_names = {"%tid.x",           "%tid.y",
                                                            "%tid.z",           "%ntid.x",
                                                            "%ntid.y",          "%ntid.z",
                                                            "%ctaid.x",         "%ctaid.y",
                                                            "%ctaid.z",         "%nctaid.x",
                                                            "%nctaid.y",        "%nctaid.z",
                                                            "%laneid",          "%warpid",
                                                            "%nwarpid",         "%lanemask_eq",
                                                            "%lanemask_lt",     "%lanemask_le",
                                                            "%lanemask_gt",     "%lanemask_ge",
                                                            "%clock",           "%dynamic_smem_size",
                                                            "%total_smem_size", "%smid",
                                                            "%nsmid",           "%gridid"};

std::optional<std::uint32_t> special_named(std::string_view name) {
  if (name == "%clock64") name = "%clock";
  for (std::uint32_t i = 0; i < special_names.size(); ++i) {
    if (special_names[i] == name) return i;
  }
  return std::nullopt;
}

}  // namespace

KernelParser::KernelParser(TokenStream& tokens, const std::map<std::string, Operand>& globals,
                           std::size_t shared_bytes)
    : tokens_(tokens), globals_(globals) {
  kernel_.shared_bytes = shared_bytes;
}

Kernel KernelParser::read(const std::string& name) {
  kernel_.name = name;
  scopes_.emplace_back();
  if (tokens_.take("(")) read_parameters();
  while (!tokens_.peek().is("{")) {  // .maxntid 128, 1, 1 and its like: limits that the compiler used
    if (tokens_.next().kind == Token::Kind::end) tokens_.fail("kernel without a body");
  }
  read_body();
  // Falling off the end returns.
  Instruction end;
  Mnemonic ret("ret");
  decode(ret, end);
  kernel_.code.push_back(end);
  return std::move(kernel_);
}

void KernelParser::read_parameters() {
  while (!tokens_.take(")")) {
    const Declaration declaration = read_declaration(tokens_);
    kernel_.parameter_bytes = aligned(kernel_.parameter_bytes, declaration.alignment);
    Operand operand;
    operand.kind = Operand::Kind::address;
    operand.space = Space::param;
    operand.value = kernel_.parameter_bytes;
    scopes_.back().names[declaration.name] = operand;
    kernel_.parameters.push_back({kernel_.parameter_bytes, declaration.size()});
    kernel_.parameter_bytes += declaration.size();
    tokens_.take(",");
  }
}

void KernelParser::read_body() {
  tokens_.expect("{");
  std::size_t depth = 1;
  while (depth > 0) {
    if (tokens_.take("{")) {
      scopes_.emplace_back();
      ++depth;
    } else if (tokens_.take("}")) {
      close_scope();
      --depth;
    } else {
      read_statement();
    }
  }
}

void KernelParser::close_scope() {
  const Scope closed = std::move(scopes_.back());
  scopes_.pop_back();
  for (const auto& [instruction, label] : closed.branches) {
    if (instruction >= kernel_.code.size()) continue;  // the instruction was refused
    const auto found = closed.labels.find(label);
    if (found != closed.labels.end()) {
      kernel_.code[instruction].target = found->second;
    } else if (!scopes_.empty()) {
      scopes_.back().branches.emplace_back(instruction, label);
    } else {
      unsupported("label " + label, kernel_.code[instruction].ptx_line);
    }
  }
}

void KernelParser::read_statement() {
  const Token& token = tokens_.peek();
  if (token.kind == Token::Kind::end) tokens_.fail("kernel without end");
  if (token.is(";")) {
    tokens_.next();
  } else if (token.is(".reg")) {
    read_registers();
  } else if (token.is(".shared") || token.is(".local")) {
    read_variable();
  } else if (token.is(".pragma")) {  // unrolling and the like
    tokens_.skip_past(";");
  } else if (token.kind == Token::Kind::word && token.text.front() == '.') {
    unsupported("directive " + token.text, token.line);
    tokens_.skip_past(";");
  } else if (token.kind == Token::Kind::word && tokens_.peek(1).is(":")) {
    scopes_.back().labels[token.text] = static_cast<std::uint32_t>(kernel_.code.size());
    tokens_.next();
    tokens_.next();
  } else {
    read_instruction();
  }
}

void KernelParser::read_registers() {
  tokens_.next();
  const Type type = type_named(std::string_view(tokens_.next().text).substr(1));
  if (type == Type::none) {
    unsupported("register type", tokens_.peek().line);
    tokens_.skip_past(";");
    return;
  }
  do {
    const std::string name = tokens_.next().text;
    std::uint64_t count = 0;
    const bool many = tokens_.take("<");
    if (many && (!read_number(tokens_, count) || !tokens_.take(">"))) tokens_.fail("bad register count");
    for (std::uint64_t i = 0; i < (many ? count : 1); ++i) {
      Operand operand;
      operand.kind = Operand::Kind::register_;
      operand.index = static_cast<std::uint32_t>(kernel_.register_bytes.size());
      scopes_.back().names[many ? name + std::to_string(i) : name] = operand;
      kernel_.register_bytes.push_back(static_cast<std::uint8_t>(size_of(type)));
    }
  } while (tokens_.take(","));
  tokens_.expect(";");
}

void KernelParser::read_variable() {
  const Declaration declaration = read_declaration(tokens_);
  tokens_.expect(";");
  const bool shared = declaration.has(".shared");
  std::size_t& bytes = shared ? kernel_.shared_bytes : kernel_.local_bytes;
  Operand operand;
  operand.kind = Operand::Kind::address;
  operand.space = shared ? Space::shared : Space::local;
  operand.dynamic_shared = shared && declaration.is_unsized;
  if (!operand.dynamic_shared) {
    bytes = aligned(bytes, declaration.alignment);
    operand.value = bytes;
    bytes += declaration.size();
  }
  scopes_.back().names[declaration.name] = operand;
}

void KernelParser::read_instruction() {
  Instruction instruction;
  instruction.ptx_line = tokens_.peek().line;
  instruction.source_line = tokens_.peek().source_line;
  if (tokens_.take("@")) {
    instruction.guarded = true;
    instruction.guard_negated = tokens_.take("!");
    const Operand guard = named_operand(tokens_.next().text);
    instruction.guard = guard.index;
    if (guard.kind != Operand::Kind::register_) unsupported("guard", instruction.ptx_line);
  }
  Mnemonic mnemonic(tokens_.next().text);
  while (!tokens_.take(";")) {
    if (tokens_.peek().kind == Token::Kind::end) tokens_.fail("expected ';'");
    if (mnemonic.opcode() == "call") {  // has a syntax of its own
      tokens_.next();
      continue;
    }
    instruction.operands.push_back(read_operand());
    if (!tokens_.take(",") && !tokens_.peek().is(";")) tokens_.fail("expected ','");
  }
  if (!decode(mnemonic, instruction)) {
    unsupported("instruction " + mnemonic.text(), instruction.ptx_line);
    return;
  }
  kernel_.code.push_back(std::move(instruction));
}

Operand KernelParser::read_operand() {
  if (tokens_.peek().is("[")) return read_address();
  if (tokens_.peek().is("{")) return read_vector();
  Operand operand;
  const bool negated = tokens_.take("!");
  if (read_number(tokens_, operand.value)) {
    operand.kind = Operand::Kind::immediate;
    return operand;
  }
  const Token name = tokens_.next();
  if (name.kind != Token::Kind::word) tokens_.fail("expected an operand");
  operand = named_operand(name.text);
  operand.negated = negated;
  if (tokens_.take("|")) {  // two results
    Operand pair;
    pair.kind = Operand::Kind::vector;
    pair.elements = {operand, named_operand(tokens_.next().text)};
    return pair;
  }
  if (operand.kind == Operand::Kind::address && tokens_.take("+")) {  // symbol + n as a value
    std::uint64_t offset = 0;
    if (!read_number(tokens_, offset)) tokens_.fail("expected an offset");
    operand.value += offset;
  }
  return operand;
}

Operand KernelParser::read_address() {
  tokens_.expect("[");
  Operand operand;
  std::uint64_t offset = 0;
  if (!read_number(tokens_, offset)) {
    operand = named_operand(tokens_.next().text);
    const bool minus = tokens_.peek().is("-");
    if (tokens_.take("+") || minus) {
      if (!read_number(tokens_, offset)) tokens_.fail("expected an offset");
    }
  }
  operand.has_register = operand.kind == Operand::Kind::register_;
  operand.kind = Operand::Kind::address;
  operand.value += offset;
  tokens_.expect("]");
  return operand;
}

Operand KernelParser::read_vector() {
  tokens_.expect("{");
  Operand vector;
  vector.kind = Operand::Kind::vector;
  while (!tokens_.take("}")) {
    vector.elements.push_back(read_operand());
    tokens_.take(",");
  }
  return vector;
}

Operand KernelParser::named_operand(const std::string& name) {
  if (const Operand* found = find(name)) return *found;
  Operand operand;
  if (name == "_") return operand;
  if (const auto special = special_named(name)) {
    operand.kind = Operand::Kind::special;
    operand.index = *special;
    return operand;
  }
  operand.kind = Operand::Kind::label;
  scopes_.back().branches.emplace_back(kernel_.code.size(), name);
  return operand;
}

const Operand* KernelParser::find(const std::string& name) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    const auto found = scope->names.find(name);
    if (found != scope->names.end()) return &found->second;
  }
  const auto found = globals_.find(name);
  return found == globals_.end() ? nullptr : &found->second;
}

void KernelParser::unsupported(const std::string& what, std::uint32_t line) {
  if (kernel_.unsupported.empty()) {
    kernel_.unsupported = what + " (PTX line " + std::to_string(line) + ")";
  }
}

}  // namespace pregate::standin::ptx
