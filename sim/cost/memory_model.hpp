// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string>

#include "models/machine.hpp"
#include "models/model.hpp"
#include "sim/planner/plan.hpp"

namespace pregate::sim {

/// What GPU memory holds; the order of reports.
enum class MemoryPurpose : std::uint8_t {
  dense_weights,
  resident_experts,  ///< for the whole run
  expert_cache,
  working_buffers,  ///< expert slots beside the cache, for decode steps
  prefill_buffers,  ///< further expert slots, for passes over many tokens
  kv_cache,
  activations,
  workspace,  ///< of the GEMM library; or all that the software says it holds for itself
};
inline constexpr int memory_purpose_count = 8;
const char* to_string(MemoryPurpose purpose);

/// What a run may fill.
struct MemoryLimits {
  std::string name;            ///< of whose memory it is, for texts
  Bytes gpu;                   ///< usable
  std::optional<Bytes> host;   ///< for experts; absent: whoever stores them knows whether they fit
  bool is_one_memory = false;  ///< what the GPU holds is not there for experts of the host
  Bytes other_gpu;             ///< usable of each other GPU
  Bytes drive;                 ///< for experts, where a drive holds them all
  Bytes near_data = {};        ///< of a near-data device, which then holds every expert too
  SoftwareMemorySpec software = {};
};
MemoryLimits memory_limits(const MachineSpec& machine);

/// Peak of GPU memory over a run, by purpose, against what there is.
struct MemoryUse {
  std::array<Bytes, memory_purpose_count> peak{};
  Bytes usable;
  Bytes host;     ///< experts in host memory, when some are offloaded, and `host_kv`
  Bytes host_kv;  ///< the KV cache, where it is in host memory
  std::optional<Bytes> host_usable;
  Bytes drive, drive_capacity;          ///< experts on the drive, where the host's memory holds but some
  Bytes near_data, near_data_capacity;  ///< experts in a near-data device's memory, where it computes some
  std::vector<HeldElsewhere> elsewhere;
  Bytes elsewhere_usable;  ///< of each of those places
  [[nodiscard]] Bytes total() const;
  /// Of GPU memory; negative where it does not fit.
  [[nodiscard]] Bytes left() const { return usable - total(); }
  /// The place among `elsewhere` that holds the most; null where there is none.
  [[nodiscard]] const HeldElsewhere* fullest_elsewhere() const;
  [[nodiscard]] bool fits() const {
    const HeldElsewhere* fullest = fullest_elsewhere();
    return total() <= usable && (!host_usable || host <= *host_usable) && drive <= drive_capacity &&
           near_data <= near_data_capacity && (fullest == nullptr || fullest->experts <= elsewhere_usable);
  }
  /// "gpu-only needs 105.2 GiB (resident experts 96.0 GiB, ...); a100-80g has 79.1 GiB usable"
  [[nodiscard]] std::string explain(const std::string& policy, const std::string& machine) const;
};

/// Tokens of prompts that are in the GPU's memory as activations at a time: servers take longer prompts in
/// chunks. vLLM's max_num_batched_tokens is 8192 by default on large GPUs and 2048 elsewhere, llama.cpp's
/// micro-batch (-ub) 512; the largest of them counts.
inline constexpr int default_prompt_chunk = 8192;

/// Gives up prefill buffers that do not fit, says so in the plan's notes, and returns what the plan then
/// uses.
MemoryUse fit_memory(const ModelSpec& model, const MemoryLimits& limits, Plan& plan, const TraceScan& scan,
                     CountedExperts counted, int prompt_chunk = default_prompt_chunk);

/// What the software holds for itself is there throughout. Weights, slots and buffers are as well; the KV
/// cache peaks at the longest context of the largest batch (where it is paged: it is what its blocks are cut
/// from), activations at the largest pass, of a prefill at
/// `prompt_chunk` tokens of it (0: whole). Formulas: docs/model.md. Host memory holds every routed expert
/// whenever some are offloaded, but those that live elsewhere, or as many as the policy says where a drive
/// holds them.
MemoryUse memory_use(const ModelSpec& model, const MemoryLimits& limits, const Plan& plan,
                     const TraceScan& scan, CountedExperts counted, int prompt_chunk = default_prompt_chunk);

}  // namespace pregate::sim
