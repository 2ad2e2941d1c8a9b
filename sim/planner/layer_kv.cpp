// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A KV cache in the host's memory: what attention waits for, and what it leaves there.
#include <utility>

#include "sim/planner/layer_planner.hpp"

namespace pregate::sim {

void LayerPlanner::begin_kv_pass(trace::Phase phase) {
  kv_pass_ = kv_on_host_ && phase != trace::Phase::encoder;
  kv_readers_.fill(last_);
  if (kv_pass_) kv_stored_before_ = kv_stored_;
}

bool LayerPlanner::has_host_kv(int layer_class) const {
  return kv_pass_ && program_.shape().kv_on_host[static_cast<std::size_t>(layer_class)] != 0;
}

/// Attention, or a whole layer without experts: what of it the GPU computes. Two micro-batches have room for
/// cached tokens there: a copy waits for attention of the one before the last.
OpId LayerPlanner::attend_over(OpKind kind, int layer, int layer_class) {
  attended_ = no_op;
  if (!has_host_kv(layer_class) && !synchronizes_) return compute(kind, layer, layer_class);
  const bool here = has_host_kv(layer_class) && !attends_on_cpu();
  const OpId loaded = here ? load_kv(layer, layer_class) : no_op;
  Work& work = program_.open(kind, computes_, layer);
  work.layer_class = layer_class;
  work.micro_batch = micro_batch_;
  program_.after(std::exchange(arrived_, no_op));
  program_.after_copy(loaded);
  wait_for_all_copies();
  const OpId attended = program_.close();
  if (here) {
    kv_readers_[kv_buffer_] = attended;
    kv_buffer_ = 1 - kv_buffer_;
  } else if (has_host_kv(layer_class)) {
    attend_on_cpu(layer, layer_class, attended);
  }
  return attended;
}

OpId LayerPlanner::load_kv(int layer, int layer_class) {
  Work& work = program_.open(OpKind::kv_load, in_, layer);
  work.layer_class = layer_class;
  work.micro_batch = micro_batch_;
  program_.after(kv_readers_[kv_buffer_]);
  const auto place = static_cast<std::size_t>(layer);
  if (place < kv_stored_before_.size()) program_.after_copy(kv_stored_before_[place]);
  return program_.close();
}

OpId LayerPlanner::store_kv(int layer, int layer_class, OpId after) {
  Work& work = program_.open(OpKind::kv_store, out_, layer);
  work.layer_class = layer_class;
  work.micro_batch = micro_batch_;
  program_.after(after);
  const auto place = static_cast<std::size_t>(layer);
  if (kv_stored_.size() <= place) kv_stored_.resize(place + 1, no_op);
  return kv_stored_[place] = program_.close();
}

/// Queries, new keys and values to the host; what it made of them back, over the link by the CPU itself. Of
/// GPUs that share the heads each sends and gets those that are its own.
void LayerPlanner::attend_on_cpu(int layer, int layer_class, OpId projected) {
  const OpId stored = store_kv(layer, layer_class, projected);
  const auto hand_over = [&](const Hop& hop, OpId after) {
    Work& work = program_.open(OpKind::activations, hop, layer);
    work.micro_batch = micro_batch_;
    work.parts = heads_shared_by_;
    program_.after(after);
    return program_.close();
  };
  const OpId queries = hand_over(out_, projected);
  const Place& cpu = topology_[cpu_];
  Work& work = program_.open(OpKind::cpu_attention, cpu.compute, layer);
  work.crosses = cpu.reads_over;
  work.at = PlaceKind::cpu;
  work.layer_class = layer_class;
  work.micro_batch = micro_batch_;
  program_.after(stored);
  program_.after(queries);
  const OpId computed = program_.close();
  attended_ = hand_over(topology_.sent_by(cpu_, topology_[gpu_].memory), computed);
}

/// What comes next on the GPU has what the CPU computed.
void LayerPlanner::combine_attention() {
  if (attended_ == no_op) return;
  program_.open(OpKind::combine, computes_, layer_);
  program_.after(std::exchange(attended_, no_op));
  last_ = program_.close();
}

/// FlexGen synchronizes after each micro-batch (Sheng et al., arXiv 2303.06865, algorithm 1). For the open
/// entry, whatever was issued before it on either direction of the GPU's own link: of several GPUs each has a
/// process.
void LayerPlanner::wait_for_all_copies() {
  if (!synchronizes_) return;
  program_.after_copy(program_.last_on(in_.stream));
  program_.after(program_.last_on(out_.stream));
}

}  // namespace pregate::sim
