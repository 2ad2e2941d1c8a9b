// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>

#include <driver_types.h>
#include <vector_types.h>

#include "tests/standin/ptx/program.hpp"
#include "tests/standin/runtime/engine.hpp"
#include "tests/standin/runtime/hidden_lock.hpp"
#include "tests/standin/runtime/memory.hpp"

namespace pregate::standin {

/// One registered fat binary; its PTX is read when the first of its kernels or variables is needed.
struct LoadedModule {
  const void* wrapper = nullptr;
  std::unique_ptr<ptx::Module> module;
  std::string problem;
  bool tried = false;
};

struct RegisteredKernel {
  LoadedModule* module = nullptr;
  std::string name;
  int dynamic_shared_limit = 48 << 10;
};

struct LaunchShape {
  dim3 grid;
  dim3 block;
  std::size_t dynamic_shared = 0;
};

/// A device variable's place; address 0 when there is none.
struct Symbol {
  std::uintptr_t address = 0;
  std::size_t size = 0;
};

/// Kernels and variables by the host address that the program knows them by.
class Kernels {
 public:
  Kernels(Memory& memory, Engine& engine, Reports& reports, bool check_grid_races)
      : memory_(memory), engine_(engine), reports_(reports), check_grid_races_(check_grid_races) {}

  LoadedModule* add_module(const void* wrapper);
  void add_kernel(LoadedModule* module, const void* host, const char* name);
  void add_variable(LoadedModule* module, const void* host, const char* name);
  RegisteredKernel* find(const void* host);
  Symbol find_symbol(const void* host);

  cudaError_t launch(RegisteredKernel& kernel, const LaunchShape& shape, void** arguments,
                     CUstream_st* stream);
  /// The program of a kernel; null, after a report, when it cannot be run.
  const ptx::Kernel* program_of(RegisteredKernel& kernel);

 private:
  bool load(LoadedModule& module);

  HiddenLock lock_;
  Memory& memory_;
  Engine& engine_;
  Reports& reports_;
  bool check_grid_races_;
  std::map<const void*, RegisteredKernel> kernels_;
  struct Variable {
    LoadedModule* module;
    std::string name;
  };
  std::map<const void*, Variable> variables_;
};

}  // namespace pregate::standin
