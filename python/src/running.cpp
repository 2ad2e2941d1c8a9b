// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "python/src/running.hpp"

#include <nanobind/nanobind.h>

#include <optional>

#include "cli/interrupt.hpp"

namespace nb = nanobind;

namespace pregate::python {

namespace {

/// Stands for an exception of Python's while C++ unwinds without the interpreter's lock.
struct CallbackFailed : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return "a callback in Python failed"; }
};

struct Interrupted : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return "interrupted"; }
};

/// The first of the run; guarded by the interpreter's lock.
nb::object& kept_error() {
  static nb::object* const error = new nb::object();  // outlives the interpreter's objects: never destroyed
  return *error;
}

}  // namespace

void check_interrupt() {
  if (cli::interrupts != 0) throw Interrupted();
}

void fail_with_python_error() {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) PyException_SetTraceback(value, traceback);
  if (!kept_error().is_valid()) kept_error() = nb::borrow(value);
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(traceback);
  throw CallbackFailed();
}

void run_unlocked(const std::function<void()>& work) {
  kept_error().reset();
  bool interrupted = false;
  {
    ++running;
    const nb::gil_scoped_release unlocked;
    const cli::CatchInterrupt caught;
    try {
      work();
    } catch (const Interrupted&) {
      interrupted = true;
    } catch (const CallbackFailed&) {  // kept_error() says what it was
    } catch (...) {
      --running;
      throw;
    }
    --running;
  }
  if (interrupted) {
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    throw nb::python_error();
  }
  if (kept_error().is_valid()) {
    const nb::object error = std::move(kept_error());
    kept_error() = nb::object();
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
    throw nb::python_error();
  }
}

}  // namespace pregate::python
