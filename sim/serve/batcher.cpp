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
  // Prompts beside decoding sequences are part of a decode step.
  const bool decodes =
      std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.phase == trace::Phase::decode; });
  StepShape shape{.model_stack = model_stack,
                  .phase = decodes ? trace::Phase::decode : rows.front().phase,
                  .sequences = 0,
                  .logit_rows = 0};
  std::int64_t positions = 0, encoded = 0;
  for (const Row& row : rows) {
    shape.tokens += row.tokens;
    shape.sequences += row.sequences;
    shape.logit_rows += row.logits;
    positions += std::int64_t{row.position} * row.sequences;
    encoded += std::int64_t{row.encoder_tokens} * row.sequences;
  }
  const int sequences = std::max(1, shape.sequences);
  shape.position = static_cast<int>((positions + sequences - 1) / sequences);
  shape.encoder_tokens = static_cast<int>((encoded + sequences - 1) / sequences);
  return shape;
}

void group_alike(std::span<const Row> rows, std::vector<AlikeSequences>& alike) {
  alike.clear();
  for (const Row& row : rows) {
    const auto same = std::find_if(alike.begin(), alike.end(), [&row](const AlikeSequences& other) {
      return std::int64_t{row.tokens} * other.sequences == std::int64_t{other.tokens} * row.sequences &&
             row.position == other.position && row.encoder_tokens == other.encoder_tokens;
    });
    if (same == alike.end()) {
      alike.push_back({row.tokens, row.sequences, row.position, row.encoder_tokens});
    } else {
      same->tokens += row.tokens;
      same->sequences += row.sequences;
    }
  }
}

}  // namespace pregate::sim
