// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <functional>
#include <memory>
#include <span>

#include "sim/parts/moment.hpp"
#include "sim/parts/part.hpp"
#include "sim/parts/predictor/predictor.hpp"

namespace pregate::sim {

/// What has been announced for layers to come, and how to announce more.
class Announcements {
 public:
  Announcements() = default;
  virtual ~Announcements() = default;
  Announcements(const Announcements&) = delete;
  Announcements& operator=(const Announcements&) = delete;

  /// Brings these experts in for layer `target`, in this order, or keeps those that are there; without a free
  /// slot an expert is left to its layer's gate.
  virtual void want(int target, std::span<const ExpertKey> keys) = 0;
  /// Copied early for this layer and not dropped since, in the order of issue; the copies may not have ended.
  [[nodiscard]] virtual std::span<const ExpertKey> fetched(int target) const = 0;
  /// On the GPU already, or its copy is issued: nothing would have to be copied for it.
  [[nodiscard]] virtual bool is_brought(ExpertKey key) const = 0;
  /// Whether the copy of one of fetched() has ended. For prefetchers that need the clock.
  [[nodiscard]] virtual bool has_arrived(ExpertKey key) const = 0;
  /// Takes the copy of one of fetched(target) back, as much of it as has not started; the expert is then not
  /// there. False when all of it has started: it stays. For prefetchers that need the clock.
  virtual bool drop(int target, ExpertKey key) = 0;
  /// The CPU begins with these for layer `target`, from the running layer's activations, if it activates them
  /// or not. For prefetchers that compute ahead.
  virtual void compute_ahead([[maybe_unused]] int target, [[maybe_unused]] std::span<const ExpertKey> keys) {}
};

/// MoE layers of the pass behind the one whose ids are known.
struct LayersAhead {
  int ordinal, end;  ///< ordinals ordinal + 1 .. end - 1
  std::span<const std::uint8_t>
      offloaded;                   ///< by ordinal, of all layers: some expert is not resident for the run
  const ExpertMap* map = nullptr;  ///< what keys stand for
  int first = 0;                   ///< ordinal of the first MoE layer of the stack
  [[nodiscard]] bool has(int target) const {
    return target < end && offloaded[static_cast<std::size_t>(target)] != 0;
  }
};

/// Calls `use` with each of the next `layers` layers that has experts to be fetched, until it returns false.
template <class Use>
void each_ahead(const LayersAhead& ahead, int layers, const Use& use) {
  for (int target = ahead.ordinal + 1; target < ahead.end && target - ahead.ordinal <= layers; ++target) {
    if (ahead.has(target) && !use(target)) return;
  }
}
/// Whether there is any.
inline bool any_ahead(const LayersAhead& ahead, int layers) {
  bool any = false;
  each_ahead(ahead, layers, [&](int) { return !(any = true); });
  return any;
}

/// Which of what is predicted is fetched early, and when.
class Prefetcher {
 public:
  Prefetcher() = default;
  virtual ~Prefetcher() = default;
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  virtual void begin_pass() {}
  /// Before the first layer of a pass (D2), where PrefetcherEntry::before_passes: ahead.ordinal is the one
  /// before it.
  virtual void pass_begins([[maybe_unused]] const LayersAhead& ahead, [[maybe_unused]] Predictor& predictor,
                           [[maybe_unused]] Announcements& announced) {}
  /// Whether something may be announced when the ids of ahead.ordinal are known. The host must be told them
  /// then.
  [[nodiscard]] virtual bool reaches(const LayersAhead& ahead) const = 0;
  /// The ids of a layer are known and its own misses not issued yet (D4).
  virtual void gate_known([[maybe_unused]] const Moment& moment,
                          [[maybe_unused]] std::span<const ExpertKey> activated,
                          [[maybe_unused]] Announcements& announced) {}
  /// Its own misses are issued (D5); reaches(ahead).
  virtual void look_ahead(const Moment& moment, const LayersAhead& ahead, Predictor& predictor,
                          Announcements& announced) = 0;
};

/// A prefetcher as policies choose it (`prefetch.kind`). What is not said of it is not assumed.
struct PrefetcherEntry : PartDescription {
  /// `distance`: the policy's lookahead.distance.
  using Make = std::function<std::unique_ptr<Prefetcher>(const std::any& parameters, int distance)>;
  /// How many layers ahead may have something announced at a time; no more than `layers`, all of a stack.
  using LayersInFlight = std::function<int(const std::any& parameters, int distance, int layers)>;

  Make make;
  bool needs_clock = false;     ///< asks what the time is, what is left to do, or drops copies
  bool by_counts = false;       ///< all that is predicted of the layer at the distance is announced, once
  bool before_passes = false;   ///< announces before a pass: the predictor must know passes
  bool computes_ahead = false;  ///< has the CPU begin with experts, and copies none
  bool crosses_steps = false;   ///< announces for the first layers of the step after this one
  LayersInFlight in_flight = [](const std::any&, int distance, int) { return distance; };
};

}  // namespace pregate::sim
