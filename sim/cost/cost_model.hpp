// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "models/machine.hpp"
#include "models/model.hpp"
#include "sim/cost/collectives.hpp"
#include "sim/cost/cpu_products.hpp"
#include "sim/cost/gpu_time.hpp"
#include "sim/cost/kernel_prices.hpp"
#include "sim/cost/packed_weights.hpp"
#include "sim/platform/topology.hpp"
#include "sim/policy/policy.hpp"
#include "sim/program/format.hpp"
#include "sim/program/step_shape.hpp"
#include "sim/program/work.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// A copy as the executors need it. Alone it takes `duration` = fixed + bytes / rate.
struct CopyCost {
  Picoseconds fixed;
  Bytes bytes;
  BytesPerSecond rate;
  Picoseconds duration;
  bool host_bound = false;  ///< its rate is that of the host's memory
};

/// A read behind others of a drive that works on `depth` at a time: latencies overlap until its rate is the
/// limit. One follows the other after b/B, or (latency + b/B) / depth where that is longer.
CopyCost overlapped(const CopyCost& read, int depth);

/// What self-attention of a step does to a KV cache in the host's memory.
struct KvWork {
  Bytes read;       ///< cached before the step, as far as attention reads it
  Bytes written;    ///< keys and values of the step's tokens
  Bytes attended;   ///< both, as far as attention reads them
  double flop = 0;  ///< scores and weighted sums
};

/// What every layer of a class costs in the current step.
struct LayerCost {
  GpuTime attention;  ///< MoE layer: norms and attention; other layers: the whole layer
  GpuTime gate;
  Picoseconds gate_readback;
  GpuTime shared;  ///< router and shared experts' arithmetic, part of the experts operation
  KvWork kv = {};  ///< where the policy has the KV cache in the host's memory
};

struct CostOptions {
  /// Whether attention costs its scores over the KV cache. Where the runtime does not execute them, what is
  /// held against it leaves them out.
  bool attention_scores = true;
};

/// Durations by the roofline: fixed overhead + max(FLOP / rate, bytes / bandwidth); measured tables of the
/// machine replace it where present, and the models of a kernel library where its software names one.
/// Formulas and their limits: docs/model.md. Throws InputError when the machine has no rate for the precision
/// of the model.
class CostModel {
 public:
  CostModel(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
            const CostOptions& options = {});

  /// Prices every layer class of the step's stack.
  void begin_step(const StepShape& shape);

  /// Layers with the same costs share a class.
  [[nodiscard]] int layer_class(int model_stack, int layer) const {
    return classes_of_[static_cast<std::size_t>(model_stack)][static_cast<std::size_t>(layer)];
  }
  [[nodiscard]] int layer_classes() const { return static_cast<int>(costs_.size()); }
  [[nodiscard]] const LayerCost& layer(int layer_class) const {
    return costs_[static_cast<std::size_t>(layer_class)];
  }
  [[nodiscard]] const std::vector<LayerCost>& layers() const { return costs_; }  ///< by class
  /// How much later than its end the tokens of a pass are handed out, where one with prompts follows it: the
  /// host launches that first.
  [[nodiscard]] Picoseconds late_tokens() const;
  [[nodiscard]] bool has_step_overhead() const {
    return machine_.overhead.step.count > 0 || request_overhead_.count > 0;
  }
  /// Of an activated expert by the host, where experts can be missing; 0 = it costs nothing.
  [[nodiscard]] Picoseconds lookup() const { return lookup_; }
  /// Of the policy's predictor, each time.
  [[nodiscard]] Picoseconds prediction() const { return policy_.lookahead.cost; }
  [[nodiscard]] const GpuTime& step_overhead() const { return step_overhead_; }
  [[nodiscard]] const GpuTime& head() const { return head_; }  ///< zero for an encoder

  /// Of a machine whose GPUs differ (MachineSpec::others, and gpu.count as many): what work on a stream costs
  /// on its GPU, and its layers there. Of all other streams, and before price_streams(): this.
  void price_streams(const Topology& topology);
  [[nodiscard]] CostModel& on(StreamId stream) {
    const std::uint8_t gpu = gpu_of(stream);
    return gpu == 0 ? *this : *others_[gpu - 1U];
  }
  [[nodiscard]] const CostModel& on(StreamId stream) const {
    const std::uint8_t gpu = gpu_of(stream);
    return gpu == 0 ? *this : *others_[gpu - 1U];
  }
  [[nodiscard]] int class_on(StreamId stream, int layer_class) const {
    const std::uint8_t gpu = gpu_of(stream);
    return gpu == 0 || layer_class < 0 ? layer_class
                                       : classes_there_[gpu - 1U][static_cast<std::size_t>(layer_class)];
  }

