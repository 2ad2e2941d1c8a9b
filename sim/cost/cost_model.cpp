// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/cost_model.hpp"

#include <algorithm>
#include <cmath>

#include "models/error.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/program/copy_plan.hpp"

namespace pregate::sim {

namespace {

bool same_costs(LayerProfile a, LayerProfile b) {
  a.layer = b.layer = 0;
  return a == b;
}

double ceil_div(double a, double b) { return std::ceil(a / b); }

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
         {&overhead.dense_layer, &overhead.attention, &overhead.gate, &overhead.experts})
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
  const auto times = [this](const char* operation, const LayerProfile& profile) {
    return find_kernel_times(machine_.kernel_times, kernel_key(operation, model_, profile));
  };
  head_times_ = times("head", {});
  for (const Stack& stack : model.stacks) {
    std::vector<int> classes;
    std::vector<int> distinct;
    for (const LayerProfile& profile : model.profile(stack)) {
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
      distinct.push_back(static_cast<int>(classes_.size()));
      classes.push_back(static_cast<int>(classes_.size()));
      classes_.push_back(
          {profile,
           dense_rate_,
           compute_rate(machine.gpu, profile.moe ? profile.expert_compute : model.expert_format.compute),
           times("attention", profile),
           times("dense-layer", profile),
           times("gate", profile),
           times("experts", profile),
           std::vector<GpuTime>(static_cast<std::size_t>(profile.experts) + 1, GpuTime{{-1}, {}, {}, {}}),
           {},
           launches_of(stack, profile),
           kernels_ ? std::optional(layer_kernels(model_, stack, profile, kernels_->gpu())) : std::nullopt});
    }
    classes_of_.push_back(std::move(classes));
    stack_classes_.push_back(std::move(distinct));
  }
  costs_.resize(classes_.size());
  if (policy.formats.low.empty()) {
    unpack_ = policy.formats.unpack;
  } else if (policy.miss.service->uses_low_format) {
    price_low_format();
  }

