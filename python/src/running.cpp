// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "python/src/running.hpp"

#include <exception>
#include <optional>
#include <utility>

#include "cli/interrupt.hpp"

namespace nb = nanobind;

namespace pregate::python {

namespace {

/// An exception of Python's while C++ unwinds without the interpreter's lock.
struct CallbackFailed : std::exception {
  explicit CallbackFailed(Held its_error) : error(std::move(its_error)) {}
  [[nodiscard]] const char* what() const noexcept override { return "a callback in Python failed"; }
  Held error;
};

struct Interrupted : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return "interrupted"; }
};

/// Python hears of signals in its main thread, and a handler is for the whole process.
bool is_main_thread() {
  const nb::module_ threading = nb::module_::import_("threading");
  return threading.attr("current_thread")().is(threading.attr("main_thread")());
}

struct CountRunning {
  CountRunning() { ++running; }
  ~CountRunning() { --running; }
  CountRunning(const CountRunning&) = delete;
  CountRunning& operator=(const CountRunning&) = delete;
};

}  // namespace

Held held(nb::object object) {
  return {new nb::object(std::move(object)), [](nb::object* kept) {
            if (!nb::is_alive()) return;  // the interpreter is gone, and its objects with it
            const nb::gil_scoped_acquire lock;
            delete kept;
          }};
}

void check_interrupt() {
  if (cli::interrupts != 0) throw Interrupted();
}

void fail_with_python_error() {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) PyException_SetTraceback(value, traceback);
  Held error = held(nb::steal(value));
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  throw CallbackFailed(std::move(error));
}

void run_unlocked(const std::function<void()>& work) {
  const bool hears_signals = is_main_thread();
  bool interrupted = false;
  Held raised;
  {
    const CountRunning counted;
    const nb::gil_scoped_release unlocked;
    std::optional<cli::CatchInterrupt> caught;
    if (hears_signals) caught.emplace();
    try {
      work();
    } catch (const Interrupted&) {
      interrupted = true;
    } catch (const CallbackFailed& failed) {
      raised = failed.error;
    }
    if (hears_signals) {
      interrupted = interrupted || cli::interrupts != 0;  // a command may have ended early of itself
      cli::interrupts = 0;
    }
  }
  if (interrupted) {
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    throw nb::python_error();
  }
  if (raised) {
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(raised->ptr())), raised->ptr());
    throw nb::python_error();
  }
}

}  // namespace pregate::python
