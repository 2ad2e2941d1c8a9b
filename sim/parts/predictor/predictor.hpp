// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "sim/parts/part.hpp"
#include "sim/workload/guessed_routing.hpp"
#include "sim/workload/routing.hpp"
#include "sim/workload/trace_scan.hpp"

namespace pregate::sim {

class DecodeUses;

/// Who is thought to be activated in a MoE layer to come. Sees what has happened, never what will.
class Predictor {
 public:
  Predictor() = default;
  virtual ~Predictor() = default;
  Predictor(const Predictor&) = delete;
  Predictor& operator=(const Predictor&) = delete;

  virtual void begin_pass([[maybe_unused]] trace::Phase phase, [[maybe_unused]] bool first_of_request) {}
  /// The host knows the ids of layer `ordinal`, not all of whose experts are resident for the run, or which
  /// announces: its activated experts, with the tokens of each.
  virtual void observe([[maybe_unused]] int ordinal, [[maybe_unused]] std::span<const ExpertKey> activated,
                       [[maybe_unused]] std::span<const std::uint32_t> tokens) {}
  /// Experts of layer `target` > `ordinal`, the likeliest first, when the ids of `ordinal` are known; each
  /// once. Before the first layer of a pass, where PredictorEntry::knows_pass, `ordinal` is the one before
  /// it. Valid until the next call.
  virtual std::span<const ExpertKey> predict(int ordinal, int target) = 0;
  /// Of those that predict() named last, in their order: how likely each is, 0 to 1. Empty: it does not say.
  [[nodiscard]] virtual std::span<const double> probabilities() const { return {}; }
  /// Of PredictorEntry::names_later_steps: `key`, which the running step did not use, was named for a later
  /// one. It then enters the cache.
  [[nodiscard]] virtual bool is_for_later([[maybe_unused]] ExpertKey key) { return false; }
};

/// A predictor that is shown the truth: a gate that is evaluated early, a recording, a bound.
class Oracle : public Predictor {
 public:
  /// Before each prediction. `recorded` is null where the trace holds no predictions. Both are valid during
  /// the pass.
  void show(const StepRouting& truth, const StepPredictions* recorded) {
    truth_ = &truth;
    recorded_ = recorded;
  }
  /// Before the run, to one that needs the future; `uses` outlives this.
  void show(const DecodeUses* uses) { uses_ = uses; }

 protected:
  [[nodiscard]] const StepRouting& truth() const { return *truth_; }
  [[nodiscard]] bool has_recorded() const { return recorded_ != nullptr; }
  [[nodiscard]] const StepPredictions& recorded() const { return *recorded_; }
  [[nodiscard]] const DecodeUses& decode_uses() const { return *uses_; }

 private:
  const StepRouting* truth_ = nullptr;
  const StepPredictions* recorded_ = nullptr;
  const DecodeUses* uses_ = nullptr;
};

/// Most experts that it predicts for one layer.
using MostGuesses =
    std::function<int(const std::any& parameters, const ExpertMap& map, const TraceScan& scan)>;
int as_many_as_activated(const std::any& parameters, const ExpertMap& map, const TraceScan& scan);

/// A predictor as policies choose it (`lookahead.kind`). What is not said of it is not assumed.
struct PredictorEntry : PartDescription {
  using Make = std::function<std::unique_ptr<Predictor>(const std::any& parameters, const ExpertMap& map)>;

  /// Whether all that follows from its predictions follows from counts: exactly those that are activated, or
  /// all of the layer.
  enum class ByCounts : std::uint8_t { no, with_a_cache_of_each_layer };

  Make make;                       ///< empty: nothing is predicted
  bool is_oracle = false;          ///< makes an Oracle
  bool needs_recorded = false;     ///< the trace must hold predicted ids
  bool reads_recorded = false;     ///< where the trace's were predicted by one of its kind, it is shown them
  bool needs_future = false;       ///< an Oracle that must be shown in which steps experts are used
  bool names_later_steps = false;  ///< names experts that a later step than the running one uses
  bool is_whole_layer = false;     ///< names every expert of a layer, whose copies are then one transfer
  bool misses_none = false;        ///< whoever is activated was among its guesses
  bool knows_pass = false;         ///< can be asked of all layers before the first one has run
  bool matches_requests = false;   ///< judges the running request by earlier ones
  ByCounts by_counts = ByCounts::no;
  MostGuesses most_guesses = as_many_as_activated;
  bool keeps_to_most_guesses = false;  ///< never names more experts of a layer, whatever happens
  /// Null, or what computes with its guesses instead of what the gates chose; empty: it never does.
  std::function<std::unique_ptr<GuessedRouting>(const std::any& parameters, const ExpertMap& map)> replaces;
  bool (*is_exact)(const std::any& parameters) = nullptr;  ///< whether replaces() gives null; null: it does

  [[nodiscard]] bool predicts() const { return static_cast<bool>(make); }
};

/// Whether it is shown what the trace holds of predictions, which a lookahead of that kind made.
inline bool is_shown_recorded(const PredictorEntry& entry, const std::string& predicted_by) {
  return entry.needs_recorded || (entry.reads_recorded && entry.name == predicted_by);
}

}  // namespace pregate::sim
