// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_mixtral(TableReader& config, ModelSpec& model) {
  model.family = "mixtral";
  const int layers = read_decoder(config, model);
  Mixer attention = read_grouped_query(config, model.d_model);
  attention.window = dimension_or(config, "sliding_window", 0);
  const FeedForward experts = moe_layer(read_gated_experts(config, "num_local_experts", "intermediate_size"));
  for (int i = 0; i < layers; ++i) model.stacks[0].add_layer(attention, experts);
}

}  // namespace

Family mixtral() { return {{"mixtral"}, read_mixtral, {}}; }

}  // namespace pregate::families
