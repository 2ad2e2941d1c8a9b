// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/fields/choice.hpp"
#include "models/machine.hpp"
#include "models/model.hpp"

// The enumerations of a model that have names (model_choices.cpp).
namespace pregate {

template <>
std::span<const Choice<MixerKind>> choices();
template <>
std::span<const Choice<FeedForward::Kind>> choices();
/// In the order of age (machine_choices.cpp).
template <>
std::span<const Choice<GpuArchitecture>> choices();
template <>
std::span<const Choice<KernelLibrary>> choices();

template <>
std::span<const Choice<NumaUse>> choices();

}  // namespace pregate
