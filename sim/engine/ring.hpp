// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pregate::sim {

/// A queue whose elements keep the index at which they were pushed (0, 1, 2, ...) until they are dropped from
/// the front. Storage is a power of two, reused in a circle: it grows only when all of it is in use.
template <typename T>
class Ring {
 public:
  [[nodiscard]] std::uint64_t begin_index() const { return begin_; }
  [[nodiscard]] std::uint64_t end_index() const { return end_; }
  [[nodiscard]] bool empty() const { return begin_ == end_; }
  [[nodiscard]] bool full() const { return end_ - begin_ == mask_ + 1; }

  /// Precondition: begin_index() <= index < end_index().
  T& operator[](std::uint64_t index) { return slots_[index & mask_]; }
  const T& operator[](std::uint64_t index) const { return slots_[index & mask_]; }
  T& front() { return (*this)[begin_]; }

  T& push(const T& value) {
    if (full()) grow();
    return (*this)[end_++] = value;
  }
  /// As push() of what stood in that place before: to be written later.
  T& push_unwritten() {
    if (full()) grow();
    return (*this)[end_++];
  }
  void pop_front() { ++begin_; }
  /// Precondition: begin_index() <= index <= end_index().
  void drop_before(std::uint64_t index) { begin_ = index; }

 private:
  void grow() {
    constexpr std::size_t first_size = 256;
    std::vector<T> wider(slots_.empty() ? first_size : slots_.size() * 2);
    for (std::uint64_t i = begin_; i != end_; ++i) wider[i & (wider.size() - 1)] = (*this)[i];
    slots_.swap(wider);
    mask_ = slots_.size() - 1;
  }

  std::vector<T> slots_;
  std::uint64_t mask_ = ~std::uint64_t{0};  ///< size of slots_ - 1
  std::uint64_t begin_ = 0, end_ = 0;
};

}  // namespace pregate::sim
