// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "sim/cost/gpu_time.hpp"
#include "sim/engine/tally.hpp"

namespace pregate::sim {

/// What the critical path to an operation is made of, or all operations are. Within a pass nothing ever waits
/// without a cause here.
struct CountedSums {
  Picoseconds memory, kernels, launches;  ///< of the GPU's operations
  Picoseconds readback, waiting;          ///< waiting: for requests
  std::int64_t experts = 0;               ///< copied

  void add(const GpuTime& time, std::int64_t times = 1) {
    memory += time.memory * times;
    kernels += time.kernels * times;
    launches += time.launches * times;
  }
};

/// The copies of one expert: one, or its chunks.
struct CopyTrain {
  std::int64_t operations = 1;
  Picoseconds duration;        ///< of all of them, one after the other
  Picoseconds at_host_memory;  ///< as much of it as runs at the rate of the host's memory
  Bytes bytes;
};

/// What `sums` is spent on, where `expert` is copied.
CauseSums spent_on(const CountedSums& sums, const CopyTrain& expert);

/// The copy stream after some copies of a pass: when the last one ends, and what led to it: the layer whose
/// ids the first of an unbroken row of copies waited for, and the experts copied since.
struct CountedCopies {
  static constexpr std::int32_t before_pass = -1;
  Picoseconds finish{-1};
  std::int32_t after_ids_of = before_pass;  ///< how-manieth layer of the pass; or the row began before it
  std::int64_t experts = 0;
};

/// What layers of a pass that cost the same take.
struct LayerTimes {
  GpuTime attention_and_gate, experts;
  Picoseconds readback;
};

/// A MoE layer by counts: how many experts are copied for it and in it, not which.
struct CountedLayer {
  std::uint32_t kind = 0;       ///< as CountedClock::describe() returned
  std::uint32_t misses = 0;     ///< experts copied because this layer's gate chose them
  std::uint32_t announced = 0;  ///< experts copied, after those, for a later layer
  CountedCopies ready;          ///< announced in this pass for this layer; as it is without any
};

/// The MoE layers of a pass in which layers announce, by counts.
struct AnnouncingLayers {
  const std::uint32_t* kinds = nullptr;   ///< of each: as CountedClock::describe() returned
  const std::uint32_t* needed = nullptr;  ///< of each: experts copied for it
  std::size_t own = 0;         ///< the first so many copy those themselves; for the others it was announced
  std::size_t announcing = 0;  ///< the first so many announce for the one `distance` later
  std::size_t distance = 1;

  /// Experts that a layer copies because its own gate chose them, and then for a later one.
  [[nodiscard]] std::uint32_t misses(std::size_t layer) const { return layer < own ? needed[layer] : 0; }
  [[nodiscard]] std::uint32_t announced(std::size_t layer) const {
    return layer < announcing ? needed[layer + distance] : 0;
  }
};

/// Announced copies are numbered from 0 in the order of issue, over all passes.
inline constexpr std::int64_t no_copy = -1;

/// A MoE layer where its own misses overtake what is announced and has not started.
struct OvertakingLayer {
  std::uint32_t kind = 0, misses = 0, announced = 0;  ///< as CountedLayer
  std::int64_t awaited = no_copy;                     ///< the last announced copy that its experts wait for
  std::int64_t held_by = no_copy;  ///< the last one that a miss waits for, as both fill the same slot
};

/// Virtual time of passes whose decisions follow from counts: two in-order streams, computation and copies,
/// each layer a step of a (max, +) recurrence. Gives what StreamClock gives for the operations that are
/// counted here: attention, gate, read-back, copies of the layer's own misses, announced copies, experts. A
/// read-back never waits for another, as the experts of the layer before waited for that. The critical path
/// is followed back when a pass ends.
class CountedClock {
 public:
  /// `reads_back`: the host must know each layer's ids, as something can be missing.
  CountedClock(const Topology& topology, const CopyTrain& expert, bool reads_back);

  /// `records_blocks`: layers of the pass count as blocks.
  void begin_pass(bool records_blocks) { records_blocks_ = records_blocks; }
  /// Layers of the pass may be of this kind. Its number, from 0. `layers`: so many are, where they are run by
  /// run_next().
  std::uint32_t describe(const LayerTimes& times, std::int64_t layers = 0);
  /// An operation on the compute stream that waits for nothing but the one before it.
  void compute(const GpuTime& time);
  /// One layer. Returns the copy stream after what it announced.
  const CountedCopies& run(const CountedLayer& layer);
  /// The layers of the pass, which are then all run by run_next(). Nothing crosses from one pass to the next.
  /// What is pointed to stays until the pass ends.
  void announce(const AnnouncingLayers& layers) { ahead_ = layers; }
  /// So many more of them, one after the other, nothing between them.
  void run_next(std::size_t layers);
  /// One layer of a run whose copies go demand first, as all of its layers then do.
  void run(const OvertakingLayer& layer);
  /// So many layers that take these times and announce nothing, in whose beginnings no copy is under way,
  /// each with so many misses: as so many calls of run() would, which must not be mixed with these in a pass.
  /// As each only adds its durations, their order among themselves and among operations that wait for nothing
  /// does not matter.
  void run_on_demand(const LayerTimes& times, std::int64_t misses, std::int64_t layers);
  /// Between passes, as Executor::idle_until().
  void idle_until(Picoseconds time);
  /// The time when the pass ends: that of the compute stream.
  Picoseconds end_pass();
  /// No pass follows: what was announced and has not started is copied.
  void finish();

  [[nodiscard]] Tally tally() const;
  [[nodiscard]] PathPoint end() const;

