// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "models/model.hpp"
#include "traces/trace.hpp"

namespace pregate::validation {

struct ForcedShape {
  int batch = 1;             ///< sequences in lock step
  int active = 1;            ///< distinct experts of each MoE layer in each pass
  int encoder_tokens = 256;  ///< a sequence; 0 = no encoder pass
  int decode_steps = 256;
};

/// One request whose every pass activates exactly `active` experts in each MoE layer, all tokens spread
/// evenly over them; successive passes take successive experts, so that a cache finds as little as routing
/// allows. The encoder pass is left out for a model without one. InputError when a layer has fewer experts,
/// or a pass fewer routed entries, than `active`, or `active` is below top-k.
std::unique_ptr<trace::StepSource> forced_routing(const ModelSpec& model, const ForcedShape& shape);

}  // namespace pregate::validation
