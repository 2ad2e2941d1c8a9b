// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/model.hpp"
#include "sim/policy/policy.hpp"

namespace pregate::sim {

/// The model with its routed experts in the policy's formats.low. InputError when they would not be smaller
/// in every MoE layer.
ModelSpec in_low_format(const ModelSpec& model, const PolicySpec& policy);

/// Such a model's policy for what one expert costs: copied in as many pieces as one of `model`.
PolicySpec policy_of_low_format(const PolicySpec& policy, const ModelSpec& model, const ModelSpec& low);

}  // namespace pregate::sim
