// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "models/units.hpp"

namespace pregate {

enum class PlacementKind { none, all, popular, first_layers };
enum class CacheScope { layer, global };
enum class CacheSplit { even, spread };
enum class CapacityKind { none, slots, bytes, share };
enum class Admission { always, bypass };
enum class LookaheadKind { none, all_next, pre_gate, recorded, given_recall };
enum class TransferQueue { fifo, demand_first };
enum class WriteBack { none, swap };
enum class ExpertCompute { grouped, per_expert };
enum class MissService { fetch, compute_on_cpu };
enum class MissAdmission { none, background };

/// Cache capacity as the user wrote it: `0`, `64 slots`, `4GiB`, `25%`.
/// Per-layer scope: slots are per layer; bytes and shares are of the whole and split evenly over the MoE
/// layers.
struct Capacity {
  CapacityKind kind = CapacityKind::none;
  std::int64_t slots = 0;
  Bytes bytes;
  double share = 0;  ///< of all routed experts, (0, 1]
};

/// `0`/`none`, `<n> slots`, `<size with unit>`, `<percent>%`. InputError at `where` otherwise.
Capacity parse_capacity(const std::string& text, const std::string& where);
std::string to_string(const Capacity& capacity);

/// A policy is a composition of parts; a published system is a TOML file that chooses them.
struct PolicySpec {
  std::string name, description, source;

  struct {
    PlacementKind kind = PlacementKind::none;
    std::int64_t count = 0;  ///< popular: experts pinned a layer; first_layers: MoE layers pinned
  } placement;

  struct {
    CacheScope scope = CacheScope::layer;
    Capacity capacity;
    /// How a capacity in bytes or per cent is split over the layers: the same number of slots for each,
    /// rounded down, or all of them, so that layers differ by one.
    CacheSplit split = CacheSplit::even;
    std::string eviction = "lru";  ///< a name of the eviction registry (sim/cache)
    Admission admission = Admission::always;
    std::uint64_t seed = 1;          ///< of eviction policies that draw at random
    std::optional<double> hit_rate;  ///< [0, 1]; of the eviction `given-rate`, and only there
  } cache;

  struct {
    LookaheadKind kind = LookaheadKind::none;
    int distance = 1;  ///< MoE layers ahead, >= 1
    /// given_recall: probability that an expert which the layer will activate is announced; otherwise one
    /// that it will not activate is announced in its place.
    double recall = 1;
    std::uint64_t seed = 1;  ///< of the predictor's draws
  } lookahead;

  struct {
    Bytes chunk;  ///< 0 = whole experts
    TransferQueue queue = TransferQueue::fifo;
    int staging_copies =
        0;  ///< device copies into working buffers after (or, on a hit, instead of) the host copy
    bool pinned = true;                      ///< source in pinned host memory
    WriteBack write_back = WriteBack::none;  ///< swap: an expert that leaves the GPU is copied to the host
  } transfer;

  struct {
    ExpertCompute experts = ExpertCompute::grouped;
  } compute;

  struct {
    MissService service = MissService::fetch;
    /// compute_on_cpu: whether a miss is also copied into the cache, for next time, while the CPU computes.
    MissAdmission admission = MissAdmission::none;
  } miss;
};

/// Throws InputError on contradictions, e.g. distance < 1 or placement count missing.
void validate(const PolicySpec& policy, const std::string& where);

}  // namespace pregate
