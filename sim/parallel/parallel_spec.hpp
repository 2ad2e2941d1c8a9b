// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace pregate::sim {

/// How tokens come to the GPUs that have their experts, where GPUs attend to requests of their own.
enum class TokenExchange : std::uint8_t {
  gather,  ///< each gets all tokens, before the gate is read; the sum is scattered afterwards (vLLM)
  route,   ///< each sends a token once for each of its experts that is elsewhere; the results come back
};

/// Which GPU gets which experts of a layer, where they are spread.
enum class ExpertSpread : std::uint8_t {
  contiguous,   ///< the first n / g of them to the first GPU, as vLLM and SGLang do
  round_robin,  ///< expert e to GPU e mod g
};

/// What each GPU of a stage has of a layer's experts.
enum class ExpertShare : std::uint8_t { columns, whole };

/// How a model is spread over GPUs alike. Every GPU belongs to one stage of layers; those of a stage attend
/// together to the same requests (tensor), or each group of them to its own (data).
struct ParallelSpec {
  int pipeline = 1;  ///< stages: each has its layers, one after the other, and passes on what it computed
  int tensor = 1;    ///< GPUs that share every layer: heads, columns of a feed-forward, the vocabulary
  int data = 1;      ///< such groups in a stage, each with requests of its own
  ExpertShare experts = ExpertShare::columns;
  ExpertSpread spread = ExpertSpread::contiguous;
  /// Instead of `spread`: of each expert of the trace, by key, its GPU in its stage.
  std::shared_ptr<const std::vector<std::uint8_t>> homes = nullptr;
  TokenExchange tokens = TokenExchange::gather;  ///< of data > 1

  [[nodiscard]] int gpus_a_stage() const { return tensor * data; }
  [[nodiscard]] int gpus() const { return pipeline * gpus_a_stage(); }
  [[nodiscard]] bool spreads_experts() const { return experts == ExpertShare::whole; }
  /// A run on one GPU takes the way of several, for tests that hold them against each other.
  bool even_for_one = false;
  [[nodiscard]] bool is_one() const { return gpus() == 1 && !even_for_one; }
};

}  // namespace pregate::sim
