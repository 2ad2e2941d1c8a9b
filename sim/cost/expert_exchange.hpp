// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/units.hpp"

/// What GPUs that share a layer's experts send each other.
namespace pregate::sim {

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

}  // namespace pregate::sim
