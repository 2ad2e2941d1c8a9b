// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <exception>
#include <functional>

namespace pregate::python {

/// How many simulations run in this process. What they read, such as the list of evictions, may not change.
inline std::atomic<int> running = 0;

/// Runs `work` without the interpreter's lock, so that other Python threads go on meanwhile. Ctrl-C ends it
/// at its next report of progress and is raised as KeyboardInterrupt. An exception of a callback in Python is
/// raised again as it was. To be called with the lock.
void run_unlocked(const std::function<void()>& work);

/// Throws when Ctrl-C was pressed; any thread.
void check_interrupt();

/// Keeps the Python exception that is set, for run_unlocked() to raise, and throws. To be called with the
/// lock.
[[noreturn]] void fail_with_python_error();

}  // namespace pregate::python
