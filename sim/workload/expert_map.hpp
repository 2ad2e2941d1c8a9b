// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/model.hpp"
#include "sim/cache/expert_key.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

using cache::ExpertKey;

/// One MoE layer inside the simulation. Layers are numbered by an ordinal over all stacks, in the trace's
/// order.
struct MoeLayer {
  int stack = 0;  ///< index in the trace (and of the model's stack of the same name, see model_stack)
  int model_stack = 0;
  int layer = 0;  ///< in its stack, counting layers without MoE
  int experts = 0;
  int top_k = 0;            ///< of the trace; may be lower than the model's
  ExpertKey first_key = 0;  ///< keys first_key .. first_key + experts - 1
  Bytes expert_bytes;
};

/// The whole of which a map has a part: a model that several GPUs share.
struct WholeModel {
  std::vector<MoeLayer> layers;
  /// A trace of the whole model as the part sees it.
  std::function<std::unique_ptr<trace::StepSource>(std::unique_ptr<trace::StepSource>)> part_of;
};

/// Dense numbering of all experts, from a trace alone (replay) or checked against a model (simulation).
class ExpertMap {
 public:
  /// Layers and sizes as the trace records them; a layer without a recorded size counts as 1 byte an expert.
  explicit ExpertMap(const trace::TraceInfo& info);
  /// Sizes of the model. InputError naming `where` when stacks, MoE layers, experts or top-k do not fit the
  /// model.
  ExpertMap(const trace::TraceInfo& info, const ModelSpec& model, const std::string& where);

  [[nodiscard]] const std::vector<MoeLayer>& layers() const { return layers_; }
  [[nodiscard]] ExpertKey keys() const { return keys_; }
  /// The layer of an expert. A search: not for hot loops.
  [[nodiscard]] int ordinal_of(ExpertKey key) const;
  /// Of an expert in its layer. A search: for what is written down, not for hot loops.
  [[nodiscard]] std::int32_t index_of(ExpertKey key) const;
  /// Adds `first` to the layers' numbers.
  void name_layers_from(int first) {
    for (MoeLayer& layer : layers_) layer.layer += first;
  }
  /// Says that this is a part, and of what.
  void set_whole(WholeModel whole) { whole_ = std::make_shared<const WholeModel>(std::move(whole)); }
  /// Null: the map has all that a trace has.
  [[nodiscard]] const WholeModel* whole() const { return whole_.get(); }
  /// Ordinals of a trace stack's MoE layers: [first, second).
  [[nodiscard]] std::pair<int, int> ordinals(int stack) const {
    return ordinals_[static_cast<std::size_t>(stack)];
  }

 private:
  std::vector<MoeLayer> layers_;
  std::vector<std::pair<int, int>> ordinals_;
  ExpertKey keys_ = 0;
  std::shared_ptr<const WholeModel> whole_;
};

}  // namespace pregate::sim
