// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What was understood of a model: counts, kinds of layers, cache, formats. For people and as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/model.hpp"

namespace pregate::sim {

/// Layers of a stack with the same mixer.
struct MixerGroup {
  std::string stack;
  Mixer mixer;
  int layers = 0;
  Bytes per_token;   ///< of one layer: what a token adds while nothing falls out of a window
  Bytes state;       ///< of one layer and sequence
  Bytes at_context;  ///< of all layers, one sequence, state included
};

/// Layers of a stack with the same feed-forward.
struct FeedForwardGroup {
  std::string stack;
  FeedForward feed_forward;
  int layers = 0;
  Bytes least_expert, largest_expert;  ///< of one routed expert as stored; layers may differ in format
};

/// A part of the weights: where it counts and how it is stored.
struct PartSize {
  std::string part;
  std::vector<std::string> formats;  ///< names, each once, in order of layers
  Bytes bytes;
};

struct ModelReport {
  ModelSpec model;
  std::int64_t context = 0;
  std::vector<MixerGroup> mixers;
  std::vector<FeedForwardGroup> feed_forwards;
  std::vector<PartSize> parts;
  std::int64_t routed_parameters = 0;  ///< of all routed experts
  Bytes least_expert, largest_expert;  ///< over all MoE layers
};

/// `context`: tokens of one sequence that the cache is given for.
ModelReport report_on(const ModelSpec& model, std::int64_t context);

/// "grouped-query, window 128: 64 heads, 8 key-value heads of 192 (values 128)"
std::string describe_mixer(const Mixer& mixer);
/// "MoE 128 x top-8, width 768, shared 2112" or "dense 9216".
std::string describe_feed_forward(const FeedForward& feed_forward);
/// Layers by kind of mixer: "30W 10F". F full attention, W window, A latent, S latent or compressed with an
/// indexer, C compressed, L linear, M Mamba, K short convolution.
std::string short_kinds(const ModelReport& report);

/// Fits 80 columns, names and sources aside.
std::string model_text(const ModelReport& report);
std::string model_json(const ModelReport& report);

}  // namespace pregate::sim
