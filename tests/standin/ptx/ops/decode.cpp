// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/ptx/ops/decode.hpp"

#include <map>
#include <string_view>

#include "tests/standin/ptx/block.hpp"

namespace pregate::standin::ptx {
namespace {

using Decoder = bool (*)(Mnemonic&, Instruction&);

/// add, mul, min ... exist for several kinds of numbers.
bool decode_arithmetic(Mnemonic& mnemonic, Instruction& instruction) {
  instruction.type = mnemonic.take_type();
  switch (instruction.type) {
    case Type::f16:
    case Type::f16x2:
    case Type::bf16:
    case Type::bf16x2:
      return decode_half(mnemonic, instruction);
    case Type::f32:
    case Type::f64:
      return decode_floating(mnemonic, instruction);
    default:
      return decode_integer(mnemonic, instruction);
  }
}

const std::map<std::string_view, Decoder>& decoders() {
  static const std::map<std::string_view, Decoder> table = {
      {"add", decode_arithmetic},   {"sub", decode_arithmetic},
      {"mul", decode_arithmetic},   {"mad", decode_arithmetic},
      {"fma", decode_arithmetic},   {"div", decode_arithmetic},
      {"rem", decode_arithmetic},   {"min", decode_arithmetic},
      {"max", decode_arithmetic},   {"abs", decode_arithmetic},
      {"neg", decode_arithmetic},   {"rcp", decode_arithmetic},
      {"sqrt", decode_arithmetic},  {"rsqrt", decode_arithmetic},
      {"ex2", decode_arithmetic},   {"lg2", decode_arithmetic},
      {"sin", decode_arithmetic},   {"cos", decode_arithmetic},
      {"tanh", decode_arithmetic},  {"copysign", decode_arithmetic},
      {"and", decode_bits},         {"or", decode_bits},
      {"xor", decode_bits},         {"not", decode_bits},
      {"cnot", decode_bits},        {"shl", decode_bits},
      {"shr", decode_bits},         {"shf", decode_bits},
      {"prmt", decode_bits},        {"bfe", decode_bits},
      {"bfi", decode_bits},         {"bfind", decode_bits},
      {"brev", decode_bits},        {"clz", decode_bits},
      {"popc", decode_bits},        {"lop3", decode_bits},
      {"bmsk", decode_bits},        {"setp", decode_compare},
      {"set", decode_compare},      {"selp", decode_compare},
      {"slct", decode_compare},     {"testp", decode_compare},
      {"cvt", decode_convert},      {"mov", decode_move},
      {"cvta", decode_move},        {"ld", decode_memory},
      {"ldu", decode_memory},       {"st", decode_memory},
      {"prefetch", decode_memory},  {"prefetchu", decode_memory},
      {"atom", decode_atomic},      {"red", decode_atomic},
      {"cp", decode_async_copy},    {"shfl", decode_warp},
      {"vote", decode_warp},        {"redux", decode_warp},
      {"match", decode_warp},       {"activemask", decode_warp},
      {"elect", decode_warp},       {"bra", decode_control},
      {"ret", decode_control},      {"exit", decode_control},
      {"bar", decode_control},      {"barrier", decode_control},
      {"membar", decode_control},   {"fence", decode_control},
      {"trap", decode_control},     {"brkpt", decode_control},
      {"nanosleep", decode_control}};
  return table;
}

}  // namespace

bool decode(Mnemonic& mnemonic, Instruction& instruction) {
  const auto found = decoders().find(mnemonic.opcode());
  if (found == decoders().end()) return false;
  if (!found->second(mnemonic, instruction)) return false;
  return instruction.execute != nullptr && mnemonic.left().empty();
}

bool set_compute(Instruction& instruction, Compute compute, std::size_t sources) {
  if (compute == nullptr || instruction.operands.size() != sources + 1) return false;
  instruction.compute = compute;
  instruction.execute = execute_compute;
  return true;
}

Rounding take_rounding(Mnemonic& mnemonic) {
  const int choice = mnemonic.take_one({"rn", "rz", "rm", "rp"});
  return choice < 0 ? Rounding::nearest_even : static_cast<Rounding>(choice);
}

Space take_space(Mnemonic& mnemonic) {
  if (mnemonic.take("global") || mnemonic.take("const")) return Space::global;
  if (mnemonic.take("shared") || mnemonic.take("shared::cta")) return Space::shared;
  if (mnemonic.take("local")) return Space::local;
  if (mnemonic.take("param") || mnemonic.take("param::entry")) return Space::param;
  return Space::generic;
}

bool take_memory_order(Mnemonic& mnemonic) {
  mnemonic.take("weak");
  const bool ordered =
      mnemonic.take_one({"volatile", "relaxed", "acquire", "release", "acq_rel", "seq_cst"}) >= 0;
  mnemonic.take_one({"cta", "cluster", "gpu", "sys"});
  return ordered;
}

}  // namespace pregate::standin::ptx
