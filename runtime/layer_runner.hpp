// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "runtime/kv_cache.hpp"
#include "runtime/scratch.hpp"
#include "runtime/weights/dense_weights.hpp"
#include "sim/engine/executor.hpp"
#include "traces/trace.hpp"

namespace pregate::runtime {

/// Whether a token's choice `k` names an expert that one before it named.
inline bool is_repeated_choice(const std::uint16_t* ids, int k) {
  return std::find(ids, ids + k, ids[k]) != ids + k;
}

/// One expert's weights where an experts operation finds them, which expert of the layer it is, and in which
/// of the run's formats they are there.
struct ExpertWeights {
  int expert = 0;
  DeviceSpan weights;
  sim::FormatId format{};
};

/// Enqueues the arithmetic of a pass on the compute stream, layer after layer. A layer's output is
///   h += W_o (W_i norm(h));   h += sum over its experts of gate weight x expert(norm(h)) + shared(norm(h))
/// or, with attention over a KV cache, h += W_o attention(W_q norm(h), cache of W_k norm(h) and W_v norm(h)).
/// The gate runs for real on real logits; the trace's choice is added to them as a bias, so that it chooses
/// what the trace says. Where the trace leaves a token fewer experts than others have, further logits stand
/// for "none": the ids that they give are beyond the experts, and the kernels drop them.
///
/// A pass that is cut goes through each layer part by part: `micro_batch` is which of them, as sim::Work's,
/// and -1 all of it. The experts of a layer are computed part by part, or all of them for the whole pass.
class LayerRunner {
 public:
  /// `room`: of the cache, where the shape's layers attend to one.
  LayerRunner(Device& device, Stream& stream, const ModelShape& shape, const sim::ExpertMap& map,
              const sim::TraceScan& scan, std::uint64_t seed, const std::optional<CacheRoom>& room);

  /// Host side of a pass: input rows and the trace's choices. Nothing of an earlier pass may still run.
  void prepare(const sim::PassInfo& pass);
  void upload();

  void attention(int layer, int micro_batch = -1);
  void dense_layer(int layer, int micro_batch = -1);
  void gate(int ordinal, int micro_batch = -1);
  /// The ids chosen by the last gate, to page-locked memory, on `stream`.
  void read_ids(Stream& stream, int micro_batch = -1);
  /// Whether the ids read back are the trace's; to be asked when read_ids() has run.
  [[nodiscard]] bool ids_agree(int micro_batch = -1) const;

  /// Those ids, [tokens][top_k], until they are read again.
  [[nodiscard]] std::span<const std::int32_t> known_ids() const;
  /// Of the layer's experts these are computed here; the others, if there are any, elsewhere or by nobody:
  /// their tokens' weighted sums do without them. To be called when the ids are known and before experts().
  /// Not for a pass that is cut.
  void compute_only(std::span<const sim::ExpertKey> experts);

  /// Computes tokens through these experts of the layer. The first call of a layer orders and permutes the
  /// tokens, and computes the shared experts; the one with the last of the experts that are computed here
  /// adds the weighted sum to the hidden rows.
  void experts(std::span<const ExpertWeights> experts, int micro_batch = -1);
  void head(int micro_batch = -1);

  /// A fault for tests: of all matrices that are unpacked this one is not, and the one before is multiplied.
  void leave_out_unpacking(std::int64_t at) { left_out_unpacking_ = at; }
  /// Another one, in a pass of the run.
  void plant(const CacheFault& fault) { cache_fault_ = fault; }

  [[nodiscard]] DeviceSpan hidden() const;        ///< of the pass: [tokens x d_model]
  [[nodiscard]] DeviceSpan normed() const;        ///< what the layer's experts read: [tokens x d_model]
  [[nodiscard]] DeviceSpan gate_weights() const;  ///< of the layer, fp32: [tokens x top_k]
  [[nodiscard]] const FeedForward& expert_shape() const;  ///< of the layer
  [[nodiscard]] int tokens() const { return tokens_; }
  /// Of the input rows of a pass: uniform in [-1, 1).
  static std::uint64_t input_seed(std::uint64_t seed, std::int64_t number);
  [[nodiscard]] Bytes resident() const {
    return weights_.size() + scratch_.size() + (cache_ ? cache_->size() : Bytes{});
  }

