// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/element.hpp"
#include "runtime/device.hpp"

namespace pregate::runtime {

/// Calls `function` with a value of the C++ type that `type` names.
template <class Function>
void with_element(ElementType type, Function&& function) {
  switch (type) {
    case ElementType::f32:
      return function(float{});
    case ElementType::f16:
      return function(kernels::Float16{});
    case ElementType::bf16:
      return function(kernels::BFloat16{});
  }
}

}  // namespace pregate::runtime
