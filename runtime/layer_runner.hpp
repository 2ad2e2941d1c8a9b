// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/scratch.hpp"
#include "runtime/weights/dense_weights.hpp"
#include "traces/trace.hpp"

namespace pregate::runtime {

/// One expert's weights where an experts operation finds them, and which expert of the layer it is.
struct ExpertWeights {
  int expert = 0;
  DeviceSpan weights;
};

/// Enqueues the arithmetic of a pass on the compute stream, layer after layer. A layer's output is
///   h += W_o (W_i norm(h));   h += sum over its experts of gate weight x expert(norm(h)) + shared(norm(h))
/// The gate runs for real on real logits; the trace's choice is added to them as a bias, so that it chooses
/// what the trace says. Where the trace leaves a token fewer experts than others have, further logits stand
/// for "none": the ids that they give are beyond the experts, and the kernels drop them.
class LayerRunner {
 public:
  LayerRunner(Device& device, Stream& stream, const ModelShape& shape, const sim::ExpertMap& map,
              const sim::TraceScan& scan, std::uint64_t seed);

  /// Host side of a pass: input rows and the trace's choices. Nothing of an earlier pass may still run.
  void prepare(const trace::Step& step, std::int64_t number, int model_stack);
  void upload();

  void attention(int layer);
  void dense_layer(int layer);
  void gate(int ordinal);
  /// The ids chosen by the last gate, to page-locked memory, on `stream`.
  void read_ids(Stream& stream);
  /// Whether the ids read back are the trace's; to be asked when read_ids() has run.
  [[nodiscard]] bool ids_agree() const;

  /// Those ids, [tokens][top_k], until they are read again.
  [[nodiscard]] std::span<const std::int32_t> known_ids() const;
  /// Another place computes these experts of the layer. To be called when the ids are known and before
  /// begin_experts().
  void leave_out(std::span<const sim::ExpertKey> experts);

  /// To be called once a layer before experts(): orders and permutes the tokens; shared experts.
  void begin_experts();
  /// Computes the layer's tokens through these experts.
  void experts(std::span<const ExpertWeights> experts);
  /// How many experts of the layer are computed here.
  [[nodiscard]] int activated() const { return activated_; }
  /// After the last of them: adds the weighted sum to the hidden rows.
  void end_experts();
  void head();

  /// A fault for tests: of all matrices that are unpacked this one is not, and the one before is multiplied.
  void leave_out_unpacking(std::int64_t at) { left_out_unpacking_ = at; }

  [[nodiscard]] DeviceSpan hidden() const;        ///< of the pass: [tokens x d_model]
  [[nodiscard]] DeviceSpan normed() const;        ///< what the layer's experts read: [tokens x d_model]
  [[nodiscard]] DeviceSpan gate_weights() const;  ///< of the layer, fp32: [tokens x top_k]
  [[nodiscard]] const FeedForward& expert_shape() const;  ///< of the layer
  [[nodiscard]] int tokens() const { return tokens_; }
  /// Of the input rows of a pass: uniform in [-1, 1).
  static std::uint64_t input_seed(std::uint64_t seed, std::int64_t number);
  [[nodiscard]] Bytes resident() const { return weights_.size() + scratch_.size(); }

 private:
  struct Rows {
    std::int32_t begin = 0, count = 0;
  };
  /// Where one MoE layer's choices are.
  struct Choices {
    std::int64_t first = 0;        // in chosen_
    std::int64_t first_logit = 0;  // in the logits
    int width = 0;                 // logits a token: experts, and top_k that stand for "none" where needed
  };
  [[nodiscard]] const Choices& choices() const {
    return choices_[static_cast<std::size_t>(ordinal_ - ordinals_.first)];
  }
  void place_rows();
  [[nodiscard]] std::int64_t pairs() const;
  void force_choices(const sim::MoeLayer& layer, Choices& choices, float* logits);
  void feed_forward(const FeedForward& shape, DeviceSpan in, DeviceSpan out, int rows, const void* input,
                    void* output, float beta);
  void multiply(int rows, int columns, int inner, const void* a, DeviceSpan b, void* c, float beta = 0);
  /// An expert's matrix as it is multiplied, until the next one is asked for.
  DeviceSpan unpacked(DeviceSpan matrix, std::int64_t values);
  void norm(DeviceSpan weight, const std::byte* input, int rows);
  void activation(const FeedForward& shape, const void* input, void* output, int rows);
  [[nodiscard]] Bytes row(std::int64_t rows, int width) const { return shape_.element * (rows * width); }
  [[nodiscard]] const LayerShape& layer_shape(int layer) const {
    return shape_.stacks[static_cast<std::size_t>(stack_)][static_cast<std::size_t>(layer)];
  }

  Stream& stream_;
  ModelShape shape_;
  const sim::ExpertMap& map_;
  std::uint64_t seed_;
  DenseWeights weights_;
  Scratch scratch_;
  std::int64_t unpackings_ = 0, left_out_unpacking_ = -1;
  // of the pass
  int stack_ = 0, tokens_ = 0, sequences_ = 1;
  std::pair<int, int> ordinals_;
  std::vector<std::uint16_t> chosen_;  // the step's ids
  std::vector<Choices> choices_;       // of each MoE layer of the stack
  std::int64_t logit_count_ = 0;
  // of the layer
  int ordinal_ = 0, activated_ = 0;
  std::vector<Rows> rows_;  // by expert
};

}  // namespace pregate::runtime
