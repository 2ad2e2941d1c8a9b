// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/model.hpp"
#include "models/units.hpp"

namespace pregate {

/// Measured time of a fused kernel over all experts of a layer.
struct ExpertKernelPoint {
  int tokens = 0;
  int activated_experts = 0;
  Picoseconds time;
};

/// Measured time of an operation.
struct KernelPoint {
  int tokens = 0;  ///< of the step; of one expert where the operation is "experts"
  Picoseconds time;
};

/// What a table of kernel times is about: an operation of layers that do this work. Two layers with the same
/// key cost the same, whatever model they belong to.
struct KernelKey {
  std::string operation;           ///< "attention", "dense-layer", "gate", "experts" or "head"
  std::string precision;           ///< name of the weight format
  std::vector<std::int64_t> work;  ///< see kernel_key()
  auto operator<=>(const KernelKey&) const = default;
};

/// Times measured on this machine, launches included; they replace overhead and roofline. Experts that are
/// computed one after another take `fixed` and each its own time, by the tokens that it got.
struct KernelTimes {
  KernelKey key;
  std::vector<KernelPoint> points;  ///< by tokens, at least one
  Picoseconds fixed = {};           ///< once an operation, whatever it works on
};

/// Names of the operations that may be measured.
std::vector<std::string> kernel_operations();

/// Work of an operation in a layer of the model: attention [d_model, FLOP a token]; dense-layer, those and
/// the FLOP of its feed-forward; gate [d_model, experts]; experts [bytes of one, FLOP a token of one, FLOP a
/// token of the shared ones and the router]; head (no layer) [d_model, vocabulary].
KernelKey kernel_key(const std::string& operation, const ModelSpec& model, const LayerProfile& layer);
/// The table with this key, or nullptr.
const KernelTimes* find_kernel_times(std::span<const KernelTimes> all, const KernelKey& key);

/// Whether they have the experts of every MoE layer of the model, in the format that it has them.
bool has_expert_times(std::span<const KernelTimes> all, const ModelSpec& model);

/// `fixed` not included. Linear between the points; above the last one the slope of the last two continues
/// (in proportion to the tokens where there is but one), below the first one it is the first one's.
Picoseconds kernel_time(std::span<const KernelPoint> points, int tokens);

/// Time at (tokens, activated experts): linear interpolation in both directions; beyond the grid in
/// proportion. `points` must not be empty.
Picoseconds kernel_time(std::span<const ExpertKernelPoint> points, int tokens, int activated);

}  // namespace pregate
