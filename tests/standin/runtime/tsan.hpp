// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/standin/ptx/touched_ranges.hpp"

namespace pregate::standin::tsan {

/// ThreadSanitizer, when the program was built with it: the stand-in itself is not instrumented and tells it
/// only what CUDA promises. Every function does nothing otherwise.
bool is_present();
void release(void* what);
void acquire(void* what);
/// A fiber stands for a stream; null when there are none.
void* create_fiber(const std::string& name);
void* current_fiber();
/// Switches without ordering anything.
void switch_to(void* fiber);
void touch(const std::vector<Range>& ranges);

}  // namespace pregate::standin::tsan
