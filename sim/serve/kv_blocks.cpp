// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/kv_blocks.hpp"

#include <algorithm>

namespace pregate::sim {

KvBlocks::KvBlocks(std::span<const KvShare> shares, int block) : block_(block) {
  gpus_.reserve(shares.size());
  for (const KvShare& share : shares) gpus_.push_back({.share = share, .held = {}});
}

Bytes KvBlocks::bytes(Gpu& gpu, int blocks) const {
  for (auto known = static_cast<std::int64_t>(gpu.of_blocks.size()); known <= blocks; ++known)
    gpu.of_blocks.push_back(gpu.share.model->kv_bytes(known * block_));
  return gpu.of_blocks[static_cast<std::size_t>(blocks)];
}

bool KvBlocks::can_ever_hold(int blocks) {
  return std::all_of(gpus_.begin(), gpus_.end(),
                     [&](Gpu& gpu) { return bytes(gpu, blocks) <= gpu.share.memory; });
}

bool KvBlocks::grow(int from, int to) {
  const bool fits = std::all_of(gpus_.begin(), gpus_.end(), [&](Gpu& gpu) {
    return gpu.held + bytes(gpu, to) - bytes(gpu, from) <= gpu.share.memory;
  });
  if (!fits) return false;
  for (Gpu& gpu : gpus_) gpu.held += bytes(gpu, to) - bytes(gpu, from);
  return true;
}

void KvBlocks::release(int blocks) {
  for (Gpu& gpu : gpus_) gpu.held = gpu.held - bytes(gpu, blocks);
}

}  // namespace pregate::sim
