// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/pass_log.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

/// Which of the layers cost alike, as the first of them.
std::vector<int> alike_layers(const ModelSpec& model, const Stack& stack) {
  std::vector<LayerProfile> profiles = model.profile(stack);
  for (LayerProfile& profile : profiles) profile.layer = 0;
  const auto formats_of = [&](std::size_t layer) -> const auto& { return stack.layers[layer].formats; };
  std::vector<int> alike;
  for (std::size_t layer = 0; layer < profiles.size(); ++layer) {
    std::size_t first = 0;
    while (!(profiles[first] == profiles[layer] && formats_of(first) == formats_of(layer) &&
             stack.mixer_of(static_cast<int>(first)) == stack.mixer_of(static_cast<int>(layer))))
      ++first;
    alike.push_back(static_cast<int>(first));
  }
  return alike;
}

/// Whether all activated experts of a one-token layer have that token.
bool has_one_each(const LoggedLoad& load, int step_tokens) {
  return step_tokens == 1 && load.activated == load.routed;
}

std::uint32_t low(std::int64_t value) { return static_cast<std::uint32_t>(value & 0xFFFFFFFF); }
std::uint32_t high(std::int64_t value) { return static_cast<std::uint32_t>(value >> 32); }

}  // namespace

std::size_t LogKey::Hash::operator()(const Words& words) const {
  std::uint64_t hash = 0x9E3779B97F4A7C15U + words.size();
  for (const std::uint32_t word : words) {
    hash = (hash ^ word) * 0xFF51AFD7ED558CCDU;
    hash ^= hash >> 32U;
  }
  return static_cast<std::size_t>(hash);
}

PassLog::PassLog(const ModelSpec& model, const ExpertMap& map) : map_(map) {
  std::vector<std::vector<int>> alike;
  for (const Stack& stack : model.stacks) alike.push_back(alike_layers(model, stack));
  for (const MoeLayer& layer : map.layers())
    alike_layer_.push_back(
        alike[static_cast<std::size_t>(layer.model_stack)][static_cast<std::size_t>(layer.layer)]);
}

std::size_t PassLog::moe_layers(int stack) const {
  const auto [first, last] = map_.ordinals(stack);
  return static_cast<std::size_t>(last - first);
}

std::size_t PassLog::words() const {
  return tokens.size() + loads.size() * 8 + load_of_layer.size() + body_of_pass.size() + bodies.size() * 24;
}

std::uint32_t PassLog::shape_of(const Pass& pass) {
  const StepShape& shape = pass.info.shape;
  key_.clear();
  for (const int value :
       {pass.info.step.stack, shape.model_stack, static_cast<int>(shape.phase), shape.tokens, shape.sequences,
        shape.position, shape.encoder_tokens, shape.logit_rows, shape.first_of_request ? 1 : 0})
    key_.push_back(static_cast<std::uint32_t>(value));
  key_.push_back(low(shape.drafting.count));
  key_.push_back(high(shape.drafting.count));
  for (const AlikeSequences& alike : shape.alike) {
    for (const int value : {alike.tokens, alike.sequences, alike.position, alike.encoder_tokens})
      key_.push_back(static_cast<std::uint32_t>(value));
  }
  const auto [at, is_new] = shape_numbers_.emplace(key_, static_cast<std::uint32_t>(shapes.size()));
  if (is_new) {
    shapes.push_back({shape, {shape.alike.begin(), shape.alike.end()}, pass.info.step.stack});
    shapes.back().shape.alike = {};
  }
  return at->second;
}

std::uint32_t PassLog::body_of(const Pass& pass) {
  const std::uint32_t shape = shape_of(pass);
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  key_.assign(1, shape);
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const LoggedLoad load{0, pass.routing.activated_count(ordinal), pass.routing.routed(ordinal), 0};
    key_.push_back(load.activated);
    key_.push_back(load.routed);
    if (has_one_each(load, pass.info.step.tokens)) continue;
    const auto each = pass.routing.tokens(ordinal);
    key_.insert(key_.end(), each.begin(), each.end());
  }
  const auto [at, is_new] = body_numbers_.emplace(key_, static_cast<std::uint32_t>(bodies.size()));
  if (!is_new) return at->second;
  LoggedBody body{.shape = shape, .first_load = loads.size(), .first_layer = load_of_layer.size()};
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const std::span<const std::uint32_t> each = pass.routing.tokens(ordinal);
    LoggedLoad load{alike_layer_[static_cast<std::size_t>(ordinal)], pass.routing.activated_count(ordinal),
                    pass.routing.routed(ordinal), tokens.size()};
    const auto same =
        std::find_if(loads.begin() + static_cast<std::ptrdiff_t>(body.first_load), loads.end(),
                     [&](const LoggedLoad& known) {
                       return known.layer == load.layer && known.activated == load.activated &&
                              known.routed == load.routed &&
                              std::equal(each.begin(), each.end(),
                                         tokens.begin() + static_cast<std::ptrdiff_t>(known.first_token));
                     });
    load_of_layer.push_back(
        static_cast<std::uint16_t>(same - loads.begin() - static_cast<std::ptrdiff_t>(body.first_load)));
    if (same != loads.end()) {
      ++same->layers;
      continue;
    }
    load.layers = 1;
    tokens.insert(tokens.end(), each.begin(), each.end());
    loads.push_back(load);
  }
  body.loads = loads.size() - body.first_load;
  bodies.push_back(body);
  return at->second;
}

std::uint32_t PassLog::add(const Pass& pass) {
  const std::uint32_t body = body_of(pass);
  ++bodies[body].passes;
  body_of_pass.push_back(body);
  layers_run += static_cast<std::int64_t>(moe_layers(pass.info.step.stack));
  return body;
}

void PassLog::finish() { shape_numbers_ = body_numbers_ = {}; }

}  // namespace pregate::sim
