// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

namespace pregate::runtime {

/// Which processors the threads of the host device run on, so that streams do not take each other's core: the
/// compute stream has its own, and so has what the CPU computes beside it, if asked for; all others and the
/// host's control thread share what is left.
struct Cores {
  std::vector<int> compute, others;  ///< the same one where there is only one
  std::vector<int> cpu;              ///< those of `others` where it was given none
  [[nodiscard]] bool compute_has_its_own() const { return compute != others; }
};

/// The processors that this process may use; at least one.
std::vector<int> usable_cores();

/// Divides them. `cpu_threads` come off first, as far as one each is left for the others; `compute_threads`
/// 0 = all but one of the rest (two where there are eight or more: a copy in each direction then has a core
/// beside the control thread).
Cores divide_cores(int compute_threads, int cpu_threads);

}  // namespace pregate::runtime
