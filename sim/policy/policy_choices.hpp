// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/fields/choice.hpp"
#include "sim/policy/policy.hpp"

// The enumerations of a policy that have names.
namespace pregate {

template <>
std::span<const Choice<CacheScope>> choices();
template <>
std::span<const Choice<CacheSplit>> choices();
template <>
std::span<const Choice<AnnouncedCopies>> choices();
template <>
std::span<const Choice<WriteBack>> choices();
template <>
std::span<const Choice<ExpertCompute>> choices();
template <>
std::span<const Choice<MissAdmission>> choices();
template <>
std::span<const Choice<PredictionStream>> choices();
template <>
std::span<const Choice<WrongGuesses>> choices();
template <>
std::span<const Choice<KvMemory>> choices();
template <>
std::span<const Choice<AttentionPlace>> choices();
template <>
std::span<const Choice<Synchronized>> choices();

}  // namespace pregate
