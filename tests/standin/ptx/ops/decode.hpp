// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/standin/ptx/mnemonic.hpp"
#include "tests/standin/ptx/program.hpp"

namespace pregate::standin::ptx {

/// Fills in how `instruction` is carried out, from its mnemonic and its operands, which are there already.
/// False when the opcode, a modifier or the operands are not understood; the instruction must then not be
/// run.
bool decode(Mnemonic& mnemonic, Instruction& instruction);

/// Decoders of the instruction families. Each takes the modifiers that it honours.
bool decode_integer(Mnemonic& mnemonic, Instruction& instruction);
bool decode_bits(Mnemonic& mnemonic, Instruction& instruction);
bool decode_floating(Mnemonic& mnemonic, Instruction& instruction);
bool decode_half(Mnemonic& mnemonic, Instruction& instruction);
bool decode_compare(Mnemonic& mnemonic, Instruction& instruction);
bool decode_convert(Mnemonic& mnemonic, Instruction& instruction);
bool decode_move(Mnemonic& mnemonic, Instruction& instruction);
bool decode_memory(Mnemonic& mnemonic, Instruction& instruction);
bool decode_atomic(Mnemonic& mnemonic, Instruction& instruction);
bool decode_async_copy(Mnemonic& mnemonic, Instruction& instruction);
bool decode_warp(Mnemonic& mnemonic, Instruction& instruction);
bool decode_control(Mnemonic& mnemonic, Instruction& instruction);

/// Sets `compute` for an instruction `d, s1 .. sn`; false when there are not exactly n sources.
bool set_compute(Instruction& instruction, Compute compute, std::size_t sources);

/// Reads the rounding modifier, nearest-even when there is none.
Rounding take_rounding(Mnemonic& mnemonic);

/// Reads a state space modifier; generic when there is none. .const counts as global: it is a part of the
/// device's memory that the program cannot write.
Space take_space(Mnemonic& mnemonic);

/// Takes memory order and scope (.relaxed.gpu, .volatile ...); true when the access is ordered among threads.
bool take_memory_order(Mnemonic& mnemonic);

}  // namespace pregate::standin::ptx
