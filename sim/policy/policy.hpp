// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <cstdint>
#include <optional>
#include <string>

#include "models/capacity.hpp"
#include "models/document.hpp"
#include "models/units.hpp"
#include "sim/parts/parts.hpp"

namespace pregate {

enum class CacheScope { layer, global };
enum class CacheSplit { even, spread, budgets };
enum class WriteBack { none, swap };
enum class AnnouncedCopies { queued, one_layer };
enum class ExpertCompute { grouped, per_expert, by_chunk };
enum class MissAdmission { none, background };
enum class PredictionStream { compute, host };
enum class WrongGuesses { keep, cancel };
enum class KvMemory { gpu, host };
enum class AttentionPlace { gpu, cpu };
enum class Synchronized { never, micro_batch };

/// An expert cache: whose experts share how much, and which of them leaves.
struct CacheSpec {
  CacheScope scope = CacheScope::layer;
  Capacity capacity;
  /// How a capacity in bytes or per cent is split over the layers: the same number of slots for each,
  /// rounded down, or all of them, so that layers differ by one.
  CacheSplit split = CacheSplit::even;
  std::string eviction = "lru";  ///< a name of the eviction registry (sim/cache)
  std::any eviction_parameters;  ///< of that eviction (EvictionEntry::parameters); else its defaults
  std::string budgets;           ///< file of the trace that a split by budgets goes by; empty: the run's own
  std::string profile;           ///< file of a trace whose most activated experts it starts with; empty: none
  sim::Chosen<sim::AdmissionEntry> admission = sim::built_in_parts().admissions.standard();
  std::uint64_t seed = 1;          ///< of eviction policies that draw at random
  std::optional<double> hit_rate;  ///< [0, 1]; of the eviction `given-rate`, and only there
};

/// A policy is a composition of parts; a published system is a TOML file that chooses them.
struct PolicySpec {
  std::string name, description, source;
  std::string software;  ///< what runs it, as --software names it; empty: nothing in particular

  /// Table [parallel] of its file: how the system spreads a model over GPUs, where the run does not say.
  Node parallel = {};

  struct {
    sim::Chosen<sim::PlacementEntry> kind = sim::built_in_parts().placements.standard();
  } placement;

  CacheSpec cache;

  /// The experts that the host's memory holds of those that a drive holds all of.
  struct HostCache {
    Capacity capacity;  ///< none: the host's memory holds every expert
    CacheScope scope = CacheScope::global;
    std::string eviction = "lru";
    std::any eviction_parameters;
    std::uint64_t seed = 1;
    std::optional<double> hit_rate;  ///< [0, 1]; of the eviction `given-rate`, and only there
    bool exclusive = false;          ///< holds no expert that the GPU holds
    int preload = 0;                 ///< MoE layers ahead of the running one that are read whole; 0: none
  } host_cache;

  /// In what form the GPU holds experts, beside the model's own.
  struct {
    std::string low;        ///< its name; empty: there is none
    Capacity low_capacity;  ///< experts that its cache holds; in bytes and shares, of this format's
    bool degrade = false;   ///< one that is there in it serves who asks for the model's own
    BytesPerSecond unpack;  ///< at which the GPU makes it computable, by its bytes; 0: the kernels read it
    double copied = 1;      ///< share of an expert's bytes that a copy of it brings, and a slot holds
    double held = 0;        ///< share of every expert's bytes that the GPU has for the whole run
    double cached = 1;      ///< share of an expert's bytes that the cache holds of it; a hit copies the rest
  } formats;

  struct {
    sim::Chosen<sim::PredictorEntry> predictor = sim::built_in_parts().predictors.standard();  ///< key kind
    int distance = 1;  ///< MoE layers ahead, >= 1
    Picoseconds cost;  ///< of a prediction, each time that something may be announced
    PredictionStream cost_stream = PredictionStream::compute;  ///< where that time is spent
  } lookahead;

  struct {
    sim::Chosen<sim::PrefetcherEntry> prefetcher =
        sim::built_in_parts().prefetchers.standard();  ///< key kind
    WrongGuesses wrong = WrongGuesses::keep;           ///< cancel: their copies, once the ids are known
  } prefetch;

  struct {
    Bytes chunk;  ///< 0 = whole experts
    sim::Chosen<sim::TransferEntry> queue = sim::built_in_parts().transfers.standard();
    AnnouncedCopies announced = AnnouncedCopies::queued;  ///< when those for a later layer are issued
    int buffers = 0;  ///< slots beside the cache, for the layer that computes; 0: as many as it may need
    int staging_copies =
        0;  ///< device copies into working buffers after (or, on a hit, instead of) the host copy
    bool pinned = true;                      ///< source in pinned host memory
    WriteBack write_back = WriteBack::none;  ///< swap: an expert that leaves the GPU is copied to the host
  } transfer;

  struct {
    ExpertCompute experts = ExpertCompute::grouped;
    int micro_batches = 1;  ///< parts of a pass, of whole sequences, that share what a layer fetches
    /// Who goes through micro-batches one by one waits, before the next one, for every copy under way.
    Synchronized synchronized = Synchronized::never;
    Picoseconds host_work;  ///< of the host for each micro-batch in each layer, while the GPU waits
  } compute;

  /// Of self-attention. On the host it is copied to the GPU for each layer and micro-batch, or the CPU
  /// attends to it in decode steps.
  struct {
    KvMemory memory = KvMemory::gpu;
    AttentionPlace attention = AttentionPlace::gpu;
    bool pinned = true;  ///< page-locked; else a thread of the host moves it to and from memory that is
    /// Grouped keys and values are written out for every query head before attention reads them.
    bool repeated = false;
    [[nodiscard]] bool on_host() const { return memory == KvMemory::host; }
  } kv_cache;

  struct {
    sim::Chosen<sim::MissServiceEntry> service = sim::built_in_parts().miss_services.standard();
    /// Whether what the CPU computes is also copied into the cache, for next time, meanwhile.
    MissAdmission admission = MissAdmission::none;
  } miss;
};

/// Puts the part of that name in place of what was chosen, its parameters at their defaults. InputError when
/// there is none.
template <class Entry>
void choose(sim::Chosen<Entry>& part, const sim::PartRegistry<Entry>& from, const std::string& name) {
  part = from.find(name, "policy");
}

/// What the policy computes instead of what the gates chose, in words, or nothing: then the model's output is
/// what it is with all experts on the GPU.
std::optional<std::string> why_not_exact(const PolicySpec& policy);

/// Throws InputError on contradictions, e.g. distance < 1 or placement count missing.
void validate(const PolicySpec& policy, const std::string& where);

}  // namespace pregate