  /// What an expert costs in that format: this, or the costs of the same model in formats.low, which the
  /// policy must have.
  [[nodiscard]] CostModel& in(FormatId format) { return format == low_format ? *low_ : *this; }
  [[nodiscard]] const CostModel& in(FormatId format) const { return format == low_format ? *low_ : *this; }
  /// There, of the layers of `layer_class`.
  [[nodiscard]] int class_in(FormatId format, int layer_class) const {
    return format == low_format ? low_classes_[static_cast<std::size_t>(layer_class)] : layer_class;
  }
  /// Making so many experts of the layer computable, on the GPU.
  [[nodiscard]] Picoseconds unpack(int layer_class, std::size_t experts) const {
    if (unpack_.value <= 0) return {};
    return time_at(
        classes_[static_cast<std::size_t>(layer_class)].profile.expert * static_cast<std::int64_t>(experts),
        unpack_);
  }

  /// One experts operation: `tokens` gives the tokens of each activated expert. Adds shared costs when
  /// `with_shared`: the first operation of a layer pays them. `longer`: of the part of the pass that it is
  /// for, where that is not the whole of it.
  [[nodiscard]] GpuTime experts(int layer_class, std::span<const std::uint32_t> tokens, std::uint32_t routed,
                                int step_tokens, bool with_shared, std::optional<double> longer = {});
  /// How many times as long kernels take in the current step as they do alone (OverheadSpec::prompt_share).
  [[nodiscard]] double longer() const { return longer_; }

  /// One expert of such a layer that gets `tokens` > 0, in a kernel that runs anyway.
  [[nodiscard]] Picoseconds one_expert(int layer_class, std::uint32_t tokens) const;

  [[nodiscard]] const CopyCost& fetch() const { return fetch_; }  ///< one expert, or one chunk of it
  /// What formats.cached leaves of one expert.
  [[nodiscard]] const CopyCost& rest() const { return rest_; }
  [[nodiscard]] const CopyCost& last_chunk() const { return last_chunk_; }  ///< the remainder, when chunked
  [[nodiscard]] int chunks() const { return chunks_; }                      ///< copies an expert; 1 = whole
  [[nodiscard]] Picoseconds device_copy() const {
    return device_copy_;
  }  ///< all staging copies of one expert
  /// All copies of one expert, one after the other.
  [[nodiscard]] Picoseconds fetch_train() const {
    return fetch_.duration * (chunks_ - 1) + last_chunk_.duration;
  }
  [[nodiscard]] const CopyCost& write_back() const { return write_back_; }  ///< one expert, to the host
  /// One expert, to the host, behind `before` others that were asked for at once.
  [[nodiscard]] const CopyCost& drive_read(std::uint32_t before = 0) const {
    return before == 0 ? drive_read_ : next_drive_read_;
  }
  /// A kernel that takes `time` on the GPU and reads `experts` over the link meanwhile: the longer of the
  /// two. Its launches come first. host_bound says here that the link is what it waits for.
  [[nodiscard]] CopyCost read_through(const GpuTime& time, std::int64_t experts) const;
  /// Activations of so many tokens before an expert layer, or what was computed of them, over a link: one of
  /// `parts` equal parts of each.
  [[nodiscard]] CopyCost activations(LinkId link, int tokens, int parts = 1) const;
  /// Keys and values over a link, page-locked or moved by a thread of the host (kv_cache.pinned); of no
  /// bytes, nothing.
  [[nodiscard]] CopyCost kv_copy(LinkId link, Bytes bytes) const;
  /// Attention on the CPU, a flow on the host's memory bus: fixed + max(FLOP / rate, bytes / bandwidth) at
  /// what the CPU reaches of both with experts (HostComputeSpec), the slower of the two being the flow's
  /// rate.
  [[nodiscard]] CopyCost cpu_attention(const KvWork& kv) const;
  /// By layer class, whether its attention reads a KV cache in the host's memory; empty: no layer's does.
  [[nodiscard]] std::vector<std::uint8_t> kv_on_host() const;
  /// What GPUs that share layers send each other at once.
  [[nodiscard]] Picoseconds exchange(const Meeting& meeting) const;
  /// As cpu_experts(), by what computes from such a memory: the CPU, or a near-data device.
  [[nodiscard]] CopyCost experts_at(PlaceKind kind, int layer_class, std::int64_t experts,
                                    std::uint32_t routed) const {
    return kind == PlaceKind::near_data ? near_data_experts(layer_class, experts, routed)
                                        : cpu_experts(layer_class, experts, routed);
  }
  /// `experts` > 0 experts that get `routed` tokens in all, on the CPU: a flow on the host's memory bus.
  /// Alone it takes fixed + experts x expert + what the CPU takes for reading the weights and for the
  /// arithmetic of `routed` tokens, which together are the flow's rate (CpuProducts::flow).
  [[nodiscard]] CopyCost cpu_experts(int layer_class, std::int64_t experts, std::uint32_t routed) const;
  [[nodiscard]] CopyCost near_data_experts(int layer_class, std::int64_t experts, std::uint32_t routed) const;
  /// What compute operations take of the host's memory bus while they run; 0 = nothing.
  [[nodiscard]] BytesPerSecond compute_traffic() const { return machine_.gpu.host_memory_traffic; }
  /// Of the machine's GPUs.
  [[nodiscard]] const CollectiveTimes& collectives() const;
  CostModel(const CostModel&) = delete;
  CostModel& operator=(const CostModel&) = delete;

