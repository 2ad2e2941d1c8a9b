// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/device.hpp"

namespace pregate::runtime {

/// The functions of the module `blas`: the products of the host device.
struct Blas {
  void (*use_threads)(int threads);
  const char* (*configuration)();      ///< version and processor, for people
  void (*multiply)(const Gemm& gemm);  ///< fp32, at once. Precondition: rows > 0
};

}  // namespace pregate::runtime
