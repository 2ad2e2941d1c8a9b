// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/host_slots.hpp"

#include <stdexcept>
#include <utility>

#include "models/error.hpp"

namespace pregate::runtime {

HostSlots::HostSlots(Device& device, const ExpertStore& store, const ModelShape& shape, std::uint32_t keys,
                     std::int64_t slots)
    : store_(store),
      bytes_(shape.experts.bytes),
      stride_{(shape.experts.bytes.count + DirectFile::block - 1) / DirectFile::block * DirectFile::block},
      slots_(static_cast<std::size_t>(slots)),
      uses_(keys) {
  if (store.in_host_memory()) {
    throw InputError("policy.host_cache.capacity",
                     "host memory holds but some experts, and no drive the others",
                     "name a directory on the drive: --experts-on-ssd DIR");
  }
  memory_ = device.allocate_page_locked(stride_ * slots, "experts that are read from the drive");
}

namespace {

/// Shows the tier that the planner made.
class WatchedTier final : public sim::HostTier {
 public:
  explicit WatchedTier(std::unique_ptr<sim::HostTier> tier) : tier_(std::move(tier)) {}
  std::span<const cache::ExpertKey> access(int ordinal, std::span<const cache::ExpertKey> keys) override {
    return tier_->access(ordinal, keys);
  }
  void take_back(cache::ExpertKey key) override { tier_->take_back(key); }
  [[nodiscard]] bool holds(cache::ExpertKey key) const override { return tier_->holds(key); }

 private:
  std::unique_ptr<sim::HostTier> tier_;
};

}  // namespace

sim::MakeHostTier HostSlots::watched(sim::MakeHostTier make) {
  return [this, make = std::move(make)] {
    auto tier = std::make_unique<WatchedTier>(make());
    tier_ = tier.get();
    return tier;
  };
}

bool HostSlots::is_free(const Slot& slot) const {
  if (slot.key < 0) return true;
  const auto key = static_cast<sim::ExpertKey>(slot.key);
  return uses_[key].expected == 0 && !tier_->holds(key);
}

sim::OpId HostSlots::assign(sim::ExpertKey key) {
  Slot* oldest = nullptr;
  for (Slot& slot : slots_) {
    if (is_free(slot) && (oldest == nullptr || slot.since < oldest->since)) oldest = &slot;
  }
  if (oldest == nullptr) throw std::logic_error("every slot of host memory is in use");
  if (oldest->key >= 0) uses_[static_cast<std::size_t>(oldest->key)].slot = -1;
  const sim::OpId last_use = oldest->last_use;
  *oldest = {static_cast<std::int64_t>(key), ++assigned_, sim::no_op};
  uses_[key].slot = static_cast<std::int32_t>(oldest - slots_.data());
  return last_use;
}

void HostSlots::read(Stream& stream, sim::ExpertKey key) {
  const PageLockedSpan to = at(key);
  stream.call([this, key, to] {
    store_.read(reader_, key, {to.data(), static_cast<std::size_t>(to.size().count)});
  });
}

void HostSlots::take(sim::ExpertKey key, sim::OpId by) {
  Use& use = uses_[key];
  --use.expected;
  if (use.slot >= 0) slots_[static_cast<std::size_t>(use.slot)].last_use = by;
}

PageLockedSpan HostSlots::at(sim::ExpertKey key) const {
  if (uses_[key].slot < 0) throw std::logic_error("an expert is copied that nobody read from the drive");
  return memory_.span().part(stride_ * uses_[key].slot, bytes_);
}

void HostSlots::begin_pass() {
  for (Slot& slot : slots_) slot.last_use = sim::no_op;
}

}  // namespace pregate::runtime
