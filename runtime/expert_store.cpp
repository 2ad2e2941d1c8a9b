// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/expert_store.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "models/error.hpp"
#include "runtime/host/system_memory.hpp"
#include "runtime/synthetic_weights.hpp"

namespace pregate::runtime {

namespace {
constexpr std::uint64_t expert_seed = 1;
constexpr std::int64_t alignment = 4096;  ///< of every expert: whole pages, also for direct reads
}  // namespace

ExpertStore::ExpertStore(Device& device, const ModelShape& shape, const sim::ExpertMap& map,
                         std::int64_t distinct, std::uint64_t seed, const WeightFiles* files)
    : bytes_(shape.expert_bytes) {
  stride_ = {(bytes_.count + alignment - 1) / alignment * alignment};
  buffers_ = distinct > 0 ? std::min<std::int64_t>(distinct, map.keys()) : map.keys();
  if (files != nullptr && buffers_ != map.keys())
    throw std::invalid_argument("experts of files that share buffers");
  const Bytes wanted = stride_ * buffers_;
  const Bytes available = system_memory().available;
  if (wanted > available) {
    throw InputError("host memory",
                     std::to_string(buffers_) + " experts of " + to_string(bytes_) + " need " +
                         to_string(wanted) + ", but " + to_string(available) + " are available",
                     "share buffers between experts: --distinct-experts " +
                         std::to_string(std::max<std::int64_t>(1, available.count / 2 / stride_.count)));
  }
  memory_ = device.allocate_pinned(wanted, "expert weights");
  for (std::int64_t i = 0; i < buffers_; ++i) {
    const auto key = static_cast<sim::ExpertKey>(i);
    const PinnedSpan span = expert(key);
    const std::size_t whole =
        static_cast<std::size_t>(bytes_.count / shape.element.count * shape.element.count);
    if (files != nullptr && files->has(key)) {
      files->read(key, shape.type, {span.data(), whole});
    } else {
      fill_synthetic({span.data(), whole}, shape.type, seed_of(seed, key, buffers_), scale(shape));
    }
  }
}

std::uint64_t ExpertStore::seed_of(std::uint64_t seed, sim::ExpertKey key, std::int64_t buffers) {
  return seed_for(seed, expert_seed, key % static_cast<std::uint64_t>(buffers));
}

float ExpertStore::scale(const ModelShape& shape) {
  return std::sqrt(3.0F / static_cast<float>(shape.d_model));
}

}  // namespace pregate::runtime
