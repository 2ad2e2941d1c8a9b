// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <vector>

#include "sim/engine/executor.hpp"
#include "sim/parts/miss/miss_service.hpp"
#include "sim/planner/access_counts.hpp"
#include "sim/planner/expert_slots.hpp"
#include "sim/planner/format_pool.hpp"
#include "sim/planner/lookahead.hpp"
#include "sim/planner/plan.hpp"
#include "sim/planner/remote_experts.hpp"
#include "sim/planner/split_set.hpp"
#include "sim/planner/waves.hpp"
#include "sim/program/estimates.hpp"
#include "sim/workload/gate_shares.hpp"
#include "sim/workload/routing.hpp"
#include "sim/workload/step_gates.hpp"

namespace pregate::sim {

/// The planner: at each decision point (a pass begins, a layer begins, its gate is known, the pass ends) it
/// puts work into a program and hands it to an executor. The same code drives the simulated executors and a
/// real device; it knows neither times nor devices.
///
/// Order of issue within a MoE layer: attention, gate, read-back of the ids; the layer's own missing experts
/// and, where there are any, staging copies of those that are there; the experts that the lookahead announces
/// for a later layer; the expert computation. Encoder and prefill passes are on-demand (docs/model.md). Where
/// the CPU computes misses: activations to the host, the experts there, their result back; beside it what is
/// on the GPU; then both are combined. When the missing experts outnumber the free slots, the layer runs in
/// waves.
///
/// With transfer.announced = one-layer the host waits for what was announced for the layer before it reads
/// the ids back, and for the layer's own misses before it does so again and announces.
///
/// Its parts: Lookahead (who is known early), ExpertSlots (slots, copies, their hazards), Waves,
/// RemoteExperts, and what the policy chose of sim/parts. Where one of those needs the clock the planner
/// stops at each gate. What leaves the GPU is decided in release().
class LayerPlanner {
 public:
  /// For the layers that run on `gpu`. `estimates` may be null where the CPU computes nothing. All outlive
  /// this. Planners of several GPUs of one run share `program`, which numbers their operations.
  LayerPlanner(const Topology& topology, PlaceId gpu, const ExpertMap& map, const Plan& plan,
               const Estimates* estimates, Executor& executor, LayerProgram& program);

  /// Who is in which slot before the first pass, for executors that must bring them there.
  [[nodiscard]] std::vector<SlotUse> held_at_start() const;
  /// `begun`: what another GPU's planner began the pass with, where this is not the first one's.
  void begin_pass(const trace::Step& step, OpId begun = no_op);
  /// Into parts that go through each layer one after the other, the routing of each; they live as long as the
  /// pass. None: it is not cut. Work on a layer is then attention, gate and read-back of each part, the
  /// layer's missing experts, each as soon as the first part that needs it is known to, what is announced,
  /// and the experts: of each part, or one by one for all parts, those that are there first and the others in
  /// the order of their copies.
  void cut_pass(std::span<const StepRouting> micro_batches);
  /// What is known of the pass before its first layer, where the policy announces then.
  void announce_pass(const StepRouting& routing, const StepPredictions* predictions);
  void dense_layer(int layer, int layer_class);
  /// Attention, gate and, where the host must know the ids, their read-back: the next three, one after the
  /// other.
  void begin_moe_layer(int ordinal, int layer_class) {
    if (is_cut()) return begin_in_micro_batches(ordinal, layer_class);
    attend(ordinal, layer_class);
    gate();
    read_ids();
  }
  void attend(int ordinal, int layer_class);
  /// What the CPU attended to is on the GPU before what comes next, if that is where it was done. gate() sees
  /// to it itself.
  void combine_attention();
  void gate();
  void read_ids() {
    issue_ids();
    learn_ids();
  }
  /// The two halves of it, so that a GPU's ids are on their way before the host waits for another's.
  void issue_ids();
  void learn_ids() { stop_at_gate(); }
  /// Of a pass that is cut, the same part by part: each is attended to, then chooses its experts (gate,
  /// read-back); where all_attend_first(), every part attends before the first chooses. After the last one
  /// comes know_parts(), then learn_ids().
  void attend_part(std::size_t part, int ordinal, int layer_class);
  void combine_part(std::size_t part);
  void choose_experts_of_part(std::size_t part) {
    gate_of_part(part);
    issue_ids_of_part(part);
  }
  /// The two halves of it, for GPUs that send each other tokens between them.
  void gate_of_part(std::size_t part);
  void issue_ids_of_part(std::size_t part);
  void know_parts();
  [[nodiscard]] bool all_attend_first(int layer_class) const {
    return has_host_kv(layer_class) && attends_on_cpu();
  }
  /// `predictions` may be null; it is asked only by the lookahead `recorded`.
  void gate_known(int ordinal, const StepRouting& routing, const StepPredictions* predictions) {
    serve_layer(ordinal, routing, predictions);
    leave_layer();
  }
  /// Its experts, those that are announced, and what leaves the GPU.
  void serve_layer(int ordinal, const StepRouting& routing, const StepPredictions* predictions);
  /// Hands the layer over; its last operation ends the block that is measured.
  void leave_layer();

