// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/model.hpp"
#include "models/units.hpp"

namespace pregate::sim {

/// What a GPU has for cached keys and values, of the layers and heads that are its own.
struct KvShare {
  const ModelSpec* model = nullptr;  ///< of that GPU; outlives what is made of this
  Bytes memory;
};

/// KV memory that requests take block by block as their tokens come (vLLM's PagedAttention). A sequence of n
/// tokens holds ModelSpec::kv_bytes() of n rounded up to whole blocks: of layers that attend to a window no
/// more than that has, of linear attention its state. On several GPUs a block is taken on each.
class KvBlocks {
 public:
  /// `block` >= 1: tokens of one.
  KvBlocks(std::span<const KvShare> shares, int block);

  /// Blocks of a sequence of so many tokens.
  [[nodiscard]] int blocks_of(int tokens) const { return (tokens + block_ - 1) / block_; }
  /// Whether a sequence of so many blocks fits where nothing else is.
  [[nodiscard]] bool can_ever_hold(int blocks);
  /// A sequence of `from` blocks gets `to` >= `from`; false, and nothing is taken, where a GPU has no room.
  bool grow(int from, int to);
  void release(int blocks);

 private:
  struct Gpu {
    KvShare share;
    Bytes held;
    std::vector<Bytes> of_blocks = {Bytes{}};  ///< by number of blocks, as far as it was asked for
  };
  Bytes bytes(Gpu& gpu, int blocks) const;

  std::vector<Gpu> gpus_;
  int block_;
};

}  // namespace pregate::sim
