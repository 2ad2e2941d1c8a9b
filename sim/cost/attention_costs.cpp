// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What attention costs over what is cached, and what sequences of a pass decide besides.
#include <algorithm>
#include <cmath>

#include "sim/cost/cost_model.hpp"

namespace pregate::sim {

namespace {

/// Tokens of the context that a token of this layer part can look at, and that its cache keeps; 0 = all.
double reach(const CacheCost& part) {
  const double chosen = static_cast<double>(part.reads_at_most) * part.stride;
  if (part.window == 0 || chosen == 0) return std::max<double>(part.window, chosen);
  return std::min<double>(part.window, chosen);
}

/// Sum over a causal pass of n tokens after p cached ones of the tokens that each attends to, at most
/// `window` each.
double attended(double cached, double tokens, double window) {
  const auto unlimited = [&](double n) { return n * cached + n * (n + 1) / 2; };
  if (window <= 0 || cached + tokens <= window) return unlimited(tokens);
  const double within = std::max(0.0, window - cached);  // tokens that still see fewer than `window`
  return unlimited(within) + (tokens - within) * window;
}

/// Times that a byte of the cache is moved for attention: it is read, or, where code has no kernel by which
/// query heads share it, read, written once for each of them, and read so.
double moves(const CacheCost& part, bool repeated) {
  return repeated && part.shared_by > 1 ? 1 + 2 * part.shared_by : 1;
}

/// Kernels of a delta rule; those of other linear attention take runs of tokens at once, or were not
/// measured.
bool goes_token_by_token(MixerKind mixer) {
  return mixer == MixerKind::gated_delta_net || mixer == MixerKind::kimi_delta;
}

AlikeSequences all_alike(const StepShape& shape) {
  return {.tokens = shape.tokens,
          .sequences = shape.sequences,
          .position = shape.position,
          .encoder_tokens = shape.encoder_tokens};
}
std::span<const AlikeSequences> alike_of(const StepShape& shape, const AlikeSequences& all) {
  return shape.alike.empty() ? std::span(&all, 1) : shape.alike;
}

}  // namespace

double CostModel::longer_for_prompts(const StepShape& shape) const {
  if (!kernels_ || machine_.overhead.prompt_share >= 1) return 1;
  const AlikeSequences all = all_alike(shape);
  return 1 + (1 / machine_.overhead.prompt_share - 1) * prompt_part(alike_of(shape, all));
}

Picoseconds CostModel::launched_layer(const StepShape& shape) const {
  if (machine_.overhead.prompt_layer.count == 0 || !is_replayed() || shape.phase == trace::Phase::encoder)
    return {};
  const AlikeSequences all = all_alike(shape);
  return prompt_part(alike_of(shape, all)) > 0 ? machine_.overhead.prompt_layer : Picoseconds{};
}

Picoseconds CostModel::late_tokens() const {
  if (!machine_.overhead.launches_ahead || !is_replayed()) return {};
  return machine_.overhead.prompt_layer * static_cast<std::int64_t>(model_.stacks.back().layers.size());
}

/// Most passes of many traces are one token's, and differ in how far its sequence is.
GpuTime CostModel::scores(LayerClass& layer, const StepShape& shape) const {
  constexpr std::size_t kept = 1024;  // a power of 2
  const bool is_single = shape.phase == trace::Phase::decode && shape.tokens == 1 && shape.sequences == 1 &&
                         shape.encoder_tokens == 0 && shape.alike.empty();
  if (!is_single) return new_scores(layer, shape);
  if (layer.single_scores.empty()) layer.single_scores.resize(kept);
  LayerClass::ScoresAt& known = layer.single_scores[static_cast<std::size_t>(shape.position) % kept];
  if (known.position != shape.position) known = {shape.position, new_scores(layer, shape)};
  return known.time;
}

GpuTime CostModel::new_scores(const LayerClass& layer, const StepShape& shape) const {
  if (!options_.attention_scores) return {};
  const bool on_cpu = policy_.kv_cache.attention == AttentionPlace::cpu;
  if (on_cpu && shape.phase == trace::Phase::decode) return {};
  const LayerProfile& profile = layer.profile;
  const bool by_kernel = layer.kernels && layer.kernels->scores != LayerKernels::Scores::none &&
                         shape.phase != trace::Phase::encoder && !policy_.kv_cache.repeated;
  GpuTime time;
  if (by_kernel) {
    const AlikeSequences all = all_alike(shape);
    time = kernels_->scores(*layer.kernels, alike_of(shape, all));
    // Whatever an indexer looks at beside the keys and values.
    if (profile.cache.size() > 1) time += cache_scores(layer, shape, 1);
  } else {
    time = cache_scores(layer, shape, 0);
  }
  if (profile.cross_kv_per_token.count > 0) time += cross_attention(layer, shape);
  return time;
}

/// Over the parts of the cache from the first one that is asked for, and over the state with that of all.
GpuTime CostModel::cache_scores(const LayerClass& layer, const StepShape& shape, std::size_t first) const {
  const LayerProfile& profile = layer.profile;
  const bool causal = shape.phase != trace::Phase::encoder;
  double flop = first > 0 ? 0 : shape.tokens * profile.state_flop_per_token;
  double bytes = first > 0 ? 0
                           : 2.0 * std::max(1, shape.sequences) *
                                 static_cast<double>(profile.state.count);  // read and written
  const AlikeSequences all = all_alike(shape);
  for (const AlikeSequences& alike : alike_of(shape, all)) {
    const double sequences = std::max(1, alike.sequences);
    const double each = alike.tokens / sequences;
    const double context = alike.position + each;
    for (const CacheCost& part : std::span(profile.cache).subspan(first)) {
      const double limit = reach(part);
      const double pairs = sequences * (causal ? attended(alike.position, each, limit) : each * each);
      flop += pairs / part.stride * part.flop_per_entry;
      double seen = context;
      if (part.window > 0) seen = std::min(seen, part.window + each - 1);
      // Tokens of one pass choose entries of their own.
      if (part.reads_at_most > 0)
        seen = std::min(seen, static_cast<double>(part.reads_at_most) * part.stride * each);
      bytes += sequences * seen / part.stride * static_cast<double>(part.per_entry.count) *
               moves(part, policy_.kv_cache.repeated);
    }
  }
  const GpuTime time = roofline(flop, layer.dense_rate, bytes);
  if (first > 0 || !goes_token_by_token(profile.mixer)) return time;
  // Sequences are independent of each other, tokens of one are not.
  const GpuSpec& gpu = machine_.gpu;
  const double longest = std::ceil(shape.tokens / static_cast<double>(std::max(1, shape.sequences)));
  if (longest <= 1 || gpu.recurrence_cycles <= 0 || gpu.clock_ghz <= 0) return time;
  const Picoseconds in_turn = from_seconds(longest * gpu.recurrence_cycles / (gpu.clock_ghz * 1e9));
  return time < in_turn ? GpuTime{in_turn, {}, {}, {}} : time;
}

KvWork CostModel::kv_work(const LayerClass& layer, const StepShape& shape) const {
  KvWork work;
  if (shape.phase == trace::Phase::encoder) return work;
  const auto in_bytes = [](double bytes) { return Bytes{std::llround(bytes)}; };
  double read = 0, attended_to = 0;
  const AlikeSequences all = all_alike(shape);
  for (const AlikeSequences& alike : alike_of(shape, all)) {
    const double sequences = std::max(1, alike.sequences);
    const double each = alike.tokens / sequences;
    for (const CacheCost& part : layer.profile.cache) {
      const double limit = reach(part), entry = static_cast<double>(part.per_entry.count);
      double seen = alike.position + each;
      if (part.window > 0) seen = std::min(seen, part.window + each - 1);
      attended_to += sequences * seen * entry;
      read += sequences * std::max(0.0, seen - each) * entry;
      work.flop += sequences * attended(alike.position, each, limit) * part.flop_per_entry;
    }
  }
  work.read = in_bytes(read);
  work.attended = in_bytes(attended_to);
  work.written = layer.profile.cached_per_token() * shape.tokens;
  return work;
}

GpuTime CostModel::attention(LayerClass& layer, const StepShape& shape) const {
  if (layer.profile.mixer == MixerKind::none) return {};
  return layer.products.projections + scores(layer, shape);
}

GpuTime CostModel::cross_attention(const LayerClass& layer, const StepShape& shape) const {
  const LayerProfile& profile = layer.profile;
  double flop = 0, encoded = 0, made = 0;
  const AlikeSequences all = all_alike(shape);
  for (const AlikeSequences& alike : alike_of(shape, all)) {
    const double context = static_cast<double>(std::max(1, alike.sequences)) * alike.encoder_tokens;
    flop += static_cast<double>(alike.tokens) * alike.encoder_tokens *
            profile.cross_attention_flop_per_token_and_context;
    encoded += context;
    // Keys and values of the encoder's output are made once a request, in the decoder's first pass.
    if (alike.position == 0) made += context;
  }
  if (encoded == 0) return {};
  GpuTime time =
      roofline(flop, layer.dense_rate, encoded * static_cast<double>(profile.cross_kv_per_token.count));
  if (made > 0) {
    time += roofline(made * profile.cross_kv_flop_per_encoder_token, layer.dense_rate,
                     static_cast<double>(profile.cross_kv_weights.count));
  }
  return time;
}

}  // namespace pregate::sim
