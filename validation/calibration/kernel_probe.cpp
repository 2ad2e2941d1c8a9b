// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/kernel_probe.hpp"

#include <algorithm>
#include <chrono>
#include <tuple>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "runtime/execute.hpp"
#include "runtime/shapes.hpp"
#include "validation/calibration/expert_fit.hpp"
#include "validation/calibration/pass_list.hpp"
#include "validation/calibration/round_means.hpp"
#include "validation/calibration/rounds.hpp"

namespace pregate::validation {

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// 1, 2, 4, ... and the end.
std::vector<int> doubling(int least, int most) {
  std::vector<int> values;
  for (int value = least; value < most; value *= 2) values.push_back(value);
  values.push_back(most);
  return values;
}

std::vector<Pass> passes_to_measure(const ModelSpec& model, int most_tokens) {
  std::vector<Pass> passes;
  for (std::size_t s = 0; s < model.stacks.size(); ++s) {
    const MoeBlock& moe = model.stacks[s].first_moe();
    for (const int tokens : doubling(1, most_tokens)) {
      for (const int activated : doubling(moe.top_k, std::min(moe.experts, tokens * moe.top_k)))
        passes.push_back({static_cast<int>(s), tokens, activated});
    }
  }
  return passes;
}

/// What is measured together: an operation of layers with one key, at one point.
struct PointKey {
  KernelKey key;
  int tokens;     ///< of the step; of the layer's experts, theirs together
  int activated;  ///< experts; 1 where the operation has none
  auto operator<=>(const PointKey&) const = default;
};

const char* operation_of(sim::OpKind kind) {
  switch (kind) {
    case sim::OpKind::attention:
      return "attention";
    case sim::OpKind::dense_layer:
      return "dense-layer";
    case sim::OpKind::gate:
      return "gate";
    case sim::OpKind::experts:
      return "experts";
    case sim::OpKind::head:
      return "head";
    default:
      return nullptr;
  }
}

/// In seconds.
struct Samples {
  std::map<PointKey, RoundMeans> operations;
  RoundMeans step, readback, first_fetch, further_fetch;
};

void collect(const ModelSpec& model, const sim::Schedule& schedule, const sim::Timeline& timeline,
             std::size_t passes_a_round, Samples& samples) {
  std::vector<std::vector<LayerProfile>> profiles;
  for (const Stack& stack : model.stacks) profiles.push_back(model.profile(stack));
  const std::vector<Picoseconds> times = effective_times(schedule, timeline);
  bool fetched_before = false;
  for (sim::OpId id = 0; id < static_cast<sim::OpId>(schedule.size()); ++id) {
    const sim::Operation& operation = schedule.operation(id);
    const double seconds = times[static_cast<std::size_t>(id)].seconds();
    const std::size_t round = static_cast<std::size_t>(operation.step) / passes_a_round;
    switch (operation.kind) {
      case sim::OpKind::step_overhead:
        samples.step.add(round, seconds);
        break;
      case sim::OpKind::gate_readback:
        samples.readback.add(round, seconds);
        fetched_before = false;
        break;
      case sim::OpKind::fetch:
        (fetched_before ? samples.further_fetch : samples.first_fetch).add(round, seconds);
        fetched_before = true;
        break;
      default: {
        const char* name = operation_of(operation.kind);
        if (name == nullptr) break;
        const LayerProfile layer = operation.layer < 0
                                       ? LayerProfile{}
                                       : profiles[operation.stack][static_cast<std::size_t>(operation.layer)];
        const KernelKey key = kernel_key(name, model, layer);
        const bool is_experts = operation.kind == sim::OpKind::experts;
        const int activated = is_experts ? operation.count : 1;
        const int tokens = is_experts ? operation.tokens * layer.top_k : operation.tokens;
        samples.operations[{key, tokens, activated}].add(round, seconds);
      }
    }
  }
}

Picoseconds median_time(const std::vector<double>& seconds) { return from_seconds(median(seconds)); }

void summarise(const Samples& samples, OperationProbe& result) {
  std::map<std::string, std::vector<double>> spreads;
  std::map<KernelKey, KernelTimes> all;
  std::map<KernelKey, std::vector<ExpertLayerSample>> expert_layers;
  for (const auto& [point, rounds] : samples.operations) {
    const std::vector<double> seconds = rounds.all();
    spreads[point.key.operation].push_back(relative_spread(seconds));
    if (point.key.operation != "experts") {
      all[point.key].points.push_back({point.tokens, std::max(Picoseconds{1}, median_time(seconds))});
    } else if (point.tokens % point.activated == 0) {  // else some experts got one token more than others
      expert_layers[point.key].push_back(
          {point.tokens / point.activated, point.activated, std::max(1e-12, median(seconds))});
    }
  }
  for (const auto& [key, layers] : expert_layers) all[key] = fit_expert_times(layers);
  for (auto& [key, times] : all) {
    times.key = key;
    result.times.push_back(std::move(times));
  }
  for (const auto& [operation, values] : spreads) {
    result.spreads.push_back({operation, static_cast<int>(values.size()), median(values),
                              *std::max_element(values.begin(), values.end())});
  }
}

}  // namespace

