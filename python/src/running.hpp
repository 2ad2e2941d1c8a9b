// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <string>

namespace pregate::python {

/// How many simulations run in this process. What they read, such as the list of evictions, may not change.
inline std::atomic<int> running = 0;

/// An object of Python's that C++ holds, and lets go with the interpreter's lock, wherever that happens.
using Held = std::shared_ptr<nanobind::object>;
Held held(nanobind::object object);

/// Runs `work` without the interpreter's lock, so that other Python threads go on meanwhile. Called by the
/// main thread, Ctrl-C ends it at its next report of progress and is raised as KeyboardInterrupt. What a
/// callback in Python raised is raised again as it was. To be called with the lock.
void run_unlocked(const std::function<void()>& work);

/// Throws when Ctrl-C was pressed; any thread.
void check_interrupt();

/// Throws what run_unlocked() raises as the Python exception that is set. To be called with the lock.
[[noreturn]] void fail_with_python_error();

/// Calls `work`, which calls into Python, with the interpreter's lock. What Python raises goes through C++ to
/// run_unlocked(), whatever parts are between.
template <class Work>
void with_python(const Work& work) {
  check_interrupt();  // a pass may take long with callbacks, and progress is reported by the thousand
  const nanobind::gil_scoped_acquire lock;
  try {
    work();
  } catch (nanobind::python_error& error) {
    error.restore();
    fail_with_python_error();
  }
}

/// Where C++ that a callback called threw what is going through it: sets it again as Python's. False for
/// others.
bool raise_again(const std::exception_ptr& thrown);

/// A method of `object`; null where it has none of that name. To be called with the lock.
Held method_of(const nanobind::object& object, const char* name);

/// InputError at `where` unless it is a name for a part: small letters, digits, '-', '_' and '.'; or while a
/// simulation runs.
void check_own_name(const std::string& where, const std::string& name);

}  // namespace pregate::python