  /// The experts of a layer all of which are resident, and nothing else of it, after `ready`: where another
  /// GPU does all else alike. Not counted: count_resident() does that, once.
  void compute_resident(int ordinal, int layer_class, const StepRouting& routing, OpId ready);
  void count_resident(int ordinal, const StepRouting& routing);

  /// Where GPUs attend to requests of their own, before the first pass: what is sent to other places.
  void have(TokensHere tokens) {
    remote_.set(tokens);
    awaits_tokens_ = tokens == TokensHere::routed;
  }
  /// Where so many GPUs share the heads: a CPU that attends gets and gives that part of each token.
  void share_heads(int gpus) { heads_shared_by_ = static_cast<std::uint16_t>(gpus); }
  /// Where several GPUs run a pass. The last operation here; what is issued next waits for `id` as well.
  [[nodiscard]] OpId last() const { return last_; }
  void wait_for(OpId id) { arrived_ = id; }
  /// Takes part in an exchange, which begins when all of `ready` are done; of nothing, it waits for them.
  void meet(std::span<const OpId> ready, const Meeting& meeting);
  /// Copies this GPU's activations to another's memory after its last operation; the last hop.
  OpId send_to(PlaceId gpu);
  /// `has_head`: the pass ends with the output projection. Returns its last operation.
  OpId end_pass(bool has_head);

  [[nodiscard]] const AccessCounts& decode_counts() const { return decode_counts_; }
  [[nodiscard]] const AccessCounts& other_counts() const { return other_counts_; }

