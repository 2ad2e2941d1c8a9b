// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>

namespace pregate::cli {

/// Set by the first Ctrl-C while a CatchInterrupt lives.
inline volatile std::sig_atomic_t interrupts = 0;

/// While it lives, the first Ctrl-C ends the run after what it is at, and a second one the program.
class CatchInterrupt {
 public:
  CatchInterrupt() {
    interrupts = 0;
    struct sigaction action = {};
    action.sa_handler = [](int) { interrupts = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &before_);
  }
  ~CatchInterrupt() { sigaction(SIGINT, &before_, nullptr); }
  CatchInterrupt(const CatchInterrupt&) = delete;
  CatchInterrupt& operator=(const CatchInterrupt&) = delete;

 private:
  struct sigaction before_ = {};
};

}  // namespace pregate::cli
