// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/integer_program/open_solver.hpp"

#include "runtime/module.hpp"

namespace pregate::runtime {

OpenSolver open_cbc() {
  if (PREGATE_WITH_CBC == 0) {
    return {.solve = {},
            .problem = "this program was built without CBC, the solver of integer programs",
            .hint = "install coinor-libcbc-dev and build again"};
  }
  const LoadedModule module = load_module("cbc", module_folders(), "install coinor-libcbc3");
  if (module.functions == nullptr) return {.solve = {}, .problem = module.problem, .hint = module.hint};
  return {.solve = static_cast<const IntegerProgramFunctions*>(module.functions)->solve,
          .problem = {},
          .hint = {}};
}

}  // namespace pregate::runtime
