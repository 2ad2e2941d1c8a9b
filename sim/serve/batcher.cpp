// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/batcher.hpp"

#include <algorithm>

namespace pregate::sim {

StepShape shape_of(std::span<const Row> rows, int model_stack) {
  if (rows.size() == 1) {  // most passes of most traces: nothing to add or divide
    const Row& row = rows.front();
    return {.model_stack = model_stack,
            .phase = row.phase,
            .tokens = row.tokens,
            .sequences = row.sequences,
            .position = row.position,
            .encoder_tokens = row.encoder_tokens,
            .logit_rows = row.logits};
  }
  StepShape shape{.model_stack = model_stack,
                  .phase = rows.front().phase,
                  .sequences = 0,
                  .encoder_tokens = rows.front().encoder_tokens,
                  .logit_rows = 0};
  std::int64_t positions = 0;
  for (const Row& row : rows) {
    shape.tokens += row.tokens;
    shape.sequences += row.sequences;
    shape.logit_rows += row.logits;
    positions += std::int64_t{row.position} * row.sequences;
  }
  shape.position = static_cast<int>((positions + shape.sequences - 1) / std::max(1, shape.sequences));
  return shape;
}

}  // namespace pregate::sim
