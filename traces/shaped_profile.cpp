// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A profile of any model's shape with the statistics of a locality.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/error.hpp"
#include "traces/locality.hpp"
#include "traces/profile.hpp"
#include "traces/statistics.hpp"

namespace pregate::trace {

namespace {

/// Exponent of the popularity's power law, with the cut-off beyond it fitted. Of exponents from 0
/// (exponential alone) to 0.9 this one comes closest to the LRU hit rates of the recordings in
/// docs/traces.md, which are not what is fitted.
constexpr double popularity_exponent = 0.5;
constexpr int bisections = 10;

double four_digits(double value) { return std::round(value * 1e4) / 1e4; }

/// The largest grid point of [0, high] at which `is_below` holds, by bisection.
template <class IsBelow>
double bisect(double high, IsBelow&& is_below) {
  double low = 0, width = high;
  for (int i = 0; i < 24; ++i) {
    width /= 2;
    if (is_below(low + width)) low += width;
  }
  return four_digits(low);
}

/// Expected overlap of two tokens that choose independently by the layer's popularity. A token chooses an
/// expert of weight w with probability 1 - exp(-rate w), near enough for draws without replacement; `rate`
/// is such that it chooses top_k.
double independent_overlap(const LayerProfileParameters& parameters) {
  std::vector<double> weights = popularity_weights(parameters);
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  const double top_k = parameters.layer.top_k;
  if (parameters.layer.top_k == 1) {  // a single draw: exact
    double sum = 0;
    for (const double weight : weights) sum += weight / total * (weight / total);
    return sum;
  }
  const auto sum_of = [&](double rate, int power) {
    double sum = 0;
    for (const double weight : weights) sum += std::pow(-std::expm1(-rate * weight / total), power);
    return sum;
  };
  double low = 0, high = top_k;
  for (int i = 0; i < 64 && sum_of(high, 1) < top_k; ++i) high *= 2;
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (sum_of(middle, 1) < top_k ? low : high) = middle;
  }
  return sum_of(low, 2) / top_k;
}

/// Mean lag-1 overlap of routing generated for this layer alone.
double generated_overlap(const LayerProfileParameters& parameters) {
  GeneratorProfile alone;
  alone.name = alone.source = "one layer";
  alone.stacks = {"decoder"};
  alone.decode_steps = std::max(1024, 8192 / parameters.layer.top_k);
  alone.layers = {parameters};
  alone.layers.front().layer.stack = 0;
  return measure(*generate(alone, 1, 1)).lag1_overlap;
}

}  // namespace

void fit_to_locality(LayerProfileParameters& parameters, const Locality& locality) {
  const TraceLayer& layer = parameters.layer;
  parameters.popularity_skew = popularity_exponent;
  parameters.temporal_repeat = parameters.popularity_cutoff = 0;
  if (layer.top_k >= layer.experts) return;
  // Without a cut-off the power law may be more local already: then it is less of a power law.
  if (excess_over_chance(independent_overlap(parameters), layer) > locality.distant_excess) {
    parameters.popularity_skew = bisect(popularity_exponent, [&](double skew) {
      parameters.popularity_skew = skew;
      return excess_over_chance(independent_overlap(parameters), layer) < locality.distant_excess;
    });
  } else {
    // Beyond this the first top_k ranks take nearly everything.
    const double steepest = 4.0 * layer.experts / layer.top_k;
    parameters.popularity_cutoff = bisect(steepest, [&](double cutoff) {
      parameters.popularity_cutoff = cutoff;
      return excess_over_chance(independent_overlap(parameters), layer) < locality.distant_excess;
    });
  }
  parameters.temporal_repeat = 0;
  double low = 0, width = 1;
  for (int i = 0; i < bisections; ++i) {
    width /= 2;
    parameters.temporal_repeat = low + width;
    if (excess_over_chance(generated_overlap(parameters), layer) < locality.lag1_excess) low += width;
  }
  parameters.temporal_repeat = four_digits(low);
}

GeneratorProfile shaped_profile(const ModelSpec& model, const Locality& locality, const RequestShape& shape) {
  GeneratorProfile profile;
  profile.name = "locality " + locality.name;
  profile.source =
      "shape of " + model.name + "; statistics of locality " + locality.name + ": " + locality.source;
  profile.model = model.name;
  profile.popularity_shift = locality.popularity_shift;
  std::vector<LayerProfileParameters> fitted;  // of each shape of a layer, once
  for (const Stack& stack : model.stacks) {
    const int index = static_cast<int>(profile.stacks.size());
    bool first = true;
    for (const LayerProfile& layer : model.profile(stack)) {
      if (!layer.moe) continue;
      if (first) profile.stacks.push_back(stack.name);
      const TraceLayer wanted{index, layer.layer, layer.experts, layer.top_k, {}};
      auto known = std::find_if(fitted.begin(), fitted.end(), [&](const LayerProfileParameters& each) {
        return each.layer.experts == wanted.experts && each.layer.top_k == wanted.top_k;
      });
      if (known == fitted.end()) {
        fitted.push_back({wanted, 0, 0, 0, 1, 0});
        fit_to_locality(fitted.back(), locality);
        known = fitted.end() - 1;
      }
      profile.layers.push_back(*known);
      profile.layers.back().layer = wanted;
      profile.layers.back().cross_layer = first ? 0 : locality.cross_layer;
      first = false;
    }
  }
  if (profile.stacks.empty() || profile.stacks.back() != model.stacks.back().name)
    throw InputError("model " + model.name, "has no MoE layer to generate routing for",
                     "an MoE model is needed: pregate list models");
  (profile.stacks.size() > 1 ? profile.encoder_tokens : profile.prefill_tokens) = shape.prompt_tokens;
  profile.decode_steps = shape.output_tokens;
  validate_profile(profile, "routing of model " + model.name);
  return profile;
}

}  // namespace pregate::trace