 private:
  OpId compute(OpKind kind, int layer, int layer_class);
  void begin_kv_pass(trace::Phase phase);
  [[nodiscard]] bool has_host_kv(int layer_class) const;
  [[nodiscard]] bool attends_on_cpu() const {
    return decode_ && plan_.policy.kv_cache.attention == AttentionPlace::cpu;
  }
  OpId attend_over(OpKind kind, int layer, int layer_class);
  OpId load_kv(int layer, int layer_class);
  OpId store_kv(int layer, int layer_class, OpId after);
  void attend_on_cpu(int layer, int layer_class, OpId projected);
  void wait_for_all_copies();
  void issue_read_back();
  /// Until the ids are known, where something needs the clock.
  void stop_at_gate();
  [[nodiscard]] bool is_cut() const { return !micro_batches_.empty(); }
  /// compute() of every part of the pass.
  OpId compute_all(OpKind kind, int layer, int layer_class);
  void begin_in_micro_batches(int ordinal, int layer_class);
  /// When the host knows that the layer needs the expert, if it need not know more to decide.
  [[nodiscard]] OpId known(ExpertKey key) const {
    return is_cut() && !needs_clock_ ? known_of_[key] : ids_known_;
  }
  void compute_ready_first(int ordinal, std::span<const ExpertKey> keys,
                           std::span<const std::uint32_t> tokens, bool with_shared);
  void compute_in_micro_batches(int ordinal, std::span<const ExpertKey> keys, bool with_shared);
  /// Hands over what was put together.
  void run();
  void announce(const StepRouting& routing, const StepPredictions* predictions);
  OpId predict(OpId after);
  /// Now, of the layer's gate, behind `copies_`.
  void read_ids_back(OpId after);
  void look_up(std::size_t experts);
  void find_own_copies(std::span<const ExpertKey> activated);
  [[nodiscard]] Moment moment() const;
  void classify(int ordinal, std::span<const ExpertKey> activated);
  std::size_t part_activated(int ordinal, const StepRouting& routing);
  void look_up_split(int ordinal, std::span<const ExpertKey> activated);
  void split(int ordinal, const StepRouting& routing);
  void decide_misses(const StepRouting& routing);
  void take_in_place(const Serving& serving, std::uint32_t tokens);
  void find_idle(std::span<const ExpertKey> activated);
  bool serve_in_low_format(const Serving& serving, ExpertKey key, std::uint32_t tokens);
  void put_demanded_in_order(std::span<const ExpertKey> activated);
  void read_through();
  void compute_low_format(bool with_shared);
  void serve_split(int ordinal, const StepRouting& routing, const StepPredictions* predictions);
  /// Said to be on the GPU, in no slot that anything could wait for.
  [[nodiscard]] bool is_decreed_hit(ExpertKey key) const {
    return hits_are_decreed_ && plan_.resident[key] == 0 && cache_->is_resident(key);
  }
  [[nodiscard]] bool is_begun_ahead(int ordinal, ExpertKey key) const {
    if (begun_.empty()) return false;
    const std::vector<ExpertKey>& keys = begun_[static_cast<std::size_t>(ordinal)].keys;
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  }
  /// Of copies that are issued by the layer that runs.
  [[nodiscard]] std::uint8_t priority(CopyReason reason) const {
    return priority_of(plan_.policy.transfer.queue, reason, std::max(0, ordinal_ - first_ordinal_));
  }
  [[nodiscard]] std::uint32_t cache_domain(int ordinal) const {
    return plan_.policy.cache.scope == CacheScope::global ? 0U : static_cast<std::uint32_t>(ordinal);
  }
  void serve_misses(int ordinal, const StepRouting& routing, const StepPredictions* predictions);
  /// From the drive, where there is one: those of `keys` that are in no slot.
  void read_absent(std::span<const ExpertKey> keys);
  void stage_hits(std::span<const ExpertKey> activated);
  void run_waves(int ordinal, std::span<const ExpertKey> activated, std::span<const std::uint32_t> tokens);
  void compute_experts(int ordinal, std::span<const ExpertKey> keys, std::span<const ExpertKey> copied,
                       std::span<const std::uint32_t> tokens, std::uint32_t routed, bool with_shared);
  void compute_set(int ordinal, std::span<const ExpertKey> keys, std::span<const ExpertKey> copied,
                   std::span<const std::uint32_t> tokens, std::uint32_t routed, bool with_shared);
  void issue_experts(std::span<const ExpertKey> keys, std::span<const std::uint32_t> tokens,
                     std::uint32_t routed, bool with_shared, std::uint16_t part = 0, std::uint16_t parts = 1);
  void compute_by_chunk(std::span<const ExpertKey> keys, std::span<const std::uint32_t> tokens,
                        std::uint32_t routed, bool with_shared);
  void release(int ordinal);
  void note_parts(std::span<const ExpertKey> activated);
  void fetch_now(ExpertKey key, std::uint8_t demanded);
  void release_evicted();
  void keep_for_later(int ordinal);
  void compute_ahead();
  /// The expert leaves the GPU, if it is in a slot.
  void leave_slot(ExpertKey key);
  void read_ahead(int ordinal);
  void exchange_experts();
  void write_back_evicted();
  void release_transient(ExpertKey key) {
    if (splits_ || !cache_ || !cache_->is_resident(key)) leave_slot(key);
  }

