// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "python/src/running.hpp"

#include <exception>
#include <optional>
#include <utility>

#include "cli/interrupt.hpp"
#include "models/error.hpp"

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

bool raise_again(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const CallbackFailed& failed) {
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(failed.error->ptr())), failed.error->ptr());
  } catch (const Interrupted&) {
    PyErr_SetNone(PyExc_KeyboardInterrupt);
  } catch (...) {
    return false;
  }
  return true;
}

Held method_of(const nb::object& object, const char* name) {
  return nb::hasattr(object, name) ? held(object.attr(name)) : nullptr;
}

void check_own_name(const std::string& where, const std::string& name) {
  if (running > 0)
    throw InputError(where, "a simulation is running in another thread", "define it before, or after");
  const bool is_word = !name.empty() && name.size() <= 60 &&
                       name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") == std::string::npos;
  if (!is_word)
    throw InputError(where, "is not a name", "small letters, digits, '-', '_' and '.', at most 60");
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
