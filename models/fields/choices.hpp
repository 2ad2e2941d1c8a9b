// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/fields/choice.hpp"
#include "models/model.hpp"
#include "models/policy.hpp"

// The enumerations that have names: of a policy (policy_choices.cpp) and of a model (model_choices.cpp).
namespace pregate {

template <>
std::span<const Choice<PlacementKind>> choices();
template <>
std::span<const Choice<CacheScope>> choices();
template <>
std::span<const Choice<CacheSplit>> choices();
template <>
std::span<const Choice<Admission>> choices();
template <>
std::span<const Choice<LookaheadKind>> choices();
template <>
std::span<const Choice<TransferQueue>> choices();
template <>
std::span<const Choice<WriteBack>> choices();
template <>
std::span<const Choice<ExpertCompute>> choices();
template <>
std::span<const Choice<MissService>> choices();
template <>
std::span<const Choice<MissAdmission>> choices();
template <>
std::span<const Choice<MixerKind>> choices();
template <>
std::span<const Choice<FeedForward::Kind>> choices();

}  // namespace pregate
