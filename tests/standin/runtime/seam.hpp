// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include <driver_types.h>

#include "tests/standin/ptx/touched_ranges.hpp"

/// What the BLAS stand-in needs from the runtime stand-in. Plain C: the two are separate libraries, and
/// neither shows its C++ symbols.
extern "C" {

/// Counts a call of the BLAS library; non-zero when it has to fail.
int standin_count_call(const char* name);
void standin_report(const char* kind, const char* text);
bool standin_is_stream(cudaStream_t stream);

/// Queues `run(context, touched)`; it returns false when it has met a fault, and says through standin_touch
/// what it reads and writes. `drop(context)` is called in any case, once.
cudaError_t standin_submit_gemm(cudaStream_t stream, const char* name, double operations,
                                bool (*run)(void* context, void* touched), void (*drop)(void*),
                                void* context);
void standin_touch(void* touched, const pregate::standin::Range* range);

/// The bytes behind device addresses; null after a report when they may not be accessed.
std::byte* standin_resolve(std::uintptr_t address, std::size_t size, bool write, const char* who);
}
