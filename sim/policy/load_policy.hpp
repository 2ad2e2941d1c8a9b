// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "models/catalog.hpp"
#include "sim/parts/parts.hpp"
#include "sim/policy/policy.hpp"

namespace pregate {

/// A policy by its name in the catalogue, or from a .toml file; as load_model(). `of_offloading` are
/// overrides for policies that offload: those that keep all experts on the GPU ignore them. `parts`, of which
/// the policy may be made, must outlive it.
PolicySpec load_policy(const std::string& name_or_path, std::span<const Override> overrides = {},
                       std::span<const Override> of_offloading = {},
                       const sim::Parts& parts = sim::built_in_parts());
/// From text; `where` names it in errors.
PolicySpec parse_policy_toml(std::string_view text, const std::string& where,
                             std::span<const Override> overrides = {},
                             const sim::Parts& parts = sim::built_in_parts());

}  // namespace pregate
