// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace pregate::runtime {

/// Something to be called once by a worker. Unlike std::function it holds what it calls inside itself, so
/// that to issue one allocates nothing, and need not be copyable.
class Task {
 public:
  Task() = default;
  template <class Held>
  Task(Held callable) {  // NOLINT(google-explicit-constructor): any callable is a task
    static_assert(sizeof(Held) <= capacity);
    static_assert(alignof(std::max_align_t) >= alignof(Held));
    static_assert(std::is_nothrow_move_constructible_v<Held>);
    new (held_) Held(std::move(callable));
    call_ = [](std::byte* held) { (*as<Held>(held))(); };
    move_or_destroy_ = [](std::byte* from, std::byte* to) noexcept {
      if (to != nullptr) new (to) Held(std::move(*as<Held>(from)));
      as<Held>(from)->~Held();
    };
  }
  Task(Task&& other) noexcept { take(other); }
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { reset(); }

  /// Precondition: it holds something.
  void operator()() { call_(held_); }
  /// Gives back what it holds.
  void reset() {
    if (call_ == nullptr) return;
    call_ = nullptr;
    move_or_destroy_(held_, nullptr);
  }

 private:
  static constexpr std::size_t capacity = 96;  ///< the arguments of any kernel, and a pointer

  template <class Held>
  static Held* as(std::byte* held) {
    return std::launder(reinterpret_cast<Held*>(held));
  }
  void take(Task& other) noexcept {
    if (other.call_ == nullptr) return;
    other.move_or_destroy_(other.held_, held_);
    move_or_destroy_ = other.move_or_destroy_;
    call_ = std::exchange(other.call_, nullptr);
  }

  alignas(std::max_align_t) std::byte held_[capacity];
  void (*call_)(std::byte*) = nullptr;
  void (*move_or_destroy_)(std::byte* from, std::byte* to) noexcept = nullptr;
};

}  // namespace pregate::runtime