 private:
  struct Rows {
    std::int32_t begin = 0, count = 0;
  };
  /// Tokens that go through a layer together.
  struct Part {
    std::int32_t first_token = 0, tokens = 0, logit_rows = 0;
    // of the layer
    std::vector<Rows> rows;  // by expert, from the part's first pair on
    int activated = 0, computed = 0;
    bool is_open = false;
  };
  [[nodiscard]] Part& part_of(int micro_batch) { return *(parts_.begin() + 1 + micro_batch); }
  [[nodiscard]] const Part& part_of(int micro_batch) const { return *(parts_.begin() + 1 + micro_batch); }
  /// Where one MoE layer's choices are.
  struct Choices {
    std::int64_t first = 0;        // in chosen_
    std::int64_t first_logit = 0;  // in the logits
    int width = 0;                 // logits a token: experts, and top_k that stand for "none" where needed
  };
  [[nodiscard]] const Choices& choices() const {
    return choices_[static_cast<std::size_t>(ordinal_ - ordinals_.first)];
  }
  [[nodiscard]] const sim::MoeLayer& moe_layer() const {
    return map_.layers()[static_cast<std::size_t>(ordinal_)];
  }
  void attend(int layer, const Part& part);
  void append(DeviceSpan rows, const std::int32_t* places, DeviceSpan cache, int width, std::int32_t tokens);
  void place_rows(Part& part) const;
  void begin_experts(Part& part);
  void end_experts(const Part& part);
  /// Rows of what has one a token, from the part's first one on; and of what has one a pair.
  [[nodiscard]] DeviceSpan rows_of(DeviceSpan all, int width, const Part& part) const {
    return all.part(row(part.first_token, width), row(part.tokens, width));
  }
  [[nodiscard]] std::int64_t first_pair(const Part& part) const {
    return std::int64_t{part.first_token} * moe_layer().top_k;
  }
  [[nodiscard]] std::int64_t pairs(const Part& part) const {
    return std::int64_t{part.tokens} * moe_layer().top_k;
  }
  void force_choices(const sim::MoeLayer& layer, Choices& choices, float* logits);
  void feed_forward(const FeedForward& shape, DeviceSpan in, DeviceSpan out, DeviceSpan input,
                    DeviceSpan output, float beta);
  void multiply(int rows, int columns, int inner, const void* a, DeviceSpan b, void* c, float beta = 0);
  /// An expert's matrix as it is multiplied, until the next one is asked for.
  DeviceSpan unpacked(DeviceSpan matrix, std::int64_t values, sim::FormatId format);
  void norm(DeviceSpan weight, DeviceSpan input, DeviceSpan output);
  void activation(const FeedForward& shape, const void* input, void* output, int rows);
  [[nodiscard]] Bytes row(std::int64_t rows, int width) const { return shape_.element * (rows * width); }
  [[nodiscard]] int rows_in(DeviceSpan rows) const {
    return static_cast<int>(rows.size().count / row(1, shape_.d_model).count);
  }
  [[nodiscard]] const LayerShape& layer_shape(int layer) const {
    return shape_.stacks[static_cast<std::size_t>(stack_)][static_cast<std::size_t>(layer)];
  }

  Stream& stream_;
  ModelShape shape_;
  const sim::ExpertMap& map_;
  std::uint64_t seed_;
  DenseWeights weights_;
  Scratch scratch_;
  std::optional<KvCache> cache_;
  CacheFault cache_fault_;
  std::int64_t unpackings_ = 0, left_out_unpacking_ = -1;
  // of the pass
  std::int64_t pass_number_ = 0;
  int stack_ = 0, tokens_ = 0;
  std::vector<Part> parts_;  // the whole, then what it is cut into
  std::pair<int, int> ordinals_;
  std::vector<std::uint16_t> chosen_;  // the step's ids
  std::vector<Choices> choices_;       // of each MoE layer of the stack
  std::int64_t logit_count_ = 0;
  // of the layer
  int ordinal_ = 0;
  std::vector<std::uint8_t> left_out_;  // by expert
};

}  // namespace pregate::runtime
