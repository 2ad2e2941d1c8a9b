// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/sequence_writer.hpp"

#include <algorithm>
#include <numeric>

#include "models/error.hpp"

namespace pregate::trace {

namespace {

constexpr const char* another_model = "is this a recording of another model?";

std::string count_of(std::int64_t number, const std::string& what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

}  // namespace

std::uint16_t routed_id(std::int64_t value, const std::string& where) {
  if (value == -1) return no_expert;
  if (value < 0 || value >= max_experts)
    throw InputError(where, "expert " + std::to_string(value) + "; an id is 0 to " +
                                std::to_string(max_experts - 1) + ", or -1 for none");
  return static_cast<std::uint16_t>(value);
}

std::vector<int> decoder_layers(int count, const ImportOptions& known, const std::string& where) {
  const auto with_experts = static_cast<int>(known.model_moe_layers.size());
  if (known.model_layers > 0 && count == with_experts) return known.model_moe_layers;
  if (known.model_layers > 0 && count != known.model_layers)
    throw InputError(where,
                     count_of(count, "layer") + ", but " + printable(known.model) + " has " +
                         std::to_string(known.model_layers) + ", " + std::to_string(with_experts) +
                         " of them with experts",
                     another_model);
  std::vector<int> layers(static_cast<std::size_t>(count));
  std::iota(layers.begin(), layers.end(), 0);
  return layers;
}

void RoutedStack::begin(const std::vector<int>& layers, int width, const std::string& where) {
  const ImportOptions& known = facts_.known;
  if (!facts_.stacks.empty()) {
    const auto& before = facts_.stacks[0].layers;
    const bool same = std::equal(before.begin(), before.end(), layers.begin(), layers.end(),
                                 [](const auto& layer, int index) { return layer.index == index; });
    if (!same || width != width_)
      throw InputError(where,
                       count_of(static_cast<std::int64_t>(layers.size()), "layer") + " and " +
                           count_of(width, "expert") + " a token, but what came before has " +
                           std::to_string(before.size()) + " and " + std::to_string(width_),
                       "import recordings of different models one by one");
    return;
  }
  if (known.top_k > 0 && width != known.top_k)
    throw InputError(where, count_of(width, "expert") + " a token, not " + std::to_string(known.top_k),
                     "leave --top-k out");
  width_ = width;
  absent_.assign(layers.size(), 0);
  routed_.assign(layers.size(), 0);
  RecordingFacts::Stack stack{.name = "decoder", .layers = {}};
  for (const int index : layers) {
    stack.layers.push_back({.index = index});
    has_experts_.push_back(
        known.model_layers == 0 ||
        std::binary_search(known.model_moe_layers.begin(), known.model_moe_layers.end(), index));
  }
  facts_.stacks.push_back(std::move(stack));
}

bool RoutedStack::is_routed(std::size_t layer, std::span<const std::uint16_t> ids) const {
  const auto is = [&](std::uint16_t value) {
    return std::all_of(ids.begin(), ids.end(), [&](std::uint16_t id) { return id == value; });
  };
  return !is(no_expert) && ((ids.size() == 1 && has_experts_[layer]) || !is(0));
}

bool RoutedStack::put(RecordedStep& step, std::size_t layer, std::size_t token,
                      std::span<const std::uint16_t> ids, const std::string& where) {
  const auto index = [&] { return "layer " + std::to_string(facts_.stacks[0].layers[layer].index); };
  if (!is_routed(layer, ids)) {
    ++absent_[layer];
    return false;
  }
  if (!has_experts_[layer])
    throw InputError(
        where, index() + " has routing, but that of " + printable(facts_.known.model) + " has no experts",
        another_model);
  for (std::size_t r = 0; r < ids.size(); ++r) {
    if (ids[r] != no_expert && std::find(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(r), ids[r]) !=
                                   ids.begin() + static_cast<std::ptrdiff_t>(r))
      throw InputError(where, index() + " has expert " + std::to_string(ids[r]) + " twice for one token",
                       "a router chooses an expert once: is the shape of the recording right?");
    step.experts[step.at(layer, token, r)] = ids[r];
  }
  ++routed_[layer];
  return true;
}

void RoutedStack::finish() {
  std::int64_t without = 0, absent = 0;
  for (std::size_t l = 0; l < routed_.size(); ++l) {
    without += routed_[l] == 0 && has_experts_[l] ? 1 : 0;
    absent += routed_[l] > 0 ? absent_[l] : 0;
  }
  if (without > 0)
    facts_.notes.push_back(count_of(without, "layer") +
                           " without any routing: taken as layers without experts");
  if (absent > 0)
    facts_.notes.push_back(count_of(absent, "place") +
                           " (token and layer) without routing: recorded as such, simulated as no expert");
}

void SequenceWriter::write(const RoutedTokens& routed, std::int64_t first, std::int64_t last, Phase phase,
                           const Sequence& sequence) {
  step_.shape(static_cast<std::size_t>(routed.layers), last - first, routed.width, false, sequence.where);
  step_.phase = phase;
  step_.position = static_cast<int>(sequence.position + first);
  for (std::int64_t t = first; t < last; ++t) {
    const std::string where = sequence.where + ": token " + std::to_string(t);
    for (int l = 0; l < routed.layers; ++l)
      stack_.put(step_, static_cast<std::size_t>(l), static_cast<std::size_t>(t - first), routed.at(t, l),
                 where);
  }
  sink_.add(step_, sequence.where);
}

void SequenceWriter::add(const RoutedTokens& routed, const std::vector<int>& layers,
                         const Sequence& sequence) {
  if (routed.tokens < 1) throw InputError(sequence.where, "holds no tokens");
  if (sequence.position + routed.tokens > 1'000'000'000)
    throw InputError(sequence.where, "positions beyond 1000000000");
  stack_.begin(layers, routed.width, sequence.where);
  const auto is_empty = [&](std::int64_t token) {
    for (int l = 0; l < routed.layers; ++l)
      if (stack_.is_routed(static_cast<std::size_t>(l), routed.at(token, l))) return false;
    return true;
  };
  std::int64_t first = 0, last = routed.tokens;
  while (first < last && is_empty(first)) ++first;
  while (last > first && is_empty(last - 1)) --last;
  if (first == last) throw InputError(sequence.where, "holds no routing decisions: only -1 or 0");
  cached_ += first;
  dropped_ += routed.tokens - last;

  std::int64_t prompt = sequence.prompt;
  if (prompt < 0) {
    prompt = facts_.known.prompt_tokens;
    unsaid_prompt_ = unsaid_prompt_ || prompt == 0;
  }
  prompt = std::clamp(prompt, first, last);
  sink_.begin_request(sequence.label, 1);
  if (prompt > first) write(routed, first, prompt, Phase::prefill, sequence);
  for (std::int64_t t = prompt; t < last; ++t) write(routed, t, t + 1, Phase::decode, sequence);
}

void SequenceWriter::finish() {
  stack_.finish();
  if (unsaid_prompt_)
    facts_.notes.emplace_back(
        "the recording does not say which tokens are the prompt: every token is a decode step; "
        "--prompt-tokens N makes the first N of each sequence its prefill");
  if (cached_ > 0)
    facts_.notes.push_back(count_of(cached_, "token") +
                           " without routing at the beginning of a sequence: taken as in the prefix cache");
  if (dropped_ > 0)
    facts_.notes.push_back(count_of(dropped_, "token") +
                           " without routing at the end of a sequence: left out, as never computed");
}

}  // namespace pregate::trace