OperationProbe probe_operations(runtime::Device& device, const ModelSpec& model, int most_tokens,
                                const runtime::StoreOptions& experts, double seconds) {
  const std::vector<Pass> grid = passes_to_measure(model, most_tokens);
  runtime::ExecuteOptions options;
  options.experts = experts;
  options.marks_step_overhead = true;
  const runtime::Execution execution =
      execute_rounds(device, model, "on-demand", grid, options, {.seconds = seconds, .most = 200});
  Samples samples;
  collect(model, execution.result.schedule, execution.result.timeline, grid.size(), samples);
  OperationProbe result;
  summarise(samples, result);
  for (const Stack& stack : model.stacks)
    result.expert_bytes = std::max(result.expert_bytes, model.expert_bytes(stack));
  const std::vector<double> first_fetches = samples.first_fetch.all();
  std::vector<double> fetches = samples.further_fetch.all();
  if (fetches.empty()) fetches = first_fetches;
  result.fetch_rate = {static_cast<double>(result.expert_bytes.count) / median(fetches)};
  // Until the host has woken up and issued it, the first copy after a read-back is late; the read-back pays.
  const double wake_up = std::max(0.0, median(first_fetches) - median(fetches));
  result.overhead.step = median_time(samples.step.all());
  result.overhead.gate_readback = from_seconds(median(samples.readback.all()) + wake_up);
  result.spreads.push_back({"fetch of an expert", 1, relative_spread(fetches), relative_spread(fetches)});
  return result;
}

ArithmeticProbe probe_arithmetic(runtime::Device& device, const ModelSpec& model, double seconds) {
  using runtime::ElementType;
  ArithmeticProbe result;
  const auto stream = device.make_stream("compute");
  const auto begin = device.make_event(), end = device.make_event();
  const int width = model.d_model, inner = std::max(256, model.stacks.back().first_moe().ffn_dim);
  constexpr int many = 1024;
  const Bytes matrix{std::int64_t{4} * width * inner};
  const std::int64_t wanted = std::max<std::int64_t>(2, (std::int64_t{256} << 20) / matrix.count);
  const std::int64_t matrices =
      std::max<std::int64_t>(2, std::min(wanted, device.info().memory.count / 8 / matrix.count));
  const runtime::DeviceMemory weights = device.allocate(matrix * matrices, "kernel measurement");
  const runtime::DeviceMemory rows =
      device.allocate(Bytes{std::int64_t{4} * many * width}, "kernel measurement");
  const runtime::DeviceMemory out =
      device.allocate(Bytes{std::int64_t{4} * many * inner}, "kernel measurement");
  stream->fill_zero(weights.span());
  stream->fill_zero(rows.span());
  std::int64_t turn = 0;
  const auto multiply = [&](int count, ElementType type) {
    const Bytes stored = runtime::element_bytes(type) * (std::int64_t{width} * inner);
    stream->gemm({.rows = count,
                  .columns = inner,
                  .inner = width,
                  .a = rows.span().data(),
                  .b = weights.span().part(matrix * (turn++ % matrices), stored).data(),
                  .c = out.span().data(),
                  .type = type,
                  .result = type});
  };
  const auto measure = [&](int count, ElementType type, int queue, double limit) {
    std::vector<double> times;
    const Clock::time_point watch = Clock::now();
    do {
      stream->record(*begin);
      for (int i = 0; i < queue; ++i) multiply(count, type);
      stream->record(*end);
      stream->synchronize();
      times.push_back(device.elapsed(*begin, *end).seconds() / queue);
    } while (times.size() < 4 || (times.size() < 40 && since(watch) < limit));
    times.erase(times.begin());  // warm-up
    return median(times);
  };
  const double each = seconds / (2 + static_cast<double>(device.info().types.size()));
  for (const ElementType type : device.info().types) {
    const double time = measure(many, type, 2, each);
    result.rates[runtime::to_string(type)] = {2.0 * many * width * inner / time};
  }
  const int queue = static_cast<int>(std::min<std::int64_t>(matrices, 32));
  result.memory_bandwidth = {static_cast<double>(matrix.count) / measure(1, ElementType::f32, queue, each)};
  Bytes expert;
  for (const Stack& stack : model.stacks) expert = std::max(expert, model.expert_bytes(stack));
  const double one = static_cast<double>(matrix.count) / result.memory_bandwidth.value;
  const int lasting = static_cast<int>(std::clamp(0.05 / one, 4.0, 20'000.0));  // 50 ms of kernels
  result.interference = probe_interference(
      device, *stream,
      [&] {
        for (int i = 0; i < lasting; ++i) multiply(1, ElementType::f32);
      },
      expert, 9);
  return result;
}

}  // namespace pregate::validation
