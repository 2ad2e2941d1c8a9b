// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>

#include "tests/standin/runtime/pointers.hpp"

namespace pregate::standin {
namespace {

// Address space only; pages come when they are written.
constexpr std::size_t window_bytes = std::size_t{1} << 37;
constexpr std::size_t page = 4096;
constexpr std::size_t granularity = 512;  // what a device allocation takes of the limit

std::byte* reserve(std::size_t size, int protection) {
  void* result = mmap(nullptr, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (result == MAP_FAILED) {
    std::fprintf(stderr, "standin: cannot reserve %zu bytes of address space\n", size);
    _exit(98);
  }
  return static_cast<std::byte*>(result);
}

std::size_t rounded_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

bool contains(const Allocation& allocation, std::uintptr_t address, std::size_t size) {
  return address >= allocation.address && size <= allocation.size &&
         address - allocation.address <= allocation.size - size;
}

const char* name_of(MemoryKind kind) {
  static constexpr std::array<const char*, 4> names = {"device", "pinned", "registered", "module"};
  return names.at(static_cast<std::size_t>(kind));
}

bool on_device(MemoryKind kind) { return kind == MemoryKind::device || kind == MemoryKind::module; }

}  // namespace

std::string described(const Allocation& allocation, std::uintptr_t address) {
  return "offset " + std::to_string(address - allocation.address) + " of a " + name_of(allocation.kind) +
         " allocation of " + std::to_string(allocation.size) + " bytes";
}

Memory::Memory(std::size_t limit) : limit_(limit) {
  window_ = next_ = address_of(reserve(window_bytes, PROT_NONE));
  bytes_ = reserve(window_bytes, PROT_READ | PROT_WRITE);
  written_ = reserve(window_bytes, PROT_READ | PROT_WRITE);
}

std::optional<std::uintptr_t> Memory::allocate_device(std::size_t size, MemoryKind kind, int device) {
  const std::lock_guard guard(lock_);
  if (size > limit_) return std::nullopt;
  const std::size_t taken = kind == MemoryKind::device ? rounded_up(size, granularity) : 0;
  const std::size_t reserved = rounded_up(size, page) + page;  // a page that belongs to nobody
  std::size_t& used = used_.at(static_cast<std::size_t>(device));
  if (taken > limit_ - used || reserved > window_ + window_bytes - next_) return std::nullopt;
  used += taken;
  const std::uintptr_t address = next_;
  next_ += reserved;
  std::memset(bytes_ + (address - window_), 0xff, size);
  allocations_[address] = {address, size, kind, true, device, 0};
  return address;
}

std::optional<std::uintptr_t> Memory::allocate_pinned(std::size_t size) {
  const std::size_t reserved = rounded_up(size, page);
  const int file = memfd_create("standin-pinned", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, static_cast<off_t>(reserved)) != 0) {
    if (file >= 0) close(file);
    return std::nullopt;
  }
  std::byte* bytes = reserve(reserved + page, PROT_NONE);  // a page that belongs to nobody follows
  void* const view = mmap(bytes, reserved, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
  void* const alias = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (view == MAP_FAILED || alias == MAP_FAILED) return std::nullopt;
  std::memset(alias, 0xff, size);
  const std::ptrdiff_t to_alias = static_cast<std::byte*>(alias) - bytes;
  const std::lock_guard guard(lock_);
  allocations_[address_of(bytes)] = {address_of(bytes), size, MemoryKind::pinned, true, 0, to_alias};
  return address_of(bytes);
}

bool Memory::register_host(std::uintptr_t address, std::size_t size) {
  const std::lock_guard guard(lock_);
  const Allocation* found = find_locked(address);
  if (found != nullptr && found->live) return false;
  allocations_[address] = {address, size, MemoryKind::registered, true, 0, 0};
  return true;
}

std::optional<Allocation> Memory::release(std::uintptr_t address, MemoryKind kind) {
  const std::lock_guard guard(lock_);
  const auto found = allocations_.find(address);
  if (found == allocations_.end() || !found->second.live || found->second.kind != kind) return std::nullopt;
  found->second.live = false;
  const Allocation released = found->second;
  const std::size_t pages = rounded_up(released.size, page);
  if (kind == MemoryKind::device) {
    used_.at(static_cast<std::size_t>(released.device)) -= rounded_up(released.size, granularity);
    madvise(bytes_ + (address - window_), pages, MADV_DONTNEED);
    madvise(written_ + (address - window_), pages, MADV_DONTNEED);
  } else if (kind == MemoryKind::pinned) {
    munmap(pointer_to(address) + released.to_alias, pages);
    // The address range stays taken, without memory; should that fail, it is mapped as before.
    static_cast<void>(mmap(pointer_to(address), pages, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0));
  } else {
    allocations_.erase(found);  // the memory goes on living as ordinary memory
  }
  return released;
}

const Allocation* Memory::find_locked(std::uintptr_t address) const {
  auto after = allocations_.upper_bound(address);
  if (after == allocations_.begin()) return nullptr;
  const Allocation& candidate = std::prev(after)->second;
  return address - candidate.address < candidate.size + page ? &candidate : nullptr;
}

std::optional<Allocation> Memory::find(std::uintptr_t address) const {
  const std::lock_guard guard(lock_);
  const Allocation* found = find_locked(address);
  return found == nullptr ? std::nullopt : std::optional(*found);
}

bool Memory::is_page_locked(std::uintptr_t address, std::size_t size) const {
  const auto found = find(address);
  return found && found->live && !on_device(found->kind) && contains(*found, address, size);
}

bool Memory::is_device_address(std::uintptr_t address) const {
  return address >= window_ && address - window_ < window_bytes;
}

ptx::Resolved Memory::resolve(std::uintptr_t address, std::size_t size, bool write, int device) {
  const auto found = find(address);
  if (!found) return {nullptr, "bounds", "the address is neither device nor page-locked memory"};
  if (!found->live) return {nullptr, "freed", described(*found, address) + ", which has been freed"};
  if (!contains(*found, address, size)) return {nullptr, "bounds", described(*found, address)};
  const bool is_others = device != any_device && found->kind == MemoryKind::device && found->device != device;
  if (is_others && !reaches_.at(static_cast<std::size_t>(device)).at(static_cast<std::size_t>(found->device)))
    return {nullptr, "peer",
            described(*found, address) + " on device " + std::to_string(found->device) + ", which device " +
                std::to_string(device) + " was not let reach (cudaDeviceEnablePeerAccess)"};
  if (!on_device(found->kind)) return {pointer_to(address) + found->to_alias, "", ""};
  const std::size_t offset = address - window_;
  ptx::Resolved result{bytes_ + offset, "", ""};
  if (write || std::memchr(written_ + offset, 0, size) == nullptr) {
    if (write) std::memset(written_ + offset, 1, size);
    return result;
  }
  std::memset(written_ + offset, 1, size);  // once is enough
  result.kind = "uninitialised";
  result.problem = described(*found, address) + ", not all of them written before";
  return result;
}

std::size_t Memory::used(int device) const {
  const std::lock_guard guard(lock_);
  return used_.at(static_cast<std::size_t>(device));
}

bool Memory::let_reach(int device, int peer, bool allowed) {
  const std::lock_guard guard(lock_);
  bool& reaches = reaches_.at(static_cast<std::size_t>(device)).at(static_cast<std::size_t>(peer));
  return std::exchange(reaches, allowed) != allowed;
}

std::string Memory::leaks() const {
  const std::lock_guard guard(lock_);
  std::array<std::size_t, 4> counts{};
  std::array<std::size_t, 4> bytes{};
  for (const auto& [address, allocation] : allocations_) {
    if (!allocation.live) continue;
    counts.at(static_cast<std::size_t>(allocation.kind)) += 1;
    bytes.at(static_cast<std::size_t>(allocation.kind)) += allocation.size;
  }
  std::string text;
  for (const MemoryKind kind : {MemoryKind::device, MemoryKind::pinned, MemoryKind::registered}) {
    const auto index = static_cast<std::size_t>(kind);
    if (counts.at(index) == 0) continue;
    if (!text.empty()) text += "; ";
    text += std::to_string(counts.at(index)) + " " + name_of(kind) + " allocations (" +
            std::to_string(bytes.at(index)) + " bytes) never released";
  }
  return text;
}

}  // namespace pregate::standin
