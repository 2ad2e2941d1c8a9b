// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/model.hpp"
#include "models/units.hpp"

namespace pregate {

/// Measured time of a kernel or a group of them.
struct ExpertKernelPoint {
  int tokens = 0;
  int activated_experts = 0;  ///< 1 where the operation has no experts
  Picoseconds time;
};

/// What a table of kernel times is about: an operation of layers that do this work. Two layers with the same
/// key cost the same, whatever model they belong to.
struct KernelKey {
  std::string operation;           ///< "attention", "dense-layer", "gate", "experts" or "head"
  std::string precision;           ///< name of the weight format
  std::vector<std::int64_t> work;  ///< see kernel_key()
  bool operator==(const KernelKey&) const = default;
};

/// Times measured on this machine, launches included; they replace overhead and roofline.
struct KernelTimes {
  KernelKey key;
  std::vector<ExpertKernelPoint> points;  ///< by tokens, then by activated experts
};

/// Names of the operations that may be measured.
std::vector<std::string> kernel_operations();

/// Work of an operation in a layer of the model: attention [d_model, FLOP a token]; dense-layer, those and
/// the FLOP of its feed-forward; gate [d_model, experts]; experts [bytes of one, FLOP a token of one, FLOP a
/// token of the shared ones and the router]; head (no layer) [d_model, vocabulary].
KernelKey kernel_key(const std::string& operation, const ModelSpec& model, const LayerProfile& layer);
/// The table with this key, or nullptr.
const KernelTimes* find_kernel_times(std::span<const KernelTimes> all, const KernelKey& key);

/// Time at (tokens, activated experts): linear interpolation in both directions; beyond the grid in
/// proportion. `points` must not be empty.
Picoseconds kernel_time(std::span<const ExpertKernelPoint> points, int tokens, int activated);

}  // namespace pregate
