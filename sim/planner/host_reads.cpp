// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/host_reads.hpp"

#include <utility>

namespace pregate::sim {

void HostReads::set(std::unique_ptr<HostTier> tier, const Hop& from_drive) {
  tier_ = std::move(tier);
  from_drive_ = from_drive;
  read_.assign(keys_, no_op);
}

void HostReads::begin_layer() {
  for (const ExpertKey key : changed_) read_[key] = no_op;
  changed_.clear();
}

void HostReads::bring(int ordinal, int layer, std::span<const ExpertKey> keys, OpId ids_known) {
  if (!tier_ || keys.empty()) return;
  for (const ExpertKey key : tier_->access(ordinal, keys)) {
    program_.open(OpKind::drive_read, from_drive_, layer);
    program_.use({key, -1});
    program_.after(ids_known);
    read_[key] = program_.close();
    changed_.push_back(key);
    ++count_;
  }
}

}  // namespace pregate::sim
