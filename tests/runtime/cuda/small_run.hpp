// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/sim/tiny.hpp"

/// What the program cuda_execute_once runs: two passes of a model of two layers.
namespace pregate::runtime::test {

inline constexpr int small_layers = 2, small_top_k = 2;
inline ModelSpec small_model(int experts) {
  return pregate::test::tiny_model(small_layers, experts, small_top_k);
}
inline pregate::test::ListSource small_source(int experts) {
  return pregate::test::random_source(3, small_layers, experts, small_top_k, 1, 3, 1);
}

/// Its exit status.
enum SmallRunStatus : int {
  outputs_right = 0,
  outputs_wrong = 1,
  usage = 2,
  error_said = 3,
  out_of_memory_said = 4,
};

}  // namespace pregate::runtime::test
