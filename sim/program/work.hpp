// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/cache/expert_cache.hpp"
#include "sim/platform/topology.hpp"
#include "sim/program/format.hpp"
#include "sim/schedule/operation.hpp"

namespace pregate::sim {

/// An expert and the slot that holds it; -1 = resident for the whole run.
struct SlotUse {
  cache::ExpertKey key;
  std::int32_t slot;
};

/// What GPUs that share layers send each other at once.
enum class Exchange : std::uint8_t {
  none,            ///< nothing: they wait for each other
  all_reduce,      ///< each has a summand of all, and gets the sum
  all_gather,      ///< each has a part, and gets the whole
  reduce_scatter,  ///< each has a summand of the whole, and gets a part of the sum
  all_to_all,      ///< each sends another part to each
};
struct Meeting {
  Exchange exchange = Exchange::none;
  std::uint16_t gpus = 1;   ///< that take part
  std::uint16_t lanes = 1;  ///< groups that do this at once, interleaved
  /// all_reduce: of the summand; all_gather, reduce_scatter: of the whole; all_to_all: that the GPU which
  /// sends or gets the most sends or gets, without what it keeps.
  Bytes bytes;
  /// all_to_all whose messages differ: that the host which sends or gets the most sends to or gets from
  /// others. Less than 0: all GPUs send as much to each.
  Bytes between_hosts{-1};
  bool is_flat =
      false;  ///< such an all_to_all: every GPU sends to every other itself; `bytes` stay in a host
};

/// A part of one of a program's arrays.
struct Range {
  std::uint32_t begin = 0, size = 0;
};

/// What a planner asks for: work, not time. An executor prices it, or does it. One entry is one operation,
/// except a train: fetches of several experts that wait for the same operations.
struct Work {
  OpKind kind = OpKind::attention;
  StreamId stream{};
  LinkId link{};              ///< of what is copied over one
  FormatId format{};          ///< fetch, experts: of the weights
  std::uint8_t priority = 0;  ///< 0 goes first, where the stream is ordered by priority
  bool with_shared =
      false;  ///< experts, read_through: the router's and the shared experts' arithmetic belongs to it
  PlaceKind at = PlaceKind::gpu;  ///< cpu_experts: what computes them
  /// experts: the operation computes one of equal parts of them; activations: it copies one of each token.
  std::uint16_t part = 0, parts = 1;
  std::int32_t layer = -1;        ///< in its stack
  std::int32_t ordinal = -1;      ///< of a MoE layer, over all stacks
  std::int32_t layer_class = -1;  ///< layers that cost the same
  std::int32_t micro_batch = -1;  ///< of its pass, from 0; -1: it is for all of it
  /// experts, cpu_experts, read_through: tokens times experts; activations: no more tokens than these nor
  /// than all groups of GPUs have, 0: all of the pass, of one group; gate_readback: experts that the host
  /// looks up once it has the ids, 0: it reads them back; drive_read: reads asked for at once with it, and
  /// before it.
  std::uint32_t routed = 0;
  ResourceSet crosses = 0;  ///< what its flow shares with others
  Meeting meeting;          ///< exchange
  OpId first = no_op;       ///< identifier of its first operation
  /// fetch: the experts of a train and the slots they fill; write_back, device_copy: the one expert and the
  /// slot that is read (device_copy that follows a fetch inside a train has no entry of its own). experts:
  /// what it reads, for executors that record.
  Range uses;
  Range tokens;  ///< experts, cpu_experts, read_through: of each
  Range others;  ///< dependencies that are no copies
  Range copies;  ///< dependencies that are copies
};

}  // namespace pregate::sim