 private:
  /// Of a layer: before the router or, without experts, in all; beside the routed experts.
  struct Launches {
    Picoseconds layer, shared;
    bool operator==(const Launches&) const = default;
  };
  struct LayerClass {
    LayerProfile profile;
    FlopPerSecond dense_rate, expert_rate;
    const KernelTimes *attention_times, *dense_times, *gate_times, *expert_times;  ///< nullptr: not measured
    std::vector<GpuTime>
        single_token;  ///< routed_experts() when each of n experts has one token; by n, -1 = unknown
    std::vector<Picoseconds> by_tokens;  ///< what was measured of one expert with n tokens; by n, 0 = unknown
    Launches launches = {};
    CpuProducts cpu = {};  ///< of its experts, where there are any
    TileFormat expert_tiles = {}, attention_tiles = {}, ffn_tiles = {};
    /// With a kernel library: what the layer runs of it, and what that takes.
    std::optional<LayerKernels> kernels = std::nullopt;
    struct {
      int tokens = -1;  ///< of the step that the times are of
      GpuTime projections, router, feed_forward;
    } products = {};
    struct ScoresAt {
      int position = -1;
      GpuTime time;
    };
    std::vector<ScoresAt> single_scores =
        {};  ///< of a decode step's only token; by position, cut to its last bits
    struct {
      std::uint32_t routed = 0;
      int step_tokens = 0;
      std::vector<GpuTime> by_active =
          {};  ///< experts time of n experts, none with more than a tile; -1 = unknown
    } few_tokens = {};
  };
  /// Which GPU has the stream, from 0.
  [[nodiscard]] std::uint8_t gpu_of(StreamId stream) const {
    return gpu_of_stream_.empty() ? 0 : gpu_of_stream_[number_of(stream)];
  }
  /// Where every expert is resident, and the software can.
  [[nodiscard]] bool is_replayed() const {
    return policy_.placement.kind->keeps_all && machine_.overhead.replayed < 1;
  }
  /// How much longer launches of such a pass take than of one that is replayed: 1 where all are alike.
  [[nodiscard]] double longer_launches(const StepShape& shape) const;
  /// Of the pass that was begun.
  [[nodiscard]] GpuTime launched(Picoseconds time) const;
  [[nodiscard]] Launches launches_of(const Stack& stack, const LayerProfile& profile) const;
  void find_classes();
  void price_copies();
  void price_low_format();
  void price_products(LayerClass& layer, int tokens) const;
  [[nodiscard]] GpuTime experts_by_kernels(LayerClass& layer, std::span<const std::uint32_t> tokens,
                                           std::uint32_t routed, int step_tokens) const;
  [[nodiscard]] GpuTime roofline(double flop, FlopPerSecond rate, double bytes) const;
  /// The same of a product with the weights of `rows`, of so many bytes, each met by `tokens` tokens: where
  /// few tokens meet packed weights, unpacking them may be what takes longest.
  [[nodiscard]] GpuTime product(double flop, FlopPerSecond rate, double bytes, const PackedRows& rows,
                                const TileFormat& format, int tokens) const;
  /// Whether `weights` weights of so many bytes are computed in tiles in a pass of `tokens` tokens.
  [[nodiscard]] bool in_tiles(double bytes, double weights, int tokens) const;
  /// Tokens of a tile in such a pass.
  [[nodiscard]] double tile_width(int tokens) const;
  /// Of `numbers` numbers between such products.
  [[nodiscard]] GpuTime moved(double numbers) const;
  /// Of tiles that meet `weights` weights in all, each as often as there are tiles of it: unpacked once, and
  /// multiplied with `width` tokens.
  [[nodiscard]] GpuTime tiles(double weights, double width, double bytes, const TileFormat& format) const;
  [[nodiscard]] double longer_for_prompts(const StepShape& shape) const;
  /// What the host takes to launch a layer of such a step, if that is not replayed but its like is.
  [[nodiscard]] Picoseconds launched_layer(const StepShape& shape) const;
  /// What the GPU waits for the host in a layer whose work takes so long.
  [[nodiscard]] GpuTime wait_for_launches(const GpuTime& work) const {
    return launch_time(std::max(Picoseconds{}, launched_layer_ - work.whole()));
  }
  void price_head(int rows);
  [[nodiscard]] GpuTime attention(LayerClass& layer, const StepShape& shape) const;
  [[nodiscard]] GpuTime scores(LayerClass& layer, const StepShape& shape) const;
  [[nodiscard]] GpuTime new_scores(const LayerClass& layer, const StepShape& shape) const;
  [[nodiscard]] GpuTime cache_scores(const LayerClass& layer, const StepShape& shape,
                                     std::size_t first) const;
  [[nodiscard]] GpuTime cross_attention(const LayerClass& layer, const StepShape& shape) const;
  [[nodiscard]] KvWork kv_work(const LayerClass& layer, const StepShape& shape) const;
  /// InputError for a model or machine with which it cannot be in the host's memory.
  void check_kv_cache() const;
  [[nodiscard]] GpuTime grouped_gemm(const LayerClass& layer, std::span<const std::uint32_t> tokens,
                                     std::uint32_t routed, int step_tokens) const;
  /// At the rates that kernels reach alone.
  [[nodiscard]] GpuTime routed_experts(LayerClass& layer, std::span<const std::uint32_t> tokens,
                                       std::uint32_t routed, int step_tokens) const;
  static GpuTime one_by_one(LayerClass& layer, std::span<const std::uint32_t> tokens);
  [[nodiscard]] CopyCost copy_cost(const LinkSpec& link, Bytes bytes, bool page_locked, int calls = 1) const;
  [[nodiscard]] CopyCost copy_cost(LinkId link, Bytes bytes) const;