  const ExpertMap& map_;
  const Plan& plan_;
  Executor& executor_;
  const Topology& topology_;
  PlaceId gpu_, cpu_;
  StreamId computes_;
  Hop in_, out_;
  LayerProgram& program_;
  const Estimates* estimates_;
  bool names_experts_, needs_clock_, stops_at_gates_;
  std::vector<std::uint8_t> offloaded_;  // by ordinal: some expert is not resident for the run
  std::unique_ptr<cache::ExpertCache> cache_;
  HostReads reads_;
  ExpertSlots slots_;
  std::unique_ptr<FormatPool> low_;  // null: one format
  Lookahead lookahead_;
  RemoteExperts remote_;
  std::unique_ptr<MissService> service_;  // null: every miss is fetched
  bool hits_are_decreed_, waits_to_announce_, cache_watches_;
  bool asks_weights_ = false, awaits_tokens_ = false;
  StepGates gates_;
  GateShares shares_;
  Waves waves_;
  /// What the CPU began with before the layer's ids were known, by ordinal.
  struct BegunAhead {
    std::vector<ExpertKey> keys;
    OpId result = no_op;
  };
  std::vector<BegunAhead> begun_;  // empty: nobody computes ahead
  std::int64_t written_back_before_ = 0, reads_before_ = 0;
  bool some_resident_ = false;
  bool kv_on_host_, synchronizes_, splits_;
  std::uint16_t heads_shared_by_ = 1;
  std::vector<std::uint8_t> is_cached_;  // by key: of the layer, and the cache had a part of it
  std::vector<ExpertKey> assembled_;     // of the layer, in working buffers
  std::vector<OpId> kv_stored_;          // by layer: the last copy of new keys and values
  std::vector<OpId> kv_stored_before_;   // that of the passes before

  // of the pass
  bool kv_pass_ = false;
  std::array<OpId, 2> kv_readers_{no_op, no_op};  // of the room for cached tokens on the GPU
  std::size_t kv_buffer_ = 0;                     // that is next
  OpId attended_ = no_op;                         // what the CPU sent back of the attention issued last
  bool decode_ = true;
  int tokens_ = 0, first_ordinal_ = 0;
  AccessCounts* counts_now_ = nullptr;
  // of the layer
  int layer_ = 0, ordinal_ = 0, layer_class_ = 0;
  std::uint32_t activated_ = 0, routed_ = 0;
  bool reads_back_ = false;
  Picoseconds now_;
  OpId block_first_ = no_op, ids_known_ = no_op, last_ = no_op, arrived_ = no_op;
  OpId parts_first_ = no_op;  // block_first_ of the first part of a pass that is cut
  std::span<const ExpertKey> misses_;
  std::size_t to_fetch_ = 0, found_low_ = 0;
  std::size_t begun_ahead_ = 0;  // of the misses, by the CPU
  std::vector<ExpertKey> cacheable_, in_order_;
  std::vector<ExpertKey> to_read_;
  std::vector<OpId> copies_;  // that the operation being put together waits for
  SplitSet on_gpu_, missing_;
  SplitSet read_;                             // over the link, by the GPU
  std::vector<Serving> served_;               // of missing_
  std::vector<double> better_;                // likewise, where the service asks
  std::vector<std::uint32_t> missing_place_;  // likewise, among the activated
  std::vector<std::uint8_t> marked_;          // likewise
  std::vector<ExpertKey> idle_;               // on the GPU, not activated
  std::vector<ExpertKey> demanded_;           // of those, to be fetched
  std::vector<ExpertKey> copied_too_;  // of those that are computed elsewhere, to be fetched for next time

  // of a pass that is cut
  std::span<const StepRouting> micro_batches_;
  int micro_batch_ = -1;            // that work is being put together for; -1: all
  std::vector<OpId> known_of_;      // by key, where some part of the layer activates it
  std::vector<OpId> attended_of_;   // by part: attended_
  std::vector<std::uint8_t> set_;   // by key: among those that are to be computed now
  std::vector<std::size_t> order_;  // of experts that are computed one by one
  std::vector<ExpertKey> keys_of_part_;
  std::vector<std::uint32_t> tokens_of_part_;

  AccessCounts decode_counts_, other_counts_;
};

}  // namespace pregate::sim
