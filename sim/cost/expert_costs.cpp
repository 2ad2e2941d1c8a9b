// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Routed experts on the GPU.
#include <algorithm>
#include <cmath>

#include "sim/cost/cost_model.hpp"

namespace pregate::sim {

namespace {

double ceil_div(double a, double b) { return std::ceil(a / b); }

}  // namespace

GpuTime CostModel::experts_by_kernels(LayerClass& layer, std::span<const std::uint32_t> tokens,
                                      std::uint32_t routed, int step_tokens) const {
  const ExpertLayer of{static_cast<double>(step_tokens), static_cast<double>(layer.profile.top_k),
                       static_cast<double>(layer.profile.experts)};
  // Where no expert fills more than the smallest tile, only how many there are of what tells loads apart.
  const auto smallest = static_cast<std::uint32_t>(expert_block_rows.front());
  if (*std::max_element(tokens.begin(), tokens.end()) > smallest)
    return kernels_->experts(*layer.kernels, tokens, of);
  auto& few = layer.few_tokens;
  if (few.routed != routed || few.step_tokens != step_tokens || few.by_active.empty()) {
    few.routed = routed;
    few.step_tokens = step_tokens;
    few.by_active.assign(static_cast<std::size_t>(layer.profile.experts) + 1, GpuTime{{-1}, {}, {}, {}});
  }
  GpuTime& known = few.by_active[tokens.size()];
  if (known.count < 0) known = kernels_->experts(*layer.kernels, tokens, of);
  return known;
}

GpuTime CostModel::grouped_gemm(const LayerClass& layer, std::span<const std::uint32_t> tokens,
                                std::uint32_t routed, int step_tokens) const {
  const LayerProfile& profile = layer.profile;
  const double bytes = static_cast<double>(tokens.size()) * static_cast<double>(profile.expert.count);
  const double weights = static_cast<double>(tokens.size()) * profile.expert_flop_per_token / 2;
  if (in_tiles(bytes, weights, step_tokens)) {
    const double width = tile_width(step_tokens);
    double of_experts = 0;
    for (const std::uint32_t count : tokens) of_experts += ceil_div(count, width);
    // Gate and up, what the activation makes of them, the products of down, which are weighed and summed up.
    const double numbers = 2.0 * profile.expert_gemm_columns_in + 2.0 * profile.expert_ffn_dim +
                           4.0 * profile.expert_gemm_columns_out;
    return tiles(of_experts * profile.expert_flop_per_token / 2, width, bytes, layer.expert_tiles) +
           moved(routed * numbers);
  }
  const GpuSpec& gpu = machine_.gpu;
  const PackedRows rows = packed_rows(profile.expert_gemm_columns_in, profile.expert_gemm_columns_out, gpu) +
                          packed_rows(profile.expert_gemm_columns_out, profile.expert_ffn_dim, gpu);
  const GpuTime ideal = product(routed * profile.expert_flop_per_token, layer.expert_rate, bytes,
                                static_cast<double>(tokens.size()) * rows, layer.expert_tiles, step_tokens);
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
  return unpack(layer_class, 1) + machine_.overhead.expert +
         grouped_gemm(layer, {&tokens, 1}, tokens, most).whole();
}

GpuTime CostModel::routed_experts(LayerClass& layer, std::span<const std::uint32_t> tokens,
                                  std::uint32_t routed, int step_tokens) const {
  if (tokens.empty()) return launched(machine_.overhead.experts);
  if (layer.expert_times != nullptr) return one_by_one(layer, tokens);
  if (!machine_.expert_kernel_table.empty()) {
    return kernel_time_of(
        kernel_time(machine_.expert_kernel_table, step_tokens, static_cast<int>(tokens.size())));
  }
  const GpuTime products = layer.kernels ? experts_by_kernels(layer, tokens, routed, step_tokens)
                                         : grouped_gemm(layer, tokens, routed, step_tokens);
  const auto experts = static_cast<std::int64_t>(tokens.size());
  return launched(machine_.overhead.experts + machine_.overhead.expert * experts) + products;
}

GpuTime CostModel::experts(int layer_class, std::span<const std::uint32_t> tokens, std::uint32_t routed,
                           int step_tokens, bool with_shared, std::optional<double> longer) {
  LayerClass& layer = classes_[static_cast<std::size_t>(layer_class)];
  const LayerCost& cost = costs_[static_cast<std::size_t>(layer_class)];
  const auto in_pass = [&, times = longer.value_or(longer_)](const GpuTime& alone) {
    const GpuTime routed = (times > 1 ? with_kernels_times(alone, times) : alone) +
                           kernel_time_of(unpack(layer_class, tokens.size()));
    if (!with_shared) return routed;
    const GpuTime time = cost.shared + routed;
    return time + wait_for_launches(cost.attention + cost.gate + time);
  };
  if (step_tokens != 1 || routed != tokens.size())
    return in_pass(routed_experts(layer, tokens, routed, step_tokens));
  GpuTime& known = layer.single_token[tokens.size()];
  if (known.count < 0) known = routed_experts(layer, tokens, routed, step_tokens);
  return in_pass(known);
}

}  // namespace pregate::sim