 private:
  static constexpr std::int32_t none = -1;
  struct Kind {
    Picoseconds before_experts, experts;  ///< whole
    Picoseconds to_ids;                   ///< before_experts and the read-back
    LayerTimes times;
    std::int64_t layers = 0;
  };
  /// How often the path goes through the parts of a kind's layers.
  struct Passages {
    std::int64_t gates = 0, experts = 0;  ///< a gate with the read-back of its ids
  };
  /// A layer of the pass, as the way back needs it: what decided when its experts start.
  struct Record {
    std::uint32_t kind;
    std::int32_t computed;  ///< what was computed between the layer before and this one, in computed_; none
    std::int32_t after_ids_of;  ///< the layer whose ids came first, its own or that of a row of copies
    std::int64_t experts;       ///< of that row
  };
  /// Notes of a layer of a pass that announces, from which that follows: what was announced for it ended last
  /// of what its experts waited for, or its own copies did; the first of its own copies waited for its ids,
  /// or the first that it announced did.
  enum Noted : std::uint8_t { after_announced = 1, after_own = 2, own_begin = 4, announced_begin = 8 };
  struct Stretch;
  /// Computed between two layers.
  struct Between {
    std::int32_t layer;  ///< the later one
    CountedSums computed;
  };
  /// An unbroken row of copies: the layer whose ids its first one waited for, and how many experts.
  struct Row {
    std::int32_t after_ids_of;
    std::int64_t experts;
  };
  /// Of a layer that begins, until its copies are known.
  struct Begun {
    Kind& kind;
    Record& record;
    std::int32_t number;
    Picoseconds begin, ids_known;
  };
  /// When a layer's experts start, what led to that, and the copy stream then.
  struct Started {
    Picoseconds start;
    std::int32_t after_ids_of;
    std::int64_t experts;
    CountedCopies copies;
  };
  [[nodiscard]] Started start_of(std::int32_t number, Picoseconds ids_known, std::int64_t misses,
                                 std::int64_t announced, const CountedCopies& ready,
                                 const CountedCopies& copies) const;
  [[nodiscard]] CountedCopies after_copies(CountedCopies copies, std::int32_t number, Picoseconds ids_known,
                                           std::int64_t experts) const;
  /// What was computed since the layer before, of a layer.
  void note_computed(std::int32_t& computed) {
    if (!computes_now_) return;
    computed = static_cast<std::int32_t>(computed_.size());
    computed_.push_back(computed_now_);
    computed_now_ = {};
    computes_now_ = false;
  }
  void count_ahead(std::size_t first);
  /// The row that ends with a layer's own copies, or with what it announced.
  [[nodiscard]] Row row_to(std::int32_t layer, bool with_announced) const;
  /// The row of copies that decided when a layer's experts started: none, of its own ids, where those did.
  [[nodiscard]] Row row_to_start(std::int32_t layer) const;
  [[nodiscard]] Row start_of_experts(std::int32_t layer) const;
  [[nodiscard]] std::uint32_t kind_of_layer(std::int32_t layer) const {
    const auto place = static_cast<std::size_t>(layer);
    return ahead_count_ > 0 ? ahead_.kinds[place] : records_[place].kind;
  }
  [[nodiscard]] std::int32_t layers_of_pass() const {
    return static_cast<std::int32_t>(std::max(records_.size(), ahead_count_));
  }
  Begun begin_layer(std::uint32_t kind);
  void end_layer(const Begun& layer, Picoseconds start, std::int64_t copied);
  void copy(const Begun& after, std::int64_t experts);
  /// Announced copies that have started before then. They go in the order of issue, and each is ready when
  /// the stream comes to it.
  void start_announced(Picoseconds before) {
    while (started_ < issued_ && copies_.finish < before) {
      copies_.finish += expert_.duration;
      ++copies_.experts;
      ++started_;
      announced_last_ = true;
    }
  }
  /// What the path is made of that ends `experts` copies after the ids of a layer.
  [[nodiscard]] CountedSums path_to(std::int32_t after_ids_of, std::int64_t experts);
  /// How often it goes through which kind, in passages_, and what was computed between; to where it leaves
  /// the pass.
  std::int32_t follow(std::int32_t after_ids_of, CountedSums& sums);
  std::int32_t follow_ahead(std::int32_t after_ids_of, CountedSums& sums);

  Tally nothing_;  ///< of the platform
  StreamId computing_on_, copying_on_, reading_back_on_;
  CopyTrain expert_;
  bool reads_back_, records_blocks_ = true;
  Picoseconds compute_;
  CountedCopies copies_{.finish = {}};
  OpId last_computed_ = no_op, last_copied_ = no_op;
  std::int64_t issued_ = 0, started_ = 0;   ///< announced copies that may be overtaken
  OpId last_announced_ = no_op;             ///< the last operation of the last one issued
  bool announced_last_ = false;             ///< the last copy was one of those
  CountedSums compute_path_, copies_path_;  ///< to the last operations before the pass
  // of the pass
  std::vector<Kind> kinds_;
  std::vector<Record> records_;
  AnnouncingLayers ahead_;
  std::size_t ahead_count_ = 0;  ///< of them, that were run
  std::vector<std::uint8_t> noted_;
  std::vector<Picoseconds> ready_;      ///< when the last copy ends that was announced for a layer, of each
  std::vector<Picoseconds> latencies_;  ///< of each
  std::vector<Between> between_;        ///< them
  std::vector<CountedSums> computed_;
  CountedSums computed_now_;  ///< since the last layer
  bool computes_now_ = false;
  std::vector<Passages> passages_;  ///< by kind, of the path that is followed
  // of all passes
  CountedSums all_;
  Picoseconds computing_;
  std::int64_t operations_ = 0;
  Picoseconds exposed_transfer_;
  Histogram block_latency_;
};

}  // namespace pregate::sim
