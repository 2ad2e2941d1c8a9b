// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "traces/load.hpp"
#include "traces/trace.hpp"

namespace pregate::trace {

/// What the generator needs of one MoE layer. Each rank of a token's choice is made in turn: with probability
/// temporal_repeat it is the expert that the sequence's previous token had at that rank; else with
/// probability cross_layer it is an expert at a quantile of this layer's popularity where the previous MoE
/// layer's choice at that rank lies in its own (which leaves the popularity as it is); else it is drawn from
/// the popularity. An expert that the token has already is drawn anew.
struct LayerProfileParameters {
  TraceLayer layer;
  double popularity_skew = 0;  ///< Zipf exponent of the expert popularity; 0 = uniform
  double temporal_repeat = 0;  ///< probability that a token keeps an expert of the previous token
  double cross_layer = 0;      ///< probability that the choice follows the previous MoE layer's choice
  double active_share = 1;     ///< share of the experts that are ever drawn
  /// The expert of popularity rank r, counted from 0, is drawn with weight
  /// (r + 1)^-popularity_skew exp(-popularity_cutoff r / experts).
  double popularity_cutoff = 0;

  bool operator==(const LayerProfileParameters&) const = default;
};

/// A generator profile: a few KB of TOML.
struct GeneratorProfile {
  std::string name, source, model;
  std::vector<std::string> stacks;
  /// Of a request, for each of its sequences. The first stack runs the encoder pass, the last one the rest.
  int encoder_tokens = 0, prefill_tokens = 0, decode_steps = 0;
  int sequences = 1;  ///< sequences merged in one request
  /// Share of the popularity ranks that each request gives to other experts; 0: all requests prefer the same.
  double popularity_shift = 0;
  std::vector<LayerProfileParameters> layers;

  bool operator==(const GeneratorProfile&) const = default;
};

GeneratorProfile parse_profile(std::string_view toml, const std::string& where);
std::string to_toml(const GeneratorProfile& profile);
/// A name of the embedded profiles (switch-base-128, ...) or a path to a TOML file.
GeneratorProfile load_profile(const std::string& name_or_path);
std::vector<std::string> profile_names();

/// Fits a profile to a trace, such that measure() of a generated trace of as many requests agrees with
/// measure() of the fitted one: distinct experts, popularity entropy, lag-1 overlap and cross-layer repeat of
/// each layer, by bisection on the parameter that moves each (docs/traces.md). Requests that repeat an
/// earlier one are left out, and at most the first 8192 decode tokens are used; `source` says what was used
/// and what difference remained.
GeneratorProfile fit_profile(StepSource& source, const std::string& name);

/// Streams `requests` requests; deterministic in (profile, requests, seed), whatever the platform.
std::unique_ptr<StepSource> generate(const GeneratorProfile& profile, std::int64_t requests,
                                     std::uint64_t seed);

/// The same requests with the times and lengths of `load`, one each, in place of the profile's prefill_tokens
/// and decode_steps. InputError for a profile with an encoder, whose requests have no such prompt.
std::unique_ptr<StepSource> generate(const GeneratorProfile& profile, std::vector<LoadRequest> load,
                                     std::uint64_t seed);

}  // namespace pregate::trace
