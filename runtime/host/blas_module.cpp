// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cblas.h>

#include "runtime/host/blas.hpp"
#include "runtime/module.hpp"

namespace pregate::runtime {

namespace {

void multiply(const Gemm& g) {
  const auto* a = static_cast<const float*>(g.a);
  const auto* b = static_cast<const float*>(g.b);
  auto* c = static_cast<float*>(g.c);
  if (g.rows == 1) {  // libraries do not do this themselves, and decoding is full of it
    cblas_sgemv(CblasRowMajor, CblasNoTrans, g.columns, g.inner, 1.0F, b, g.inner, a, 1, g.beta, c, 1);
    return;
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, g.rows, g.columns, g.inner, 1.0F, a, g.inner, b,
              g.inner, g.beta, c, g.c_stride > 0 ? g.c_stride : g.columns);
}

void use_threads(int threads) { openblas_set_num_threads(threads); }
const char* configuration() { return openblas_get_config(); }

constexpr Blas functions{use_threads, configuration, multiply};

}  // namespace

}  // namespace pregate::runtime

const pregate::runtime::Module pregate_module_v1{pregate::runtime::module_build,
                                                 &pregate::runtime::functions};
