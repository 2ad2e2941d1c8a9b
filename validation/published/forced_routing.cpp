// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/forced_routing.hpp"

#include <cstdint>
#include <string>

#include "models/error.hpp"

namespace pregate::validation {

namespace {

class ForcedRouting final : public trace::StepSource {
 public:
  ForcedRouting(const ModelSpec& model, const ForcedShape& shape) : shape_(shape) {
    require_uniform_moe(model, "forced routing");
    info_.model = model.name;
    for (std::size_t s = 0; s < model.stacks.size(); ++s) {
      const Stack& stack = model.stacks[s];
      const MoeBlock& moe = stack.first_moe();
      info_.stacks.push_back(stack.name);
      for (const int layer : moe_layers(stack)) {
        info_.layers.push_back({static_cast<int>(s), layer, moe.experts, moe.top_k, {}});
      }
      if (shape.active > moe.experts || shape.active < moe.top_k || shape.active > shape.batch * moe.top_k) {
        throw InputError("forced routing",
                         std::to_string(shape.active) + " active experts a layer cannot be: " + model.name +
                             " has " + std::to_string(moe.experts) + ", and " + std::to_string(shape.batch) +
                             " tokens choose " + std::to_string(moe.top_k) + " each");
      }
    }
    encoder_ = shape.encoder_tokens > 0 && model.stack_index("encoder") >= 0;
    info_.model_top_k = model.stacks.back().first_moe().top_k;
    info_.requests = 1;
    info_.steps = shape.decode_steps + (encoder_ ? 1 : 0);
    const int encoder_tokens = encoder_ ? shape.encoder_tokens : 0;
    info_.tokens = std::int64_t{shape.batch} * (shape.decode_steps + encoder_tokens);
    for (const trace::TraceLayer& layer : info_.layers) {
      const bool last = layer.stack + 1 == static_cast<int>(info_.stacks.size());
      const std::int64_t passes = last ? shape.decode_steps : encoder_tokens;
      info_.routed_entries += passes * shape.batch * layer.top_k;
    }
  }

  [[nodiscard]] const trace::TraceInfo& info() const override { return info_; }
  void rewind() override { index_ = 0; }

  bool next(trace::Step& step) override {
    if (index_ == info_.steps) return false;
    step = {};
    const bool encoder = encoder_ && index_ == 0;
    const std::int64_t decoded = index_ - (encoder_ ? 1 : 0);
    step.index = index_;
    step.phase = encoder ? trace::Phase::encoder : trace::Phase::decode;
    step.stack = encoder ? 0 : static_cast<int>(info_.stacks.size()) - 1;
    step.sequences = shape_.batch;
    step.tokens = shape_.batch * (encoder ? shape_.encoder_tokens : 1);
    step.position = encoder ? 0 : static_cast<int>(decoded);
    step.first_of_request = index_ == 0;
    experts_.clear();
    for (const trace::TraceLayer& layer : info_.layers) {
      if (layer.stack != step.stack) continue;
      const std::int64_t first = index_ * shape_.active;
      for (std::int64_t entry = 0; entry < std::int64_t{step.tokens} * layer.top_k; ++entry) {
        experts_.push_back(static_cast<std::uint16_t>((first + entry % shape_.active) % layer.experts));
      }
    }
    step.experts = experts_;
    ++index_;
    return true;
  }

 private:
  ForcedShape shape_;
  trace::TraceInfo info_;
  bool encoder_ = false;
  std::int64_t index_ = 0;
  std::vector<std::uint16_t> experts_;
};

}  // namespace

std::unique_ptr<trace::StepSource> forced_routing(const ModelSpec& model, const ForcedShape& shape) {
  return std::make_unique<ForcedRouting>(model, shape);
}

}  // namespace pregate::validation
