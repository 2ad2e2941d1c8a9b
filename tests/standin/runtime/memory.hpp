// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "tests/standin/ptx/environment.hpp"
#include "tests/standin/runtime/hidden_lock.hpp"
#include "tests/standin/runtime/options.hpp"

namespace pregate::standin {

enum class MemoryKind : std::uint8_t {
  device,      ///< cudaMalloc
  pinned,      ///< cudaMallocHost, cudaHostAlloc
  registered,  ///< cudaHostRegister
  module,      ///< variables of a module; lives as long as the program
};

struct Allocation {
  std::uintptr_t address = 0;
  std::size_t size = 0;
  MemoryKind kind = MemoryKind::device;
  bool live = true;
  int device = 0;  ///< whose memory it is; of the kind `device`
  /// From the host's view of pinned memory to the stand-in's own, which is never protected.
  std::ptrdiff_t to_alias = 0;
};

/// Device and pinned memory. Device addresses lie in a window that the host cannot touch; the bytes behind
/// them, and a byte for each that says whether it was written, lie elsewhere. Addresses are never used twice,
/// so that use after free is always seen.
class Memory {
 public:
  /// `limit`: bytes of each device.
  explicit Memory(std::size_t limit);

  /// The address, or nothing when the limit would be passed. The bytes are 0xff (a NaN in every format).
  std::optional<std::uintptr_t> allocate_device(std::size_t size, MemoryKind kind = MemoryKind::device,
                                                int device = 0);
  std::optional<std::uintptr_t> allocate_pinned(std::size_t size);
  bool register_host(std::uintptr_t address, std::size_t size);

  /// The allocation that starts at `address`, live and of this kind; it is dead afterwards.
  std::optional<Allocation> release(std::uintptr_t address, MemoryKind kind);

  /// The allocation that holds `address`, living or dead; ends are included up to the guard zone.
  std::optional<Allocation> find(std::uintptr_t address) const;
  /// Whether [address, address + size) lies in live memory of a page-locked kind.
  bool is_page_locked(std::uintptr_t address, std::size_t size) const;
  bool is_device_address(std::uintptr_t address) const;

  static constexpr int any_device = -1;
  /// Checks an access by a device-side operation. `device`: it runs there, and reaches the memory of others
  /// only where that was allowed; copies reach all.
  ptx::Resolved resolve(std::uintptr_t address, std::size_t size, bool write, int device = any_device);
  /// Lets kernels of `device` reach the memory of `peer`, or no longer; false when it was so before.
  bool let_reach(int device, int peer, bool allowed);

  std::size_t limit() const { return limit_; }
  std::size_t used(int device = 0) const;
  /// Live allocations of the program and their bytes, in words; empty when there are none.
  std::string leaks() const;

 private:
  const Allocation* find_locked(std::uintptr_t address) const;

  mutable HiddenLock lock_;
  std::map<std::uintptr_t, Allocation> allocations_;
  std::uintptr_t window_ = 0;
  std::uintptr_t next_ = 0;
  std::byte* bytes_ = nullptr;
  std::byte* written_ = nullptr;
  std::size_t limit_;
  std::array<std::size_t, most_devices> used_{};
  std::array<std::array<bool, most_devices>, most_devices> reaches_{};
};

/// "offset 12 of a device allocation of 64 bytes"
std::string described(const Allocation& allocation, std::uintptr_t address);

}  // namespace pregate::standin
