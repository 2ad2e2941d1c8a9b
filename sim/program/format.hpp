// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace pregate::sim {

/// A weight format in which a run holds experts: a pool is named by a memory and one of these.
enum class FormatId : std::uint8_t {};
inline constexpr FormatId model_format{0};  ///< as the model has them
inline constexpr FormatId low_format{1};    ///< the policy's formats.low
/// No pool, but a part of an expert in the model's format: what the policy's formats.cached leaves of it.
inline constexpr FormatId rest_of_expert{2};

}  // namespace pregate::sim
