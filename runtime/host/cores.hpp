// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

namespace pregate::runtime {

/// Which processors the threads of the host device run on, so that streams do not take each other's core: the
/// compute stream has its own, all others and the host's control thread share what is left.
struct Cores {
  std::vector<int> compute, others;  ///< the same one where there is only one
  [[nodiscard]] bool compute_has_its_own() const { return compute != others; }
};

/// Divides the processors that this process may use. `compute_threads` 0 = all but one (two where there are
/// eight or more: a copy in each direction then has a core beside the control thread).
Cores divide_cores(int compute_threads);

}  // namespace pregate::runtime
