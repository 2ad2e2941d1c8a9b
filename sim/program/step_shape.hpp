// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "traces/trace.hpp"

namespace pregate::sim {

/// Shape of one step, as costs depend on it.
struct StepShape {
  int model_stack = 0;
  trace::Phase phase = trace::Phase::decode;
  int tokens = 0;  ///< over all sequences
  int sequences = 1;
  int position = 0;        ///< cached tokens before, a sequence
  int encoder_tokens = 0;  ///< a sequence; context of cross-attention
  int logit_rows = -1;     ///< tokens whose logits are wanted; -1: as many as the phase says
};

}  // namespace pregate::sim
