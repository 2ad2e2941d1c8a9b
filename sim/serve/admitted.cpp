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
  taken_ += tokens;
  if (taken_ == step.tokens) {
    taken_ = 0;
    ++at_;
  }
  return part;
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

/// Layer by layer the entries of the tokens of each part; empty where one has none.
template <class T>
std::span<const T> StepJoiner::gather(std::span<const Admitted::Part> parts,
                                      const std::vector<trace::StackLayout>& layouts,
                                      std::vector<T> trace::OwnedStep::*entries,
                                      std::vector<T>& joined) const {
  joined.clear();
  for (const Admitted::Part& part : parts) {
    if ((part.of->*entries).empty()) return {};
  }
  std::int64_t layers_before = 0;  // entries a token
  for (const int top_k : layouts[static_cast<std::size_t>(parts.front().of->step.stack)].top_k) {
    for (const auto& [row, of, first, context] : parts) {
      const auto begin =
          (of->*entries).begin() + layers_before * of->step.tokens + std::int64_t{first} * top_k;
      joined.insert(joined.end(), begin, begin + std::int64_t{row.tokens} * top_k);
    }
    layers_before += top_k;
  }
  return joined;
}

}  // namespace pregate::sim
