// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.hpp"

namespace pregate::cli {

struct Run;

/// --gpus, --tp, --pp, --dp, --ep, --expert-homes.
po::options_description several_gpus_options();

/// How the model is spread over GPUs, by those options and --set parallel.*; the machine gets as many.
void resolve_gpus(const Parsed& parsed, Run& run);
/// How many passes are under way in stages, where --set parallel.batches does not say: as the software does
/// it. Once it is known how requests are served and prompts cut.
void use_usual_batches(Run& run);
/// Once the trace is known: which GPU has which expert where a file says it. Notes what was resolved.
void resolve_expert_homes(const Parsed& parsed, Run& run);

}  // namespace pregate::cli
