// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace pregate::sim {

/// A weight format in which a run holds experts: a pool is named by a memory and one of these.
enum class FormatId : std::uint8_t {};
inline constexpr FormatId model_format{0};  ///< as the model has them
inline constexpr FormatId low_format{1};    ///< the policy's formats.low

}  // namespace pregate::sim
