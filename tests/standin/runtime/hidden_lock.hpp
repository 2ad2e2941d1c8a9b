// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

namespace pregate::standin {

/// Waits until `word` is not `value` any more; may return early.
inline void futex_wait(std::atomic<int>& word, int value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

inline void futex_wake_all(std::atomic<int>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1 << 30, nullptr, nullptr, 0);
}

/// A mutex that ThreadSanitizer cannot see. With an ordinary one, every call into the runtime would order the
/// program's threads and streams and so hide the races that are looked for.
class HiddenLock {
 public:
  void lock() {
    int seen = 0;
    if (word_.compare_exchange_strong(seen, 1)) return;
    if (seen != 2) seen = word_.exchange(2);
    while (seen != 0) {
      futex_wait(word_, 2);
      seen = word_.exchange(2);
    }
  }
  void unlock() {
    if (word_.exchange(0) == 2) futex_wake_all(word_);
  }

 private:
  std::atomic<int> word_{0};  // 0 free, 1 held, 2 held and waited for
};

}  // namespace pregate::standin
