// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/admitted.hpp"

#include <algorithm>
#include <string>

#include "models/error.hpp"
#include "sim/serve/lock_step.hpp"

namespace pregate::sim {

Admitted::Part Admitted::take(int tokens) {
  const trace::OwnedStep& whole = current();
  const trace::Step& step = whole.step;
  const int each = (step.tokens + step.sequences - 1) / step.sequences;
  if (step.phase == trace::Phase::encoder) encoder_tokens_ = step.tokens / std::max(1, step.sequences);
  Part part{.row = row_of(step, step.sequences,
                          {tokens, step.position + taken_, taken_ + tokens == step.tokens, step.accepted}),
            .of = &whole,
            .first = taken_,
            .context = step.position + each};
  part.row.request = number_;
  part.row.encoder_tokens = encoder_tokens_;
  part.row.arrival = arrival_;
  part.row.recomputed = std::clamp(recomputed_ - taken_, 0, tokens);
  part.row.preemptions = preemptions_;
  taken_ += tokens;
  if (taken_ == step.tokens) {
    if (brings_token_) part.row.accepted = 1;
    const bool is_asked = brings_token_ || recomputed_ < step.tokens;
    if (!is_asked) part.row.logits = 0;
    brings_token_ = false;
    taken_ = recomputed_ = 0;
    ++at_;
  }
  return part;
}

int Admitted::longest_context() const {
  int longest = 0;
  for (const trace::OwnedStep& each : steps_)
    longest = std::max(longest, each.step.position + each.step.tokens);
  return longest;
}

bool Admitted::can_be_recomputed() const {
  return steps_.front().step.position == 0 &&
         std::all_of(steps_.begin(), steps_.end(), [](const trace::OwnedStep& each) {
           return each.step.sequences == 1 && each.step.phase != trace::Phase::encoder;
         });
}

void Admitted::preempt(StepJoiner& joiner) {
  blocks = 0;
  if (!has_begun()) return;
  ++preemptions_;
  int had = taken_;
  std::vector<Part> parts;
  const auto add = [&](const trace::OwnedStep& of, int tokens) {
    parts.push_back({.row = {.tokens = tokens, .position = of.step.position}, .of = &of});
  };
  for (std::size_t i = 0; i < at_; ++i) {
    const trace::Step& step = steps_[i].step;
    // Of a step that verified drafts, what was accepted.
    const int tokens = step.phase == trace::Phase::decode ? std::max(1, step.accepted) : step.tokens;
    add(steps_[i], tokens);
    had += tokens;
  }
  const bool was_prompt = phase() == trace::Phase::prefill;
  const bool is_next = was_prompt || current().step.tokens == 1;
  if (is_next) add(current(), current().step.tokens);
  trace::Step step = joiner.join(parts);
  step.phase = trace::Phase::prefill;
  step.sequences = 1;
  step.position = 0;
  step.chunk.reset();
  step.accepted = -1;
  trace::OwnedStep again(step);
  steps_.erase(steps_.begin(), steps_.begin() + static_cast<std::ptrdiff_t>(at_ + (is_next ? 1 : 0)));
  steps_.insert(steps_.begin(), std::move(again));
  at_ = 0;
  taken_ = 0;
  recomputed_ = std::max(recomputed_, had);
  brings_token_ = brings_token_ || (is_next && !was_prompt);
}

trace::Step StepJoiner::join(std::span<const Admitted::Part> parts) {
  trace::Step step = parts.front().of->step;
  std::int64_t tokens = 0, sequences = 0, positions = 0, contexts = 0;
  bool any_decodes = false, any_cut = false, all_end = true;
  for (const auto& [row, of, first, context] : parts) {
    tokens += row.tokens;
    sequences += row.sequences;
    positions += std::int64_t{row.position} * row.sequences;
    contexts += std::int64_t{context} * row.sequences;
    any_decodes = any_decodes || row.phase == trace::Phase::decode;
    any_cut = any_cut || row.tokens < of->step.tokens;
    all_end = all_end && first + row.tokens == of->step.tokens;
  }
  const trace::StackLayout& layout = layouts_[static_cast<std::size_t>(step.stack)];
  if (tokens > trace::max_step_tokens || tokens * layout.entries_a_token > trace::max_step_entries) {
    throw InputError(
        "serve",
        std::to_string(parts.size()) + " requests make a pass of " + std::to_string(tokens) + " tokens",
        "take prompts in parts (--prompt-chunk), or choose a smaller serve.max_batch (--batch)");
  }
  if (any_decodes) step.phase = trace::Phase::decode;
  step.tokens = static_cast<int>(tokens);
  step.sequences = static_cast<int>(sequences);
  step.position = static_cast<int>((positions + sequences - 1) / sequences);
  if (any_cut) step.chunk = {all_end, static_cast<int>((contexts + sequences - 1) / sequences)};
  step.experts = gather(parts, layouts_, &trace::OwnedStep::experts, experts_);
  if (has_predictions_)
    step.predicted = gather(parts, of_predicted_, &trace::OwnedStep::predicted, predicted_);
  if (has_weights_) step.weights = gather(parts, layouts_, &trace::OwnedStep::weights, weights_);
  return step;
}

namespace {

/// Of one token, whose few entries a call would take longer to copy.
template <class T>
void copy_few(const T* from, int count, T* to) {
  for (int i = 0; i < count; ++i) to[i] = from[i];
}

}  // namespace

/// Layer by layer the entries of the tokens of each part; empty where one has none.
template <class T>
std::span<const T> StepJoiner::gather(std::span<const Admitted::Part> parts,
                                      const std::vector<trace::StackLayout>& layouts,
                                      std::vector<T> trace::OwnedStep::*entries,
                                      std::vector<T>& joined) const {
  std::int64_t tokens = 0;
  for (const Admitted::Part& part : parts) {
    if ((part.of->*entries).empty()) return {};
    tokens += part.row.tokens;
  }
  const trace::StackLayout& layout = layouts[static_cast<std::size_t>(parts.front().of->step.stack)];
  const auto all = static_cast<std::size_t>(tokens * layout.entries_a_token);
  if (joined.size() < all) joined.resize(all);
  T* to = joined.data();
  std::int64_t layers_before = 0;  // entries a token
  for (const int top_k : layout.top_k) {
    for (const auto& [row, of, first, context] : parts) {
      const T* const from =
          (of->*entries).data() + layers_before * of->step.tokens + std::int64_t{first} * top_k;
      if (row.tokens == 1)
        copy_few(from, top_k, to);
      else
        std::copy_n(from, std::int64_t{row.tokens} * top_k, to);
      to += std::int64_t{row.tokens} * top_k;
    }
    layers_before += top_k;
  }
  return {joined.data(), all};
}

}  // namespace pregate::sim
