// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/standin/ptx/numeric.hpp"
#include "tests/standin/ptx/types.hpp"

namespace pregate::standin::ptx {

class BlockRun;
struct Thread;
struct Instruction;

/// Source operand values of one instruction, zero-extended from their registers.
using Values = std::array<std::uint64_t, 4>;

/// The result of an instruction that depends on its source values only.
using Compute = std::uint64_t (*)(const Instruction&, const Values&);

/// Carries out one instruction for one thread. The program counter already points behind it.
using Execute = void (*)(BlockRun&, Thread&, const Instruction&);

enum class SpecialRegister : std::uint8_t {
  tid_x,
  tid_y,
  tid_z,
  ntid_x,
  ntid_y,
  ntid_z,
  ctaid_x,
  ctaid_y,
  ctaid_z,
  nctaid_x,
  nctaid_y,
  nctaid_z,
  laneid,
  warpid,
  nwarpid,
  lanemask_eq,
  lanemask_lt,
  lanemask_le,
  lanemask_gt,
  lanemask_ge,
  clock,
  dynamic_smem_size,
  total_smem_size,
  smid,
  nsmid,
  gridid
};

struct Operand {
  enum class Kind : std::uint8_t { nothing, register_, immediate, special, address, vector, label };
  Kind kind = Kind::nothing;      ///< `nothing` is the sink `_`
  bool negated = false;           ///< `!%p`
  bool has_register = false;      ///< of an address: `[%r + n]`
  bool dynamic_shared = false;    ///< of an address: starts behind the static shared memory
  bool static_data = false;       ///< of an address: relative to the module's static data
  Space space = Space::generic;   ///< of an address that names a variable
  std::uint32_t index = 0;        ///< register or SpecialRegister
  std::uint64_t value = 0;        ///< immediate, or an address's offset
  std::vector<Operand> elements;  ///< of a vector
};

struct Instruction {
  Execute execute = nullptr;
  Compute compute = nullptr;
  Type type = Type::none;  ///< the operation's type; of cvt the destination's
  Type from = Type::none;  ///< of cvt and set: the source's type
  Space space = Space::generic;
  Rounding rounding = Rounding::nearest_even;
  std::uint8_t variant = 0;  ///< meaning private to the instruction family
  std::uint8_t combine = 0;  ///< likewise
  bool flush = false;        ///< .ftz
  bool saturate = false;     ///< .sat
  bool relaxed = false;      ///< .volatile, .relaxed, .acquire, .release: ordered among threads
  bool guarded = false;
  bool guard_negated = false;
  bool to_space = false;  ///< cvta.to
  std::uint32_t guard = 0;
  std::uint32_t target = 0;  ///< of a branch: index of the instruction
  std::uint32_t ptx_line = 0;
  std::uint32_t source_line = 0;  ///< from .loc; 0 when unknown
  std::vector<Operand> operands;
};

/// A variable's place in its space.
struct Placement {
  std::size_t offset = 0;
  std::size_t size = 0;
};

struct Kernel {
  std::string name;
  std::vector<Placement> parameters;
  std::size_t parameter_bytes = 0;
  std::size_t shared_bytes = 0;  ///< static shared memory
  std::size_t local_bytes = 0;   ///< a thread
  std::vector<std::uint8_t> register_bytes;
  std::vector<Instruction> code;
  std::string unsupported;  ///< empty, or why this kernel cannot be run
};

struct Module {
  std::map<std::string, Kernel> kernels;
  /// Module variables in .global and .const; the loader copies `static_data` to the device and sets the base.
  std::map<std::string, Placement> variables;
  std::vector<std::uint8_t> static_data;
  std::uintptr_t static_base = 0;
};

}  // namespace pregate::standin::ptx