  if (policy.kv_cache.on_host()) check_kv_cache();
  const CopyPlan copies = copy_plan(model, policy.transfer.chunk, policy.formats.copied);
  const Bytes expert = copy_plan(model, {}).expert();
  chunks_ = copies.chunks;
  const int calls = chunks_ == 1 ? machine.overhead.copy_calls : 1;  // a chunk is a call
  fetch_ = copy_cost(machine.h2d, copies.chunk, policy.transfer.pinned, calls);
  last_chunk_ = copy_cost(machine.h2d, copies.last, policy.transfer.pinned, calls);
  if (policy.formats.cached < 1)
    rest_ = copy_cost(machine.h2d, expert - share_of_expert(expert, policy.formats.cached),
                      policy.transfer.pinned, calls);
  write_back_ = copy_cost(machine.d2h, expert, policy.transfer.pinned);
  if (machine.ssd.read_bandwidth.value > 0) {
    drive_read_ = copy_cost(drive_to_host, expert);
    next_drive_read_ = overlapped(drive_read_, machine.ssd.read_depth);
  }
  const auto& service = policy.miss.service;
  if (service->read_rate) {
    read_rate_ = service->read_rate(service.parameters());
    const BytesPerSecond link = copy_cost(machine.h2d, expert, true).rate;
    if (read_rate_ > link) {
      throw InputError("policy.miss.rate",
                       "kernels cannot read faster than copies of experts go over the link",
                       "lower it, or leave it out: then they read as fast");
    }
    if (read_rate_.value <= 0) read_rate_ = link;
  }
  const int staging = policy.transfer.staging_copies;
  if (staging > 0) {
    device_copy_ =
        machine.overhead.device_copy * staging + time_at(expert, machine.gpu.device_copy_bandwidth);
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

GpuTime CostModel::product(double flop, FlopPerSecond rate, double bytes, double weights, int tokens) const {
  const GpuTime time = roofline(flop, rate, bytes);
  const GpuSpec& gpu = machine_.gpu;
  if (gpu.unpacked_per_cycle <= 0 || gpu.clock_ghz <= 0 || weights <= 0) return time;
  // ggml's matrix-vector kernels (MMVQ) serve up to 8 tokens; above that tiles are unpacked once for many.
  constexpr int most_tokens = 8;
  constexpr double packed_below = 15;  // bits: 16-bit weights with biases in fp32 among them are above
  if (tokens > most_tokens || bytes * 8 / weights >= packed_below) return time;
  const Picoseconds unpacking =
      from_seconds(weights / (gpu.sm_count * gpu.clock_ghz * 1e9 * gpu.unpacked_per_cycle));
  return time < unpacking ? GpuTime{unpacking, {}, {}, {}} : time;
}

GpuTime CostModel::projections(const LayerClass& layer, int tokens) const {
  if (layer.kernels) return layer.products.projections;
  const double flop = layer.profile.attention_flop_per_token;
  return product(tokens * flop, layer.dense_rate, static_cast<double>(layer.profile.attention_weights.count),
                 flop / 2, tokens);
}

void CostModel::price_products(LayerClass& layer, int tokens) const {
  if (!layer.kernels || layer.products.tokens == tokens) return;
  layer.products = {tokens, kernels_->products(layer.kernels->projections, tokens),
                    kernels_->products(layer.kernels->router, tokens),
                    kernels_->products(layer.kernels->feed_forward, tokens)};
}

GpuTime CostModel::experts_by_kernels(LayerClass& layer, std::span<const std::uint32_t> tokens,
                                      std::uint32_t routed) const {
  // Where no expert fills more than the smallest tile, only how many there are of what tells loads apart.
  const auto smallest = static_cast<std::uint32_t>(kernel_tile_rows.front());
  if (*std::max_element(tokens.begin(), tokens.end()) > smallest)
    return kernels_->experts(*layer.kernels, tokens);
  auto& few = layer.few_tokens;
  if (few.routed != routed || few.by_active.empty()) {
    few.routed = routed;
    few.by_active.assign(static_cast<std::size_t>(layer.profile.experts) + 1, GpuTime{{-1}, {}, {}, {}});
  }
  GpuTime& known = few.by_active[tokens.size()];
  if (known.count < 0) known = kernels_->experts(*layer.kernels, tokens);
  return known;
}

void CostModel::begin_step(const StepShape& shape) {
  if (low_) low_->begin_step(shape);
  for (const std::unique_ptr<CostModel>& other : others_) other->begin_step(shape);
  const OverheadSpec& overhead = machine_.overhead;
  longer_ = longer_for_prompts(shape);
  for (const int index : stack_classes_[static_cast<std::size_t>(shape.model_stack)]) {
    LayerClass& layer = classes_[static_cast<std::size_t>(index)];
    price_products(layer, shape.tokens);
    const LayerProfile& profile = layer.profile;
    const GpuTime feed_forward = layer.kernels
                                     ? kernels_->products(layer.kernels->feed_forward, shape.tokens)
                                     : product(shape.tokens * profile.ffn_flop_per_token, layer.dense_rate,
                                               static_cast<double>(profile.ffn_weights.count),
                                               profile.ffn_flop_per_token / 2, shape.tokens);
    LayerCost& cost = costs_[static_cast<std::size_t>(index)];
    const auto measured = [&](const KernelTimes* times) {
      return kernel_time_of(times->fixed + kernel_time(times->points, shape.tokens));
    };
    if (profile.moe) {
      cost = {launch_time(layer.launches.layer) + attention(layer, shape), launch_time(overhead.gate),
              overhead.gate_readback, launch_time(layer.launches.shared) + feed_forward};
      if (layer.kernels) cost.gate += layer.products.router;
      if (layer.attention_times != nullptr)
        cost.attention = measured(layer.attention_times) + scores(layer, shape);
      if (layer.gate_times != nullptr) cost.gate = measured(layer.gate_times);
      if (layer.expert_times != nullptr) cost.shared = {};  // they are part of what was measured
    } else if (layer.dense_times != nullptr) {
      cost = {measured(layer.dense_times) + scores(layer, shape), {}, {}, {}};
    } else {
      cost = {launch_time(layer.launches.layer) + attention(layer, shape) + feed_forward, {}, {}, {}};
    }
    if (longer_ > 1) {
      for (GpuTime* time : {&cost.attention, &cost.gate, &cost.shared})
        *time = with_kernels_times(*time, longer_);
    }
    if (policy_.kv_cache.on_host()) cost.kv = kv_work(layer, shape);
  }
  step_overhead_ = launch_time(overhead.step + (shape.first_of_request ? request_overhead_ : Picoseconds{}));
  head_ = {};
  // Of a prefill only each sequence's last token needs logits, of a part of one only that of those that end.
  int rows = shape.phase == trace::Phase::prefill ? shape.sequences : shape.tokens;
  if (shape.logit_rows >= 0) rows = shape.logit_rows;
  if (shape.phase != trace::Phase::encoder && rows > 0) {
    head_ = head_times_ != nullptr
                ? kernel_time_of(head_times_->fixed + kernel_time(head_times_->points, rows))
            : head_kernel_ ? kernels_->products(std::span(&*head_kernel_, 1), rows)
                           : product(rows * head_flop_per_token_, dense_rate_,
                                     static_cast<double>(head_bytes_.count), head_flop_per_token_ / 2, rows);
    if (shape.drafting.count > 0) head_ += kernel_time_of(shape.drafting);
  }
}

GpuTime CostModel::grouped_gemm(const LayerClass& layer, std::span<const std::uint32_t> tokens,
                                std::uint32_t routed, int step_tokens) const {
  const LayerProfile& profile = layer.profile;
  const double bytes = static_cast<double>(tokens.size()) * static_cast<double>(profile.expert.count);
  const double weights = static_cast<double>(tokens.size()) * profile.expert_flop_per_token / 2;
  const GpuTime ideal =
      product(routed * profile.expert_flop_per_token, layer.expert_rate, bytes, weights, step_tokens);
  const GpuSpec& gpu = machine_.gpu;
  if (gpu.grouped_gemm_tile_rows <= 0) return ideal;
  // Whole tiles in waves of one tile an SM: an expert with one token costs as much as one with tile_rows of
  // them.
  const double tile_rows = gpu.grouped_gemm_tile_rows;
  const double tile_columns = gpu.grouped_gemm_tile_columns;
  double row_tiles = 0;
  for (const std::uint32_t count : tokens) row_tiles += ceil_div(count, tile_rows);
  const double sm_rate = layer.expert_rate.value / gpu.sm_count * gpu.grouped_gemm_efficiency;
  const auto gemm = [&](double columns, double inner) {
    const double waves = ceil_div(row_tiles * ceil_div(columns, tile_columns), gpu.sm_count);
    return waves * 2 * tile_rows * tile_columns * inner / sm_rate;
  };
  const double tiled = gemm(profile.expert_gemm_columns_in, profile.expert_gemm_columns_out) +
                       gemm(profile.expert_gemm_columns_out, profile.expert_ffn_dim);
  const Picoseconds whole_tiles = from_seconds(tiled);
  return ideal < whole_tiles ? GpuTime{whole_tiles, {}, {}, {}} : ideal;
}

GpuTime CostModel::one_by_one(LayerClass& layer, std::span<const std::uint32_t> tokens) {
  const KernelTimes& times = *layer.expert_times;
  constexpr std::uint32_t most_kept = 4096;
  Picoseconds sum = times.fixed;
  for (const std::uint32_t count : tokens) {
    if (count > most_kept) {
      sum += kernel_time(times.points, static_cast<int>(count));
      continue;
    }
    if (layer.by_tokens.size() <= count) layer.by_tokens.resize(std::size_t{count} + 1);
    Picoseconds& known = layer.by_tokens[count];
    if (known.count == 0) known = kernel_time(times.points, static_cast<int>(count));
    sum += known;
  }
  return kernel_time_of(sum);
}

Picoseconds CostModel::one_expert(int layer_class, std::uint32_t tokens) const {
  const LayerClass& layer = classes_[static_cast<std::size_t>(layer_class)];
  if (layer.expert_times != nullptr)
    return unpack(layer_class, 1) +
           kernel_time(layer.expert_times->points, static_cast<int>(std::min(tokens, 1U << 30)));
  const int most = static_cast<int>(std::min(tokens, 1U << 30));
  return unpack(layer_class, 1) + grouped_gemm(layer, {&tokens, 1}, tokens, most).whole();
}

GpuTime CostModel::routed_experts(LayerClass& layer, std::span<const std::uint32_t> tokens,
                                  std::uint32_t routed, int step_tokens) const {
  if (tokens.empty()) return launch_time(machine_.overhead.experts);
  if (layer.expert_times != nullptr) return one_by_one(layer, tokens);
  if (!machine_.expert_kernel_table.empty()) {
    return kernel_time_of(
        kernel_time(machine_.expert_kernel_table, step_tokens, static_cast<int>(tokens.size())));
  }
  const GpuTime products = layer.kernels ? experts_by_kernels(layer, tokens, routed)
                                         : grouped_gemm(layer, tokens, routed, step_tokens);
  return launch_time(machine_.overhead.experts) + products;
}

GpuTime CostModel::experts(int layer_class, std::span<const std::uint32_t> tokens, std::uint32_t routed,
                           int step_tokens, bool with_shared, std::optional<double> longer) {
  LayerClass& layer = classes_[static_cast<std::size_t>(layer_class)];
  const GpuTime shared = with_shared ? costs_[static_cast<std::size_t>(layer_class)].shared : GpuTime{};
  const auto in_pass = [&, times = longer.value_or(longer_)](const GpuTime& alone) {
    const GpuTime time = times > 1 ? with_kernels_times(alone, times) : alone;
    return shared + time + kernel_time_of(unpack(layer_class, tokens.size()));
  };
  if (step_tokens != 1 || routed != tokens.size())
    return in_pass(routed_experts(layer, tokens, routed, step_tokens));
  GpuTime& known = layer.single_token[tokens.size()];
  if (known.count < 0) known = routed_experts(layer, tokens, routed, step_tokens);
  return in_pass(known);
}

}  // namespace pregate::sim
