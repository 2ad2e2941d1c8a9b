// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/command.hpp"

namespace pregate::cli {

ExitCode trace(const Arguments& arguments) {
  return dispatch("pregate trace", "Routing traces: which experts each token of each layer was sent to.",
                  {{"import", "recordings of other programs into a trace database", trace_import},
                   {"export", "a trace as JSONL or CSV", trace_export},
                   {"info", "what a trace holds: requests, skew, overlap", trace_info},
                   {"check", "everything that is wrong with a trace", trace_check},
                   {"generate", "a synthetic trace from a profile", trace_generate},
                   {"fit", "a generator profile from a trace", trace_fit},
                   {"replay", "hit rates of expert caches, without timing", trace_replay}},
                  arguments);
}

}  // namespace pregate::cli
