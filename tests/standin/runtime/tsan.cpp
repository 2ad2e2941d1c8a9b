// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/tsan.hpp"

#include "tests/standin/runtime/pointers.hpp"

// NOLINTBEGIN(bugprone-reserved-identifier): names of ThreadSanitizer's interface
extern "C" {
[[gnu::weak]] void __tsan_acquire(void* address);
[[gnu::weak]] void __tsan_release(void* address);
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_set_fiber_name(void* fiber, const char* name);
[[gnu::weak]] void __tsan_read_range(void* address, unsigned long size);
[[gnu::weak]] void __tsan_write_range(void* address, unsigned long size);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace pregate::standin::tsan {

bool is_present() { return &__tsan_acquire != nullptr && &__tsan_create_fiber != nullptr; }

void release(void* what) {
  if (is_present()) __tsan_release(what);
}

void acquire(void* what) {
  if (is_present()) __tsan_acquire(what);
}

void* create_fiber(const std::string& name) {
  if (!is_present()) return nullptr;
  void* fiber = __tsan_create_fiber(0);
  __tsan_set_fiber_name(fiber, name.c_str());
  return fiber;
}

void* current_fiber() { return is_present() ? __tsan_get_current_fiber() : nullptr; }

void switch_to(void* fiber) {
  constexpr unsigned without_order = 1;  // __tsan_switch_to_fiber_no_sync
  if (fiber != nullptr) __tsan_switch_to_fiber(fiber, without_order);
}

void touch(const std::vector<Range>& ranges) {
  if (!is_present()) return;
  for (const Range& range : ranges) {
    if (range.write) {
      __tsan_write_range(pointer_to(range.low), range.high - range.low);
    } else {
      __tsan_read_range(pointer_to(range.low), range.high - range.low);
    }
  }
}

}  // namespace pregate::standin::tsan
