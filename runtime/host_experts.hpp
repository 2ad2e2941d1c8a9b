// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "runtime/host/core_team.hpp"
#include "runtime/host/cpu_feed_forward.hpp"
#include "runtime/layer_runner.hpp"
#include "runtime/weights/expert_store.hpp"

namespace pregate::runtime {

/// Experts that the CPU computes beside the device, from the host memory that holds them: the layer's rows
/// come with their gate weights, and the weighted sum over the CPU's experts goes back, a row a token. A
/// layer at a time: what is sent for the next one must wait for combine().
class HostExperts {
 public:
  /// `rows` and `ids` come from the layers of `runner`, which must outlive this as all else. Uploads through
  /// `stream`.
  HostExperts(Device& device, Stream& stream, LayerRunner& runner, const ModelShape& shape,
              const sim::ExpertMap& map, const sim::TraceScan& scan);

  /// The layer's normed rows and gate weights, to the host.
  void send(Stream& stream);
  /// An expert and its weights in host memory, which stay there until it is computed.
  struct Held {
    sim::ExpertKey key = 0;
    std::span<const std::byte> weights;
  };
  /// Computes these experts of the layer on the host, in `stream`. The device must leave them out.
  void compute(Stream& stream, int ordinal, std::span<const Held> experts);
  /// What they came to, to the device.
  void receive(Stream& stream);
  /// Adds it to the hidden rows.
  void combine(Stream& stream);
  [[nodiscard]] Bytes size() const { return device_.size(); }

 private:
  /// What a layer computes; of its own, as the host goes on while it runs.
  struct Job {
    const FeedForward* shape = nullptr;
    int tokens = 0, top_k = 0;
    sim::ExpertKey first = 0;
    std::vector<Held> experts;
    std::vector<std::int32_t> ids;  // as the gate chose them: [tokens][top_k]
  };
  void run(const Job& job);
  [[nodiscard]] Bytes rows(std::int64_t count) const { return shape_.element * (count * shape_.d_model); }

  LayerRunner& runner_;
  ModelShape shape_;
  const sim::ExpertMap& map_;
  DeviceMemory device_;
  PageLockedMemory host_;
  DeviceSpan returned_, identity_, ones_;  ///< [t x d_model], int32 [t], fp32 [t]
  PageLockedSpan input_, weights_, sum_;   ///< normed rows, fp32 [t x top_k], the result
  CoreTeam team_;
  CpuFeedForward feed_forward_;
  std::vector<float> gathered_, computed_, total_;  // the stream's own
  std::vector<std::pair<std::size_t, float>> chosen_;
};

}  // namespace pregate::runtime