  ModelSpec model_;
  MachineSpec machine_;
  PolicySpec policy_;
  CostOptions options_;
  mutable std::unique_ptr<CollectiveTimes> collectives_;  ///< once somebody asked
  std::vector<std::unique_ptr<CostModel>> others_;        ///< of the GPUs behind the first, where they differ
  std::vector<std::vector<int>> classes_there_;           ///< by other GPU, by layer class here
  std::vector<std::uint8_t> gpu_of_stream_;
  std::unique_ptr<CostModel> low_;  ///< where the policy has formats.low
  std::vector<int> low_classes_;    ///< by layer class
  BytesPerSecond unpack_;           ///< 0: nothing is unpacked
  const KernelTimes* head_times_ = nullptr;
  std::optional<KernelPrices> kernels_;
  std::optional<Product> head_kernel_;
  double head_flop_per_token_;
  Bytes head_bytes_;
  FlopPerSecond dense_rate_;
  std::vector<LayerClass> classes_;
  std::vector<std::vector<int>> classes_of_;
  std::vector<std::vector<int>> stack_classes_;
  std::vector<LayerCost> costs_;
  GpuTime step_overhead_, head_;
  int head_rows_ = -1;  ///< tokens whose logits head_of_rows_ is for
  GpuTime head_of_rows_;
  double longer_ = 1, longer_launches_ = 1;
  Picoseconds launched_layer_;  ///< in the current step
  Picoseconds request_overhead_, lookup_;
  Picoseconds device_copy_;
  CopyCost fetch_, last_chunk_, rest_, write_back_, drive_read_, next_drive_read_;
  BytesPerSecond read_rate_;  ///< of kernels that read the host's memory
  int chunks_ = 1;
};

/// Achieved rate of a copy of this size on the link (its table, or its bandwidth), page-locked source.
BytesPerSecond copy_rate(const LinkSpec& link, Bytes bytes);

}  // namespace pregate::sim
