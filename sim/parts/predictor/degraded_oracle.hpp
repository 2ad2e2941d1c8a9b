// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/parts/predictor/draws.hpp"
#include "sim/parts/predictor/predictor.hpp"

namespace pregate::sim {

/// How good the guesses of a predictor are of which no more is known.
struct GuessQuality {
  double recall = 1;  ///< at the next MoE layer
  double loss = 0;    ///< of that, with every further one
  int guesses = 0;    ///< for each token, at most; 0: as many as it activates
  std::uint64_t seed = 1;
};

/// An oracle degraded to a recall: it is handed the experts that a layer will activate, and guesses each of
/// them with that probability; otherwise one that will not be activated, drawn evenly, stands in its place
/// (none, when all others are activated or guessed). So as many are guessed as will be activated. Where it
/// names more, those are wrong; where it names fewer, the first ones in router order are looked at.
///
/// A layer that is asked for again in the same pass is not drawn again: whoever was guessed is guessed, and,
/// as a nearer layer is foretold better, others perhaps in the place of wrong ones. Asking often tells no
/// more. Deterministic in the seed and the order of calls.
class DegradedOracle final : public Oracle {
 public:
  /// `map` must outlive this.
  DegradedOracle(const GuessQuality& quality, const ExpertMap& map);
  void begin_pass(trace::Phase, bool) override { ++pass_; }
  std::span<const ExpertKey> predict(int ordinal, int target) override;

  /// MostGuesses of an entry whose parameters are a GuessQuality.
  static int most_guesses(const std::any& quality, const ExpertMap& map, const TraceScan& scan);

 private:
  /// An activated set of at most so many is searched, and none that is drawn gathered.
  static constexpr std::size_t few = 8;

  /// What was drawn of a layer.
  struct Drawn {
    std::uint64_t pass = 0;
    std::vector<std::uint64_t> of_each;  ///< of 2^53, by activated expert that was looked at
    std::vector<ExpertKey> wrong;        ///< in the order in which they were drawn
  };

  std::span<const ExpertKey> guess(const MoeLayer& layer, std::span<const ExpertKey> activated, Drawn& drawn);
  std::span<const ExpertKey> guess_again(std::span<const ExpertKey> activated, int top_k, const Drawn& drawn);
  /// [0, 1), the same on every platform (std::uniform_real_distribution is not).
  double uniform() { return static_cast<double>(random_() >> 11U) * 0x1p-53; }
  void begin_others(const MoeLayer& layer, std::span<const ExpertKey> activated);
  void insert_sorted(std::size_t count, ExpertKey key);
  ExpertKey draw_other(const MoeLayer& layer, std::size_t drawn_before);
  [[nodiscard]] ExpertKey other_at(const MoeLayer& layer, std::size_t place) const;
  void gather_others(const MoeLayer& layer, std::span<const ExpertKey> activated);

  struct Moved {
    std::size_t place;
    ExpertKey key;
  };
  const ExpertMap& map_;
  GuessQuality quality_;
  std::uint64_t right_below_;  ///< of 2^53
  Draws random_;
  std::uint64_t pass_ = 1;
  std::vector<Drawn> drawn_;  // by ordinal
  std::vector<ExpertKey> guesses_;
  // Of the layer at hand: those that are not activated, in order, as far as they were not drawn.
  std::size_t others_count_ = 0;
  bool gathers_ = false;
  std::vector<ExpertKey> activated_, others_;
  std::vector<Moved> moved_;
  std::vector<std::uint8_t> is_activated_;  // by expert of the layer; all 0 between calls
};

}  // namespace pregate::sim
