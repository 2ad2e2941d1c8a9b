// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "models/model.hpp"
#include "sim/run/pass_runner.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// What a pass costs depends on, beside the load of its MoE layers.
struct LoggedShape {
  StepShape shape;  ///< its `alike` is in `alike`
  std::vector<AlikeSequences> alike;
  int stack = 0;  ///< of the trace
};

/// How many tokens the activated experts of a MoE layer get.
struct LoggedLoad {
  int layer = 0;  ///< of its stack: this one, or one that costs the same
  std::uint32_t activated = 0, routed = 0;
  std::size_t first_token = 0;  ///< of each activated expert, in PassLog::tokens
  std::int64_t layers = 0;      ///< MoE layers of its body that have it
};

/// Passes that cost the same but for copies.
struct LoggedBody {
  std::uint32_t shape = 0;
  std::size_t first_load = 0, loads = 0;  ///< distinct ones, in PassLog::loads
  std::size_t first_layer = 0;  ///< in load_of_layer: of each MoE layer, as a place among those loads
  std::int64_t passes = 0;
};

/// For hash tables of what passes have in common.
struct LogKey {
  using Words = std::vector<std::uint32_t>;
  struct Hash {
    std::size_t operator()(const Words& words) const;
  };
  using Numbers = std::unordered_map<Words, std::uint32_t, Hash>;
};

/// What the passes of a run cost beside copies, which no policy decides: passes that cost the same are kept
/// once.
class PassLog {
 public:
  /// The map outlives the driving.
  PassLog(const ModelSpec& model, const ExpertMap& map);

  /// The number of its body.
  std::uint32_t add(const Pass& pass);
  /// No pass follows.
  void finish();

  /// MoE layers of a stack, as copies and loads have them.
  [[nodiscard]] std::size_t moe_layers(int stack) const;
  /// What it holds, in numbers of 32 bits.
  [[nodiscard]] std::size_t words() const;

  std::vector<LoggedShape> shapes;
  std::vector<LoggedBody> bodies;
  std::vector<LoggedLoad> loads;
  std::vector<std::uint16_t> load_of_layer;
  std::vector<std::uint32_t> tokens;
  std::vector<std::uint32_t> body_of_pass;  ///< in the order of passes
  std::int64_t layers_run = 0;              ///< of all passes

 private:
  std::uint32_t shape_of(const Pass& pass);
  std::uint32_t body_of(const Pass& pass);

  const ExpertMap& map_;
  std::vector<int> alike_layer_;  // by ordinal: the first layer of its stack that costs the same
  LogKey::Numbers shape_numbers_, body_numbers_;
  LogKey::Words key_;
};

}  // namespace pregate::sim
