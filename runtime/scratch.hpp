// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/shapes.hpp"
#include "sim/workload/routing.hpp"
#include "sim/workload/trace_scan.hpp"

namespace pregate::runtime {

/// Activations in device memory, large enough for the largest pass of a trace, and their staging in
/// page-locked host memory. Rows: t = tokens of a pass, p = its pairs (token, expert).
struct Scratch {
  Scratch(Device& device, const ModelShape& shape, const sim::ExpertMap& map, const sim::TraceScan& scan);

  DeviceSpan hidden, normed;                           ///< [t x d_model]
  DeviceSpan mid, activated;                           ///< [t x widest inner]
  DeviceSpan shared_out;                               ///< [t x d_model]
  DeviceSpan queries, new_keys, new_values, attended;  ///< of attention over a cache: [t x its widths]
  DeviceSpan logits;                                   ///< fp32 [MoE layers of a pass][t x (experts + top_k)]
  DeviceSpan ids, gate_weights;                        ///< int32, fp32 [p]
  DeviceSpan counts, offsets;                          ///< int32 [experts], [experts + 1]
  DeviceSpan positions, sources;                       ///< int32 [p]
  DeviceSpan permuted, expert_mid, expert_activated, expert_out;  ///< [p x ...]
  DeviceSpan unpacked;           ///< a matrix of an expert; empty where they are stored as they are computed
  DeviceSpan head_logits;        ///< [sequences x vocabulary]
  PageLockedSpan input;          ///< hidden's
  PageLockedSpan forced_logits;  ///< logits'
  PageLockedSpan ids_read;       ///< ids as read back
  PageLockedSpan ids_kept;       ///< ids, where another place computes some experts
  [[nodiscard]] Bytes size() const { return device_.size(); }

 private:
  DeviceMemory device_;
  PageLockedMemory page_locked_;
};

}  // namespace pregate::runtime
