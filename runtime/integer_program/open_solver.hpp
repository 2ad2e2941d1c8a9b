// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sim/expert_placement/integer_program.hpp"

namespace pregate::runtime {

/// What the module `cbc` shows of itself.
struct IntegerProgramFunctions {
  sim::IntegerSolution (*solve)(const sim::IntegerProgram& program);
};

struct OpenSolver {
  sim::IntegerProgramSolver solve;  ///< empty: there is none
  std::string problem, hint;        ///< then: why, and how to mend it
};

/// The solver of integer programs of COIN-OR, CBC, in a module of its own: the program starts without its
/// libraries, and where they are not. Deterministic: one thread, limits in nodes, not in seconds.
OpenSolver open_cbc();

}  // namespace pregate::runtime
