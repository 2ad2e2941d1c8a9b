// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/cost_model.hpp"

#include <algorithm>
#include <cmath>

#include "models/error.hpp"
#include "sim/platform/machine_topology.hpp"

namespace pregate::sim {

namespace {

bool same_costs(LayerProfile a, LayerProfile b) {
  a.layer = b.layer = 0;
  return a == b;
}

}  // namespace

CostModel::CostModel(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                     const CostOptions& options)
    : model_(model),
      machine_(machine),
      policy_(policy),
      options_(options),
      head_flop_per_token_(model.head_flop_per_token()),
      head_bytes_(model.head_bytes()),
      dense_rate_(compute_rate(machine.gpu, model.dense_format.compute)) {
  if (policy.placement.kind->keeps_all) {
    OverheadSpec& overhead = machine_.overhead;
    for (Picoseconds* launches :
         {&overhead.dense_layer, &overhead.attention, &overhead.gate, &overhead.experts, &overhead.expert})
      *launches = from_seconds(launches->seconds() * overhead.replayed);
    visit_launches(overhead.layers, [&](Picoseconds& launches) {
      launches = from_seconds(launches.seconds() * overhead.replayed);
    });
  } else {
    request_overhead_ = machine.overhead.request;
    lookup_ = machine.overhead.lookup;
  }
  if (machine_.overhead.kernel_library != KernelLibrary::none) {
    kernels_.emplace(kernel_times_of(machine_),
                     is_replayed() ? Picoseconds{} : machine_.overhead.single_launch,
                     is_replayed() ? KernelPrices::Pass::replayed : KernelPrices::Pass::launched);
    head_kernel_ = head_kernel(model_, kernels_->gpu());
  }
  find_classes();
  costs_.resize(classes_.size());
  if (policy.formats.low.empty()) {
    unpack_ = policy.formats.unpack;
  } else if (policy.miss.service->uses_low_format) {
    price_low_format();
  }

  if (policy.kv_cache.on_host()) check_kv_cache();
  price_copies();
}

/// Layers that cost the same are one class.
void CostModel::find_classes() {
  const auto times = [this](const char* operation, const LayerProfile& profile) {
    return find_kernel_times(machine_.kernel_times, kernel_key(operation, model_, profile));
  };
  head_times_ = times("head", {});
  for (const Stack& stack : model_.stacks) {
    std::vector<int> classes;
    std::vector<int> distinct;
    for (const LayerProfile& profile : model_.profile(stack)) {
      const auto same = std::find_if(distinct.begin(), distinct.end(), [&](int index) {
        const LayerClass& known = classes_[static_cast<std::size_t>(index)];
        // Formats of as many bytes may have kernels of their own.
        const auto formats_of = [&](int layer) {
          return stack.layers[static_cast<std::size_t>(layer)].formats;
        };
        return same_costs(known.profile, profile) && known.launches == launches_of(stack, profile) &&
               (!known.kernels || (known.kernels->mixer == stack.mixer_of(profile.layer) &&
                                   formats_of(known.profile.layer) == formats_of(profile.layer)));
      });
      if (same != distinct.end()) {
        classes.push_back(*same);
        continue;
      }
      const PartFormats formats = model_.formats_of(stack.layers[static_cast<std::size_t>(profile.layer)]);
      distinct.push_back(static_cast<int>(classes_.size()));
      classes.push_back(static_cast<int>(classes_.size()));
      classes_.push_back(
          {profile,
           dense_rate_,
           compute_rate(machine_.gpu, profile.moe ? profile.expert_compute : model_.expert_format.compute),
           times("attention", profile),
           times("dense-layer", profile),
           times("gate", profile),
           times("experts", profile),
           std::vector<GpuTime>(static_cast<std::size_t>(profile.experts) + 1, GpuTime{{-1}, {}, {}, {}}),
           {},
           launches_of(stack, profile),
           profile.moe ? cpu_products(machine_.host, profile.expert_format) : CpuProducts{},
           tile_format_of(profile.moe ? profile.expert_format : std::string()),
           tile_format_of(formats.attention.name),
           tile_format_of(profile.moe ? formats.shared_experts.name : formats.dense_ffn.name),
           kernels_ ? std::optional(layer_kernels(model_, stack, profile, kernels_->gpu())) : std::nullopt});
    }
    classes_of_.push_back(std::move(classes));
    stack_classes_.push_back(std::move(distinct));
  }
}

CostModel::Launches CostModel::launches_of(const Stack& stack, const LayerProfile& profile) const {
  const OverheadSpec& overhead = machine_.overhead;
  const Mixer& mixer = stack.mixer_of(profile.layer);
  const bool mixes = mixer.kind != MixerKind::none;
  const Picoseconds shared = shared_launches(overhead.layers, stack.feed_forward_of(profile.layer));
  const Picoseconds host = policy_.compute.host_work;
  if (profile.moe)
    return {mixes ? mixer_launches(overhead.layers, mixer, overhead.attention) + host : Picoseconds{},
            shared};
  if (!mixes) return {overhead.attention + host, {}};
  if (!profile.feed_forward) return {mixer_launches(overhead.layers, mixer, overhead.attention) + host, {}};
  return {layer_launches(overhead.layers, mixer, overhead.dense_layer, overhead.attention) + host, {}};
}

GpuTime CostModel::roofline(double flop, FlopPerSecond rate, double bytes) const {
  const double arithmetic = flop / (rate.value * machine_.gpu.compute_efficiency);
  const double memory = bytes / (machine_.gpu.memory_bandwidth.value * machine_.gpu.memory_efficiency);
  const Picoseconds time = from_seconds(std::max(arithmetic, memory));
  return {time, memory >= arithmetic ? time : Picoseconds{}, {}, {}};
}

namespace {

/// ggml's matrix-vector kernels (MMVQ) serve up to 8 tokens; above that tiles (MMQ) are unpacked once for
/// many.
constexpr int most_vector_tokens = 8;

bool is_packed(double bytes, double weights) {
  constexpr double packed_below = 15;  // bits: 16-bit weights with biases in fp32 among them are above
  return weights > 0 && bytes * 8 / weights < packed_below;
}

}  // namespace

bool CostModel::in_tiles(double bytes, double weights, int tokens) const {
  const GpuSpec& gpu = machine_.gpu;
  return gpu.tile_flop > 0 && gpu.clock_ghz > 0 && tokens > most_vector_tokens && is_packed(bytes, weights);
}

double CostModel::tile_width(int tokens) const {
  constexpr double step = 8;  // columns of a tensor core's product
  return std::min<double>(machine_.gpu.tile_tokens, step * std::ceil(tokens / step));
}

GpuTime CostModel::tiles(double weights, double width, double bytes, const TileFormat& format) const {
  const GpuSpec& gpu = machine_.gpu;
  const double unpacking = gpu.unpacked_per_cycle > 0 ? 1 / gpu.unpacked_per_cycle : 0;
  const double cycles = weights * (unpacking + 2 * width / tile_rate(gpu, format));
  const Picoseconds computed = from_seconds(cycles / (gpu.sm_count * tile_clock(gpu) * 1e9));
  const Picoseconds read = from_seconds(bytes / (gpu.memory_bandwidth.value * gpu.memory_efficiency));
  return computed < read ? GpuTime{read, read, {}, {}} : GpuTime{computed, {}, {}, {}};
}

GpuTime CostModel::moved(double numbers) const {
  const GpuSpec& gpu = machine_.gpu;
  const Picoseconds time =
      from_seconds(numbers * gpu.activation_bytes / (gpu.memory_bandwidth.value * gpu.memory_efficiency));
  return {time, time, {}, {}};
}

GpuTime CostModel::product(double flop, FlopPerSecond rate, double bytes, const PackedRows& rows,
                           const TileFormat& format, int tokens) const {
  const double weights = rows.weights;
  if (in_tiles(bytes, weights, tokens)) {
    const double width = tile_width(tokens);
    return tiles(weights * std::ceil(tokens / width), width, bytes, format);
  }
  const GpuTime time = roofline(flop, rate, bytes);
  const GpuSpec& gpu = machine_.gpu;
  if (gpu.unpacked_per_cycle <= 0 || gpu.clock_ghz <= 0) return time;
  if (tokens > most_vector_tokens || !is_packed(bytes, weights)) return time;
  const Picoseconds unpacking =
      from_seconds(rows.counted / (gpu.sm_count * gpu.clock_ghz * 1e9 * gpu.unpacked_per_cycle));
  return time < unpacking ? GpuTime{unpacking, {}, {}, {}} : time;
}

void CostModel::price_products(LayerClass& layer, int tokens) const {
  if (layer.products.tokens == tokens) return;
  if (layer.kernels) {
    layer.products = {tokens, kernels_->products(layer.kernels->projections, tokens),
                      kernels_->products(layer.kernels->router, tokens),
                      kernels_->products(layer.kernels->feed_forward, tokens)};
    return;
  }
  const LayerProfile& profile = layer.profile;
  const double d_model = model_.d_model;
  const auto with_weights = [&](double flop_per_token, Bytes weights, const TileFormat& format) {
    const auto bytes = static_cast<double>(weights.count);
    const PackedRows rows = packed_rows(flop_per_token / 2 / d_model, d_model, machine_.gpu);
    const GpuTime time = product(tokens * flop_per_token, layer.dense_rate, bytes, rows, format, tokens);
    if (!in_tiles(bytes, flop_per_token / 2, tokens)) return time;
    // What goes in and out of its products, written once and read once, and of the residual stream a norm, an
    // addition and a copy in blocks.
    return time + moved(tokens * (2 * (flop_per_token / 2 / d_model) + 4 * d_model));
  };
  layer.products = {
      tokens,
      with_weights(profile.attention_flop_per_token, profile.attention_weights, layer.attention_tiles),
      {},
      with_weights(profile.ffn_flop_per_token, profile.ffn_weights, layer.ffn_tiles)};
}

void CostModel::price_head(int rows) {
  if (head_rows_ == rows) return;
  head_rows_ = rows;
  head_of_rows_ =
      head_times_ != nullptr ? kernel_time_of(head_times_->fixed + kernel_time(head_times_->points, rows))
      : head_kernel_
          ? kernels_->products(std::span(&*head_kernel_, 1), rows)
          : product(rows * head_flop_per_token_, dense_rate_, static_cast<double>(head_bytes_.count),
                    {head_flop_per_token_ / 2, head_flop_per_token_ / 2},
                    tile_format_of(model_.dense_format.name), rows);
}

double CostModel::longer_launches(const StepShape& shape) const {
  // ggml keeps products of experts with more tokens than its matrix-vector kernels serve out of graphs.
  if (machine_.gpu.tile_flop <= 0 || !is_replayed() || shape.tokens <= most_vector_tokens) return 1;
  const Stack& stack = model_.stacks[static_cast<std::size_t>(shape.model_stack)];
  const auto has_experts = [](const FeedForward& part) { return part.kind == FeedForward::Kind::moe; };
  const bool any = std::any_of(stack.feed_forwards.begin(), stack.feed_forwards.end(), has_experts);
  return any ? 1 / machine_.overhead.replayed : 1;
}

GpuTime CostModel::launched(Picoseconds time) const {
  return launch_time(longer_launches_ > 1 ? from_seconds(time.seconds() * longer_launches_) : time);
}

void CostModel::begin_step(const StepShape& shape) {
  if (low_) low_->begin_step(shape);
  for (const std::unique_ptr<CostModel>& other : others_) other->begin_step(shape);
  const OverheadSpec& overhead = machine_.overhead;
  longer_ = longer_for_prompts(shape);
  launched_layer_ = launched_layer(shape);
  longer_launches_ = longer_launches(shape);
  for (const int index : stack_classes_[static_cast<std::size_t>(shape.model_stack)]) {
    LayerClass& layer = classes_[static_cast<std::size_t>(index)];
    price_products(layer, shape.tokens);
    const LayerProfile& profile = layer.profile;
    const GpuTime& feed_forward = layer.products.feed_forward;
    LayerCost& cost = costs_[static_cast<std::size_t>(index)];
    const auto measured = [&](const KernelTimes* times) {
      return kernel_time_of(times->fixed + kernel_time(times->points, shape.tokens));
    };
    if (profile.moe) {
      cost = {launched(layer.launches.layer) + attention(layer, shape), launched(overhead.gate),
              overhead.gate_readback, launched(layer.launches.shared) + feed_forward};
      if (layer.kernels) cost.gate += layer.products.router;
      if (layer.attention_times != nullptr)
        cost.attention = measured(layer.attention_times) + scores(layer, shape);
      if (layer.gate_times != nullptr) cost.gate = measured(layer.gate_times);
      if (layer.expert_times != nullptr) cost.shared = {};  // they are part of what was measured
    } else if (layer.dense_times != nullptr) {
      cost = {measured(layer.dense_times) + scores(layer, shape), {}, {}, {}};
    } else {
      cost = {launched(layer.launches.layer) + attention(layer, shape) + feed_forward, {}, {}, {}};
    }
    if (longer_ > 1) {
      for (GpuTime* time : {&cost.attention, &cost.gate, &cost.shared})
        *time = with_kernels_times(*time, longer_);
    }
    if (!profile.moe) cost.attention += wait_for_launches(cost.attention);
    if (policy_.kv_cache.on_host()) cost.kv = kv_work(layer, shape);
  }
  step_overhead_ = launch_time(overhead.step + (shape.first_of_request ? request_overhead_ : Picoseconds{}));
  head_ = {};
  // Of a prefill only each sequence's last token needs logits, of a part of one only that of those that end.
  int rows = shape.phase == trace::Phase::prefill ? shape.sequences : shape.tokens;
  if (shape.logit_rows >= 0) rows = shape.logit_rows;
  if (shape.phase != trace::Phase::encoder && rows > 0) {
    price_head(rows);
    head_ = head_of_rows_;
    if (shape.drafting.count > 0) head_ += kernel_time_of(shape.drafting);
  }
}

}  // namespace pregate::sim
