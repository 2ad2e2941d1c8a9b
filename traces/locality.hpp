// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/embedded.hpp"
#include "models/model.hpp"
#include "traces/synthetic.hpp"

namespace pregate {

/// The localities of traces/localities/, compiled in.
std::span<const EmbeddedFile> embedded_localities();

namespace trace {

/// How local a routing is, whatever the model: statistics of decode within a request, normalised such that 0
/// is chance and 1 the most that there can be (docs/traces.md). Overlaps of two tokens' expert sets are
/// normalised as (overlap - top_k / experts) / (1 - top_k / experts).
struct Locality {
  std::string name, source;
  double lag1_excess = 0;       ///< overlap with the token before, normalised
  double distant_excess = 0;    ///< overlap with the tokens 17 to 48 before: what popularity alone gives
  double cross_layer = 0;       ///< probability that a choice follows the previous MoE layer's
  double popularity_shift = 0;  ///< share of the popularity ranks that another request gives to other experts
  bool operator==(const Locality&) const = default;
};

/// `overlap` normalised to chance, of top_k of `experts`; 0 where every expert is always chosen.
double excess_over_chance(double overlap, const TraceLayer& layer);

Locality parse_locality(std::string_view toml, const std::string& where);
std::string to_toml(const Locality& locality);
/// "low", "typical", "high", or a path to a TOML file.
Locality load_locality(const std::string& name_or_path);
std::vector<std::string> locality_names();

/// The locality of a trace, means over its decoding layers and, for the first two, over its requests.
/// InputError at `where` when it has fewer than 64 decode steps in a row.
Locality measure_locality(StepSource& source, const std::string& name, const std::string& where);

/// What a request asks for.
struct RequestShape {
  int prompt_tokens =
      512;  ///< an encoder pass where the model has an encoder with MoE layers, else a prefill
  int output_tokens = 128;  ///< decode steps
};

/// A profile of the model's own MoE layers, experts and top-k with the statistics of `locality`. The same
/// model, locality and shape give the same profile. InputError when the model has no MoE layer in its last
/// stack, or a pass is larger than a trace may hold.
GeneratorProfile shaped_profile(const ModelSpec& model, const Locality& locality, const RequestShape& shape);

/// Sets popularity and repeats of a layer such that generated routing has the locality's two overlaps.
void fit_to_locality(LayerProfileParameters& parameters, const Locality& locality);

}  // namespace trace
}  // namespace pregate
