// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace pregate {

/// What GPUs do together.
enum class Collective {
  all_reduce,      ///< every GPU ends with the sum of all buffers
  all_gather,      ///< every GPU ends with the parts of all
  reduce_scatter,  ///< every GPU ends with its part of the sum
  all_to_all,      ///< every GPU sends each other one a part of its buffer
};

/// Whose kernels do it.
enum class CollectiveLibrary {
  nccl,
  vllm,  ///< vLLM's own all-reduce where it has one (docs/collectives.md), NCCL for all else
};

enum class CollectiveLaunch {
  graph,  ///< replayed in a graph: no launch beyond what kernels cost there
  eager,  ///< launched one by one by the host
};

std::span<const Collective> collectives();
std::string_view to_string(Collective collective);
std::span<const CollectiveLibrary> collective_libraries();
std::string_view to_string(CollectiveLibrary library);

}  // namespace pregate
