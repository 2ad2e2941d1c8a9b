// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <functional>
#include <memory>

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

}  // namespace pregate::python
