// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/units.hpp"

/// What GPUs that share a layer's experts send each other, and how long the textbook's all-to-alls take.
namespace pregate::sim {

/// All-gather (or reduce-scatter) of the hidden states of all GPUs' tokens: the whole gathered buffer. Each
/// GPU sees every token; no factor of the experts a token.
Bytes gathered_bytes(std::int64_t tokens, std::int64_t d_model, std::int64_t bytes_per_value);

/// Who sends how many rows to whom: `routed` has gpus x experts counts, row by row the tokens that one GPU
/// routes to each expert, `home` the GPU that holds each expert. A token goes to each of its experts (k
/// rows), only to GPUs that hold one. gpus x gpus bytes, row by row from one GPU to each. Its transpose
/// brings the results back. InputError where sizes do not fit or a home is none of the GPUs.
std::vector<Bytes> routed_bytes(std::span<const std::uint32_t> routed, std::span<const int> home, int gpus,
                                std::int64_t d_model, std::int64_t bytes_per_value);
std::vector<Bytes> transposed(std::span<const Bytes> from_to, int gpus);

/// Static gating: every expert takes so many of a batch's tokens, no more, and rooms that stay empty are sent
/// as well (Huang et al., 2303.06182).
struct StaticGating {
  std::int64_t experts = 1;
  double capacity = 1;  ///< C: an expert's room, as a share of the batch's tokens

  /// Tokens that an expert has room for: C S, rounded up.
  [[nodiscard]] std::int64_t room(std::int64_t tokens) const;
  /// Rows sent, E C S, whatever was routed. Dynamic gating sends k S.
  [[nodiscard]] std::int64_t rows(std::int64_t tokens) const { return experts * room(tokens); }
  /// E C / k: rows sent for each row that dynamic gating sends.
  [[nodiscard]] double waste(int top_k) const;
  /// Of tokens by expert, those for which an expert has no room.
  [[nodiscard]] std::int64_t dropped(std::span<const std::uint32_t> by_expert, std::int64_t tokens) const;
};

/// The most that one GPU sends or receives, of a matrix as routed_bytes() has it; what stays on a GPU does
/// not count. InputError for a matrix of another size.
Bytes heaviest_exchange(std::span<const Bytes> from_to, int gpus);

/// What GPUs, numbered host by host, send each other in an all-to-all, summed up: a matrix of all pairs is
/// never kept. What a GPU keeps does not count.
class ExchangeTotals {
 public:
  ExchangeTotals(int gpus, int gpus_a_host);

  void clear();
  void add(std::size_t from, std::size_t to, Bytes bytes);
  /// The most that one GPU sends or gets.
  [[nodiscard]] Bytes heaviest_gpu() const { return most(gpus_); }
  /// The same of what stays in its host.
  [[nodiscard]] Bytes heaviest_within() const { return most(within_); }
  /// The most that the GPUs of a host together send to, or get from, other hosts.
  [[nodiscard]] Bytes heaviest_host() const { return most(hosts_); }

 private:
  struct Both {
    Bytes sent, got;
  };
  static Bytes most(const std::vector<Both>& all);

  std::size_t a_host_;
  std::vector<Both> gpus_, within_, hosts_;
};

/// Flat all-to-all: alpha (p - 1) + heaviest exchange / rate.
Picoseconds flat_all_to_all(std::span<const Bytes> from_to, int gpus, Picoseconds alpha, BytesPerSecond rate);

/// Hierarchical all-to-all of DeepSpeed-MoE: within hosts of `gpus_per_host`, then between hosts.
struct HostLevels {
  int gpus = 1, gpus_per_host = 1;
  Picoseconds alpha_within, alpha_between;
  BytesPerSecond rate_within, rate_between;  ///< of each GPU

  [[nodiscard]] int hosts() const { return gpus / gpus_per_host; }
};
/// Messages that each GPU sends one after another: (G - 1) + (p / G - 1), against p - 1 when flat.
int hierarchical_hops(const HostLevels& levels);
/// alpha_within (G - 1) + V / B_within + alpha_between (p / G - 1) + V / B_between: every byte moves twice.
/// `bytes`: what each GPU sends.
Picoseconds hierarchical_all_to_all(Bytes bytes, const HostLevels& levels);

}  // namespace pregate::sim
