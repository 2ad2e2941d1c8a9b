// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/ptx/parser.hpp"

#include <array>
#include <cstring>

#include "tests/standin/ptx/kernel_parser.hpp"

namespace pregate::standin::ptx {
namespace {

class ModuleParser {
 public:
  explicit ModuleParser(std::string_view text)
      : tokens_(tokenize(text)), module_(std::make_unique<Module>()) {}

  std::unique_ptr<Module> run() {
    while (tokens_.peek().kind != Token::Kind::end) read_item();
    return std::move(module_);
  }

 private:
  void read_item() {
    if (tokens_.take(";")) return;
    if (tokens_.take(".section")) {  // debug information
      tokens_.next();
      tokens_.skip_balanced();
      return;
    }
    std::size_t ahead = 0;  // .visible, .extern, .weak and so on come first
    while (tokens_.peek(ahead).is(".visible") || tokens_.peek(ahead).is(".extern") ||
           tokens_.peek(ahead).is(".weak") || tokens_.peek(ahead).is(".common")) {
      ++ahead;
    }
    const Token& kind = tokens_.peek(ahead);
    if (kind.is(".entry")) {
      while (!tokens_.take(".entry")) tokens_.next();
      const std::string name = tokens_.next().text;
      module_->kernels[name] = KernelParser(tokens_, names_, shared_bytes_).read(name);
    } else if (kind.is(".func")) {  // a kernel that calls it is refused at the call
      while (!tokens_.peek().is("{") && !tokens_.peek().is(";")) {
        if (tokens_.next().kind == Token::Kind::end) tokens_.fail("function without end");
      }
      if (tokens_.peek().is("{")) tokens_.skip_balanced();
    } else if (kind.is(".global") || kind.is(".const") || kind.is(".shared")) {
      read_variable();
    } else {
      tokens_.fail("unknown item");
    }
  }

  void read_variable() {
    const Declaration declaration = read_declaration(tokens_);
    Operand operand;
    operand.kind = Operand::Kind::address;
    if (declaration.has(".shared")) {
      operand.space = Space::shared;
      operand.dynamic_shared = declaration.is_unsized;
      if (!declaration.is_unsized) {
        shared_bytes_ = aligned(shared_bytes_, declaration.alignment);
        operand.value = shared_bytes_;
        shared_bytes_ += declaration.size();
      }
    } else {
      auto& data = module_->static_data;
      // Without a size its memory lies in another module; using it is then out of bounds.
      const std::size_t offset = aligned(data.size(), std::max<std::size_t>(16, declaration.alignment));
      data.resize(offset + declaration.size());
      module_->variables[declaration.name] = {offset, declaration.size()};
      operand.space = Space::global;
      operand.static_data = true;
      operand.value = offset;
      if (tokens_.take("=")) read_initial_values(declaration, offset);
    }
    tokens_.expect(";");
    names_[declaration.name] = operand;
  }

  void read_initial_values(const Declaration& declaration, std::size_t offset) {
    const std::size_t end = offset + declaration.size();
    const std::size_t size = size_of(declaration.type);
    const bool list = tokens_.take("{");
    do {
      std::uint64_t value = 0;
      if (!read_number(tokens_, value)) tokens_.fail("unknown initial value");
      if (offset + size > end) tokens_.fail("too many initial values");
      std::memcpy(&module_->static_data[offset], &value, size);
      offset += size;
    } while (list && tokens_.take(","));
    if (list) tokens_.expect("}");
  }

  TokenStream tokens_;
  std::unique_ptr<Module> module_;
  std::map<std::string, Operand> names_;
  std::size_t shared_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Module> parse(std::string_view ptx) { return ModuleParser(ptx).run(); }

}  // namespace pregate::standin::ptx
