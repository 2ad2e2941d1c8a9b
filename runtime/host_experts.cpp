// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/host_experts.hpp"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "runtime/with_element.hpp"

namespace pregate::runtime {

namespace {

Bytes on_lines(Bytes size) { return {(size.count + 255) / 256 * 256}; }

/// Stores sums as elements of the device's rows.
void store_as(ElementType type, const std::vector<float>& values, std::byte* to) {
  with_element(type, [&](auto element) {
    using Element = decltype(element);
    auto* const rows = reinterpret_cast<Element*>(to);
    for (std::size_t i = 0; i < values.size(); ++i) rows[i] = kernels::from_float<Element>(values[i]);
  });
}

}  // namespace

HostExperts::HostExperts(Device& device, Stream& stream, LayerRunner& runner, const ModelShape& shape,
                         const sim::ExpertMap& map, const sim::TraceScan& scan)
    : runner_(runner), shape_(shape), map_(map), team_(device.info().cpu_cores), feed_forward_(team_) {
  const std::int64_t tokens = scan.most_step_tokens;
  int top_k = 1;
  for (const sim::MoeLayer& layer : map.layers()) top_k = std::max(top_k, layer.top_k);
  const Bytes all_rows = on_lines(rows(tokens)), words = on_lines({4 * tokens}),
              all_weights{4 * tokens * top_k};
  device_ = device.allocate(all_rows + words * 2, "what the CPU computed");
  returned_ = device_.span().part({}, all_rows);
  identity_ = device_.span().part(all_rows, {4 * tokens});
  ones_ = device_.span().part(all_rows + words, {4 * tokens});
  host_ = device.allocate_page_locked(all_rows * 2 + on_lines(all_weights) + words, "rows for the CPU");
  input_ = host_.span().part({}, all_rows);
  sum_ = host_.span().part(all_rows, all_rows);
  weights_ = host_.span().part(all_rows * 2, all_weights);

  const PageLockedSpan passing = host_.span().part({}, {4 * tokens});
  std::iota(passing.as<std::int32_t>(), passing.as<std::int32_t>() + tokens, 0);
  stream.copy_to_device(identity_, passing);
  const PageLockedSpan ones = host_.span().part(all_rows, {4 * tokens});
  std::fill_n(ones.as<float>(), tokens, 1.0F);
  stream.copy_to_device(ones_, ones);
  stream.synchronize();
}

void HostExperts::send(Stream& stream) {
  const DeviceSpan normed = runner_.normed(), weights = runner_.gate_weights();
  stream.copy_to_host(input_.part({}, normed.size()), normed);
  stream.copy_to_host(weights_.part({}, weights.size()), weights);
}

void HostExperts::compute(Stream& stream, int ordinal, std::span<const Held> experts) {
  const sim::MoeLayer& layer = map_.layers()[static_cast<std::size_t>(ordinal)];
  auto job = std::make_shared<Job>();
  job->shape = &runner_.expert_shape();
  job->tokens = runner_.tokens();
  job->top_k = layer.top_k;
  job->first = layer.first_key;
  job->experts.assign(experts.begin(), experts.end());
  const std::span<const std::int32_t> ids = runner_.known_ids();
  job->ids.assign(ids.begin(), ids.end());
  stream.call([this, job = std::move(job)] { run(*job); });
}

void HostExperts::run(const Job& job) {
  const auto d = static_cast<std::size_t>(shape_.d_model);
  const std::vector<std::int32_t>& ids = job.ids;
  total_.assign(static_cast<std::size_t>(job.tokens) * d, 0.0F);
  for (const Held& held : job.experts) {
    const auto expert = static_cast<std::int32_t>(held.key - job.first);
    chosen_.clear();
    gathered_.clear();
    for (std::size_t pair = 0; pair < ids.size(); ++pair) {
      if (ids[pair] != expert) continue;
      const std::size_t token = pair / static_cast<std::size_t>(job.top_k);
      chosen_.emplace_back(token, weights_.as<float>()[pair]);
      with_element(shape_.type, [&](auto element) {
        const auto* const row = input_.as<decltype(element)>() + token * d;
        for (std::size_t i = 0; i < d; ++i) gathered_.push_back(kernels::to_float(row[i]));
      });
    }
    feed_forward_.compute(*job.shape, shape_, held.weights, gathered_, computed_);
    for (std::size_t i = 0; i < chosen_.size(); ++i) {
      const auto [token, weight] = chosen_[i];
      for (std::size_t column = 0; column < d; ++column)
        total_[token * d + column] += weight * computed_[i * d + column];
    }
  }
  store_as(shape_.type, total_, sum_.data());
}

void HostExperts::receive(Stream& stream) {
  const Bytes size = rows(runner_.tokens());
  stream.copy_to_device(returned_.part({}, size), sum_.part({}, size));
}

/// The kernel of a layer's own combination, with one expert a token: what came back, at weight one.
void HostExperts::combine(Stream& stream) {
  with_element(shape_.type, [&](auto element) {
    using Element = decltype(element);
    const DeviceSpan hidden = runner_.hidden();
    stream.launch(kernels::CombineArgs<Element>{.permuted = returned_.as<Element>(),
                                                .positions = identity_.as<std::int32_t>(),
                                                .gate_weights = ones_.as<float>(),
                                                .residual = hidden.as<Element>(),
                                                .output = hidden.as<Element>(),
                                                .tokens = runner_.tokens(),
                                                .top_k = 1,
                                                .width = shape_.d_model});
  });
}

}  // namespace pregate::runtime
