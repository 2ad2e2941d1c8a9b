// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "models/embedded.hpp"
#include "traces/synthetic.hpp"

namespace pregate {

/// The profiles of traces/profiles/, compiled in.
std::span<const EmbeddedFile> embedded_profiles();

namespace trace {

/// Weights of a layer's popularity ranks, most popular first; of all experts, active or not.
std::vector<double> popularity_weights(const LayerProfileParameters& parameters);

/// InputError at `where` unless a trace can be generated from the profile.
void validate_profile(const GeneratorProfile& profile, const std::string& where);

}  // namespace trace
}  // namespace pregate
