// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/decision_log.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

/// A log beyond this is given up: 256 MiB of what grows with the trace.
constexpr std::size_t most_log_words = std::size_t{1} << 26U;

bool cost_alike(const ModelSpec& model, const Stack& stack, int a, int b) {
  const std::vector<LayerProfile> profiles = model.profile(stack);
  LayerProfile first = profiles[static_cast<std::size_t>(a)], second = profiles[static_cast<std::size_t>(b)];
  first.layer = second.layer = 0;
  return first == second && stack.mixer_of(a) == stack.mixer_of(b) &&
         stack.layers[static_cast<std::size_t>(a)].formats ==
             stack.layers[static_cast<std::size_t>(b)].formats;
}

/// Whether all activated experts of a one-token layer have that token.
bool has_one_each(const LoggedLoad& load, int step_tokens) {
  return step_tokens == 1 && load.activated == load.routed;
}

std::uint32_t low(std::int64_t value) { return static_cast<std::uint32_t>(value & 0xFFFFFFFF); }
std::uint32_t high(std::int64_t value) { return static_cast<std::uint32_t>(value >> 32); }

}  // namespace

std::size_t DecisionLog::KeyHash::operator()(const Key& key) const {
  std::uint64_t hash = 0x9E3779B97F4A7C15U + key.size();
  for (const std::uint32_t word : key) {
    hash = (hash ^ word) * 0xFF51AFD7ED558CCDU;
    hash ^= hash >> 32U;
  }
  return static_cast<std::size_t>(hash);
}

DecisionLog::DecisionLog(const ModelSpec& model, const ExpertMap& map, const Plan& plan)
    : model_(model), map_(map), decisions_(map, plan) {
  for (const MoeLayer& layer : map.layers()) {
    const Stack& stack = model.stacks[static_cast<std::size_t>(layer.model_stack)];
    const auto first = std::find_if(map.layers().begin(), map.layers().end(), [&](const MoeLayer& other) {
      return other.model_stack == layer.model_stack && cost_alike(model, stack, other.layer, layer.layer);
    });
    alike_layer_.push_back(first->layer);
  }
}

std::size_t DecisionLog::moe_layers(int stack) const {
  const auto [first, last] = map_.ordinals(stack);
  return static_cast<std::size_t>(last - first);
}

std::uint32_t DecisionLog::shape_of_pass(const Pass& pass) {
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

std::uint32_t DecisionLog::body_of(const Pass& pass) {
  const std::uint32_t shape = shape_of_pass(pass);
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
    if (same != loads.end()) continue;
    tokens.insert(tokens.end(), each.begin(), each.end());
    loads.push_back(load);
  }
  body.loads = loads.size() - body.first_load;
  bodies.push_back(body);
  misses_of_body_.emplace_back();
  return at->second;
}

std::uint32_t DecisionLog::run_of(const Pass& pass, std::uint32_t body, AccessCounts& counts) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  key_.assign(1, body);
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const CountedDecisions::Copies decided = decisions_.copies(ordinal, pass, counts);
    if (decided.own > 0xFFFF || decided.announced > 0xFFFF) is_usable_ = false;
    experts_copied += std::int64_t{decided.own} + decided.announced;
    key_.push_back(decided.own << 16U | decided.announced);
  }
  const auto [at, is_new] = run_numbers_.emplace(key_, static_cast<std::uint32_t>(runs.size()));
  if (is_new) {
    runs.push_back({body, copies.size(), 0});
    for (std::size_t i = 1; i < key_.size(); ++i)
      copies.push_back(
          {static_cast<std::uint16_t>(key_[i] >> 16U), static_cast<std::uint16_t>(key_[i] & 0xFFFFU)});
  }
  ++runs[at->second].passes;
  return at->second;
}

void DecisionLog::count_misses(const Pass& pass, std::uint32_t body) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  std::uint32_t all = 0;
  const std::uint16_t* const load = load_of_layer.data() + bodies[body].first_layer;
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const std::uint32_t missed = decisions_.misses(ordinal, pass.routing);
    ++misses_of_body_[body][std::uint64_t{load[ordinal - first]} << 32U | missed];
    all += missed;
  }
  experts_copied += all;
  misses_of_pass.push_back(all);
}

void DecisionLog::keep_budget() {
  const std::size_t words = tokens.size() + loads.size() * 6 + load_of_layer.size() + copies.size() +
                            body_of_pass.size() * 2 + bodies.size() * 24 + runs.size() * 8;
  if (words <= most_log_words) return;
  is_usable_ = false;
  tokens = body_of_pass = misses_of_pass = {};
  loads = {};
  load_of_layer = {};
  copies = {};
  bodies = {};
  runs = {};
  shape_numbers_ = body_numbers_ = run_numbers_ = {};
  misses_of_body_ = {};
}

Picoseconds DecisionLog::run(const Pass& pass) {
  ++passes_;
  if (!is_usable_) return {passes_};
  AccessCounts& counts = pass.info.step.phase == trace::Phase::decode ? decode_counts_ : other_counts_;
  decisions_.look_up(pass, counts);
  const std::uint32_t body = body_of(pass);
  ++bodies[body].passes;
  layers_run += static_cast<std::int64_t>(moe_layers(pass.info.step.stack));
  if (decisions_.announces()) {
    body_of_pass.push_back(run_of(pass, body, counts));
  } else {
    body_of_pass.push_back(body);
    count_misses(pass, body);
  }
  keep_budget();
  return {passes_};
}

void DecisionLog::finish() {
  for (std::size_t i = 0; i < misses_of_body_.size(); ++i) {
    LoggedBody& body = bodies[i];
    body.first_misses = misses.size();
    for (const auto& [key, layers] : misses_of_body_[i])
      misses.push_back({static_cast<std::uint32_t>(key >> 32U), static_cast<std::uint32_t>(key), layers});
    body.last_misses = misses.size();
  }
  misses_of_body_ = {};
  shape_numbers_ = body_numbers_ = run_numbers_ = {};
}

}  // namespace pregate::sim
