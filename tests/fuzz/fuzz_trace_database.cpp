// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>

#include "models/error.hpp"
#include "tests/fuzz/bytes_file.hpp"
#include "traces/reader.hpp"

/// A database of a trace, read to its end. Whether its hash is right is left out: nearly no damage would get
/// beyond it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace pregate::trace;
  const pregate::fuzz::BytesFile file(bytes, size);
  try {
    const auto source = open_trace(file.path(), Verify::no);
    Step step;
    while (source->next(step)) {
      if (step.tokens < 1 || step.stack < 0 || step.sequences < 1) std::abort();
      const std::vector<int> layers = source->info().layers_of(step.stack);
      std::size_t at = 0;
      for (const int layer : layers) {
        const TraceLayer& shape = source->info().layers[static_cast<std::size_t>(layer)];
        for (int i = 0; i < step.tokens * shape.top_k; ++i, ++at)
          if (step.experts[at] != no_expert && step.experts[at] >= shape.experts) std::abort();
      }
      if (at != step.experts.size()) std::abort();
    }
    static_cast<void>(read_requests(file.path()));
  } catch (const pregate::InputError&) {
  }
  return 0;
}
