// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/cost/collectives.hpp"
#include "sim/expert_placement/expert_homes.hpp"

namespace pregate::sim {

/// Passes under way at once in a pipeline.
inline constexpr int most_batches = 64;

/// Copies of a layer's experts: an expert's tokens are dealt to at most 64 of them.
inline constexpr int most_redundant = 63;

/// How tokens come to the GPUs that have their experts, where GPUs attend to requests of their own.
enum class TokenExchange : std::uint8_t {
  gather,  ///< each gets all tokens, before the gate is read; the sum is scattered afterwards (vLLM)
  route,   ///< each sends a token once for each of its experts that is elsewhere; the results come back
  follow,  ///< as route, but a token stays where its first expert is: all GPUs know all contexts (ExFlow)
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
  /// Numbers of layers of the stages, "20,28". Empty: as many each, or of GPUs that differ by their memory.
  std::string layers = {};
  /// Passes under way at once, at most, each in other stages.
  int batches = 1;
  /// Nobody asked for so many: the software has them. What does not go with several has one then.
  bool usual_batches = false;
  int tensor = 1;  ///< GPUs that share every layer: heads, columns of a feed-forward, the vocabulary
  int data = 1;    ///< such groups in a stage, each with requests of its own
  ExpertShare experts = ExpertShare::columns;
  ExpertSpread spread = ExpertSpread::contiguous;
  /// Instead of `spread`: of each expert of the trace, by key, its GPU in its stage, and further copies.
  std::shared_ptr<const ExpertHomes> homes = nullptr;
  /// Instead of both: a kind of placement (`pregate place`) by which experts are placed before the run, by
  /// what the first half of the trace's steps routes. Empty: none.
  std::string placement = {};
  int redundant = 0;  ///< copies of a layer's experts beside them, as EPLB places them
  /// > 0: EPLB places experts and copies anew after so many passes, by the tokens of the last
  /// `rebalance_window` of them (0: as many).
  int rebalance_every = 0, rebalance_window = 0;
  TokenExchange tokens = TokenExchange::gather;        ///< of data > 1
  AllToAllWay all_to_all = AllToAllWay::hierarchical;  ///< of tokens that are routed, over several hosts
  /// > 0: static gating. Every expert has room for that many times its even share of the tokens of each GPU;
  /// empty rooms are sent and computed as well, and what finds none is dropped. 0: dynamic gating.
  double capacity_factor = 0;

  [[nodiscard]] bool has_copies() const { return redundant > 0 || (homes && !homes->copies.empty()); }
  [[nodiscard]] bool routes() const { return data > 1 && tokens != TokenExchange::gather; }
  [[nodiscard]] int gpus_a_stage() const { return tensor * data; }
  [[nodiscard]] int gpus() const { return pipeline * gpus_a_stage(); }
  [[nodiscard]] bool spreads_experts() const { return experts == ExpertShare::whole; }
  /// A run on one GPU takes the way of several, for tests that hold them against each other.
  bool even_for_one = false;
  /// Of GPUs that do alike only those that take longest are drawn, also where there are few: for tests.
  bool even_for_few = false;
  [[nodiscard]] bool is_one() const { return gpus() == 1 && !even_for_one; }
};

}  // namespace pregate::sim
