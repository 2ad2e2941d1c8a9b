// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/low_format.hpp"

#include "models/error.hpp"
#include "models/formats/apply_formats.hpp"
#include "sim/cost/cost_model.hpp"
#include "sim/program/copy_plan.hpp"

namespace pregate::sim {

ModelSpec in_low_format(const ModelSpec& model, const PolicySpec& policy) {
  ModelSpec low = model;
  store_experts_as(low, policy.formats.low, "policy.formats.low");
  for (std::size_t i = 0; i < model.stacks.size(); ++i) {
    for (const int layer : moe_layers(model.stacks[i])) {
      const Bytes high = model.expert_bytes(model.stacks[i], layer),
                  less = low.expert_bytes(low.stacks[i], layer);
      if (less < high) continue;
      throw InputError("policy.formats.low",
                       "an expert takes " + to_string(less) + " in " + policy.formats.low + " and " +
                           to_string(high) + " as the model has it",
                       "choose a format of fewer bits (pregate list weight-formats), or larger --weights");
    }
  }
  return low;
}

PolicySpec policy_of_low_format(const PolicySpec& policy, const ModelSpec& model, const ModelSpec& low) {
  PolicySpec of_low = policy;
  of_low.formats = {};
  const CopyPlan high = copy_plan(model, policy.transfer.chunk);
  const std::int64_t expert = copy_plan(low, {}).expert().count;
  of_low.transfer.chunk = {high.chunks > 1 ? (expert + high.chunks - 1) / high.chunks : 0};
  if (copy_plan(low, of_low.transfer.chunk).chunks != high.chunks) {
    throw InputError("policy.transfer.chunk", "cuts experts in more pieces than formats.low has room for",
                     "make it larger");
  }
  return of_low;
}

void CostModel::price_low_format() {
  const ModelSpec low = in_low_format(model_, policy_);
  low_ = std::make_unique<CostModel>(low, machine_, policy_of_low_format(policy_, model_, low), options_);
  low_->unpack_ = policy_.formats.unpack;
  low_classes_.resize(classes_.size());
  for (std::size_t stack = 0; stack < classes_of_.size(); ++stack) {
    for (std::size_t layer = 0; layer < classes_of_[stack].size(); ++layer)
      low_classes_[static_cast<std::size_t>(classes_of_[stack][layer])] = low_->classes_of_[stack][layer];
  }
}

}  // namespace pregate::sim
