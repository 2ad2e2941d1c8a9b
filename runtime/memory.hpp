// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <utility>

#include "models/units.hpp"

namespace pregate::runtime {

/// Where a range of memory lives. The two are different types so that no asynchronous copy can be given
/// pageable memory, nor a kernel a host address.
enum class Place { device, page_locked };

template <Place place>
class Memory;

/// A range of device or page-locked memory; owns nothing. It can only come from a Memory of the same place,
/// which must outlive it and every operation that uses it.
template <Place place>
class Span {
 public:
  Span() = default;
  [[nodiscard]] Bytes size() const { return {static_cast<std::int64_t>(size_)}; }
  [[nodiscard]] std::byte* data() const { return data_; }
  template <class T>
  [[nodiscard]] T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  /// Throws std::out_of_range when the part does not lie inside.
  [[nodiscard]] Span part(Bytes from, Bytes bytes) const {
    const auto begin = static_cast<std::size_t>(from.count), length = static_cast<std::size_t>(bytes.count);
    if (begin > size_ || length > size_ - begin) throw std::out_of_range("part of a memory range");
    return {data_ + begin, length};
  }

 private:
  friend Memory<place>;
  Span(std::byte* data, std::size_t size) : data_(data), size_(size) {}
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Owns an allocation of a device; freed by it on destruction. Device operations that use it must have ended.
template <Place place>
class Memory {
 public:
  using Free = void (*)(void* owner, std::byte* data, std::size_t size);

  Memory() = default;
  /// Takes `data` over: `free(owner, data, size)` gives it back.
  Memory(std::byte* data, Bytes size, Free free, void* owner)
      : data_(data), size_(static_cast<std::size_t>(size.count)), free_(free), owner_(owner) {}
  ~Memory() { reset(); }
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    Memory(std::move(other)).swap(*this);
    return *this;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  [[nodiscard]] Bytes size() const { return {static_cast<std::int64_t>(size_)}; }
  [[nodiscard]] Span<place> span() const { return {data_, size_}; }

 private:
  void reset() {
    if (data_ != nullptr) free_(owner_, data_, size_);
    data_ = nullptr;
  }
  void swap(Memory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(free_, other.free_);
    std::swap(owner_, other.owner_);
  }
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  Free free_ = nullptr;
  void* owner_ = nullptr;
};

using DeviceSpan = Span<Place::device>;
using PageLockedSpan = Span<Place::page_locked>;
using DeviceMemory = Memory<Place::device>;
using PageLockedMemory = Memory<Place::page_locked>;

}  // namespace pregate::runtime
