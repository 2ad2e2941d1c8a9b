// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pregate::runtime {

/// Of the program, or of the module that it is linked into: the version, a hash over the sources and flags
/// that both are made of, the compiler. Objects, containers and exceptions go to and fro, so they must be
/// equal.
extern const char module_build[];

/// What a module shows of itself, as `pregate_module_v1`. The first member is the same in every version.
struct Module {
  const char* build;      ///< its module_build
  const void* functions;  ///< a table, whose type the module's name says
};

struct LoadedModule {
  const void* functions = nullptr;  ///< null: it was not loaded
  std::string problem, hint;        ///< then: why, and how to mend it; one line each
};

/// Where modules are looked for: the folder that $PREGATE_MODULES names and no other; without it the
/// program's own folder, then the one where they are installed.
std::vector<std::filesystem::path> module_folders();

/// Opens `libpregate_<name>.so` in the first of the folders that has it, for as long as the process lives.
/// One of another build is refused before anything of it is used. `needs` says in a hint what must be
/// installed for it. Exceptions that it throws are caught here by their types: the C++ library compares their
/// names.
LoadedModule load_module(const std::string& name, const std::vector<std::filesystem::path>& folders,
                         const std::string& needs);

}  // namespace pregate::runtime

extern "C" {
/// Defined by every module (module.map), by no program.
extern const pregate::runtime::Module pregate_module_v1;
}
