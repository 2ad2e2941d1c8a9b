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
  if (tier_ && !keys.empty()) read(tier_->access(ordinal, keys), layer, ids_known, changed_);
}

void HostReads::preload(int ordinal, int layer, std::span<const ExpertKey> keys, OpId after) {
  if (!tier_ || keys.empty()) return;
  const auto place = static_cast<std::size_t>(ordinal);
  if (preloaded_.size() <= place) preloaded_.resize(place + 1);
  read(tier_->access(ordinal, keys), layer, after, preloaded_[place]);
}

void HostReads::leave(int ordinal) {
  if (preloaded_.size() <= static_cast<std::size_t>(ordinal)) return;
  std::vector<ExpertKey>& preloaded = preloaded_[static_cast<std::size_t>(ordinal)];
  for (const ExpertKey key : preloaded) read_[key] = no_op;
  preloaded.clear();
}

void HostReads::read(std::span<const ExpertKey> absent, int layer, OpId after,
                     std::vector<ExpertKey>& changed) {
  std::uint32_t before = 0;
  for (const ExpertKey key : absent) {
    program_.open(OpKind::drive_read, from_drive_, layer).routed = before++;
    program_.use({key, -1});
    program_.after(after);
    read_[key] = program_.close();
    changed.push_back(key);
    ++count_;
  }
}

}  // namespace pregate::sim
