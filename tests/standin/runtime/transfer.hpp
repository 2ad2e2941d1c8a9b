// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include <driver_types.h>

#include "tests/standin/runtime/runtime.hpp"

namespace pregate::standin {

/// A copy as the program asked for it.
struct Transfer {
  void* to = nullptr;
  const void* from = nullptr;
  std::size_t size = 0;
  cudaMemcpyKind kind = cudaMemcpyDefault;
};

/// Checks a copy and queues it. A host end that is pageable is a finding when `asynchronous`; otherwise a
/// pageable source is read at once, as the driver does by staging it, and the copy may outlive the call.
cudaError_t queue_transfer(Runtime& runtime, const Transfer& transfer, CUstream_st* stream, bool asynchronous,
                           const char* who);

cudaError_t queue_fill(Runtime& runtime, void* to, int value, std::size_t size, CUstream_st* stream,
                       const char* who);

}  // namespace pregate::standin
