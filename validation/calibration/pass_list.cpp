// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/pass_list.hpp"

#include <stdexcept>

namespace pregate::validation {

PassList::PassList(const ModelSpec& model, std::vector<Pass> passes) : passes_(std::move(passes)) {
  info_.model = model.name;
  for (std::size_t s = 0; s < model.stacks.size(); ++s) {
    const Stack& stack = model.stacks[s];
    info_.stacks.push_back(stack.name);
    for (const int layer : moe_layers(stack)) {
      info_.layers.push_back({.stack = static_cast<int>(s),
                              .layer = layer,
                              .experts = stack.first_moe().experts,
                              .top_k = stack.first_moe().top_k,
                              .expert_bytes = model.expert_bytes(stack)});
    }
  }
  for (const Pass& pass : passes_) {
    const MoeBlock& moe = model.stacks.at(static_cast<std::size_t>(pass.stack)).first_moe();
    if (pass.tokens < 1 || pass.activated < moe.top_k || pass.activated > moe.experts ||
        pass.activated > pass.tokens * moe.top_k)
      throw std::invalid_argument("a pass that cannot activate that many experts");
    info_.tokens += pass.tokens;
  }
  info_.requests = 1;
  info_.steps = static_cast<std::int64_t>(passes_.size());
  rewind();
}

void PassList::rewind() {
  at_ = 0;
  first_expert_.assign(info_.layers.size(), 0);
}

bool PassList::next(trace::Step& step) {
  if (at_ == passes_.size()) return false;
  const Pass& pass = passes_[at_];
  experts_.clear();
  for (std::size_t l = 0; l < info_.layers.size(); ++l) {
    const trace::TraceLayer& layer = info_.layers[l];
    if (layer.stack != pass.stack) continue;
    // Round robin over the active experts: a token's are distinct, since there are at least top_k of them.
    for (int pair = 0; pair < pass.tokens * layer.top_k; ++pair)
      experts_.push_back(
          static_cast<std::uint16_t>((first_expert_[l] + pair % pass.activated) % layer.experts));
    first_expert_[l] = (first_expert_[l] + pass.activated) % layer.experts;
  }
  step = {};
  step.index = static_cast<std::int64_t>(at_);
  step.phase = trace::Phase::decode;
  step.stack = pass.stack;
  step.sequences = step.tokens = pass.tokens;
  step.first_of_request = at_ == 0;
  step.experts = experts_;
  ++at_;
  return true;
}

}  // namespace pregate::validation
