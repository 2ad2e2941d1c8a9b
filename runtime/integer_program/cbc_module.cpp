// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <Cbc_C_Interface.h>
#include <dlfcn.h>

#include <memory>
#include <string>

#include "runtime/integer_program/open_solver.hpp"
#include "runtime/module.hpp"

namespace pregate::runtime {

namespace {

struct Delete {
  void operator()(Cbc_Model* model) const { Cbc_deleteModel(model); }
};

/// CBC's dense products are of some tens of rows. Where its BLAS is OpenBLAS, threads of that wait for each
/// other at every one of them, by yielding: on a machine that does something else as well a second becomes
/// minutes.
class OneBlasThread {
 public:
  OneBlasThread() : library_(dlopen("libopenblas.so.0", RTLD_NOLOAD | RTLD_LAZY)) {
    if (library_ == nullptr) return;
    const auto threads = reinterpret_cast<int (*)()>(dlsym(library_, "openblas_get_num_threads"));
    set_ = reinterpret_cast<void (*)(int)>(dlsym(library_, "openblas_set_num_threads"));
    if (threads == nullptr || set_ == nullptr) return;
    before_ = threads();
    set_(1);
  }
  ~OneBlasThread() {
    if (before_ > 0) set_(before_);
    if (library_ != nullptr) dlclose(library_);
  }
  OneBlasThread(const OneBlasThread&) = delete;
  OneBlasThread& operator=(const OneBlasThread&) = delete;

 private:
  void* library_;
  void (*set_)(int) = nullptr;
  int before_ = 0;
};

sim::IntegerSolution solve(const sim::IntegerProgram& program) {
  const OneBlasThread one_thread;
  const std::unique_ptr<Cbc_Model, Delete> model(Cbc_newModel());
  for (std::size_t column = 0; column < program.cost.size(); ++column) {
    const bool whole = program.is_whole[column] != 0;
    Cbc_addCol(model.get(), "", 0, whole ? 1 : sim::IntegerProgram::unbounded, program.cost[column],
               static_cast<char>(whole ? 1 : 0), 0, nullptr, nullptr);
  }
  std::vector<int> columns;
  std::vector<double> factors;
  for (const sim::IntegerProgram::Row& row : program.rows) {
    columns.clear();
    factors.clear();
    for (const auto& term : row.terms) {
      columns.push_back(term.column);
      factors.push_back(term.factor);
    }
    const auto add = [&](char sense, double side) {
      Cbc_addRow(model.get(), "", static_cast<int>(columns.size()), columns.data(), factors.data(), sense,
                 side);
    };
    if (row.low == row.high) {
      add('E', row.low);
      continue;
    }
    if (row.low > -sim::IntegerProgram::unbounded) add('G', row.low);
    if (row.high < sim::IntegerProgram::unbounded) add('L', row.high);
  }
  Cbc_setParameter(model.get(), "logLevel", "0");
  Cbc_setParameter(model.get(), "threads", "0");
  Cbc_setParameter(model.get(), "maxNodes", std::to_string(program.most_nodes).c_str());
  Cbc_setParameter(model.get(), "allowableGap", std::to_string(program.allowed_gap).c_str());
  Cbc_setParameter(model.get(), "ratioGap", "0");
  Cbc_solve(model.get());

  sim::IntegerSolution solution;
  solution.bound = Cbc_getBestPossibleObjValue(model.get());
  solution.is_optimal = Cbc_isProvenOptimal(model.get()) != 0;
  const double* const values = Cbc_bestSolution(model.get());
  if (values == nullptr) return solution;
  solution.values.assign(values, values + program.cost.size());
  solution.objective = Cbc_getObjValue(model.get());
  return solution;
}

const IntegerProgramFunctions functions{.solve = solve};

}  // namespace

}  // namespace pregate::runtime

extern "C" const pregate::runtime::Module pregate_module_v1{pregate::runtime::module_build,
                                                            &pregate::runtime::functions};
