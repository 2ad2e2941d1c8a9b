// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The extension module pregate._core: the program's own commands and traces as Python calls them.
// pregate/*.py is what users see.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "models/error.hpp"
#include "python/src/bindings.hpp"
#include "python/src/running.hpp"

namespace nb = nanobind;

NB_MODULE(_core, module) {
  module.doc() = "Extension module of pregate; see the package.";
  module.attr("version") = PREGATE_VERSION;
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const pregate::InputError& error) {
      const nb::object type = nb::module_::import_("pregate.errors").attr("InputError");
      const nb::object value = type(error.where(), error.problem(), error.hint());
      PyErr_SetObject(type.ptr(), value.ptr());
    } catch (...) {
      if (!pregate::python::raise_again(std::current_exception())) throw;
    }
  });
  pregate::python::bind_runs(module);
  pregate::python::bind_traces(module);
  pregate::python::bind_evictions(module);
  pregate::python::bind_parts(module);
}
