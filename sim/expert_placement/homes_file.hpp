// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sim/expert_placement/expert_homes.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// What a file of homes says beside them.
struct HomesOrigin {
  std::string kind;   ///< of placement
  std::string model;  ///< as the trace names it; may be empty
  std::string trace;  ///< content hash of the trace that they were learned from
};

/// JSON: format, origin, number of GPUs, and for each MoE layer its stack, number, and by expert its GPU,
/// with copies as pairs (expert, GPU). docs/placement-over-gpus.md describes it.
std::string homes_json(const ExpertHomes& homes, const trace::TraceInfo& info, const HomesOrigin& origin);

/// Reads it. InputError, with `where` and what is at fault, for what is no such document, or of other stacks,
/// MoE layers or numbers of experts than `info`, or names a GPU or expert that is not there.
ExpertHomes parse_homes(const std::string& text, const trace::TraceInfo& info, const std::string& where);
/// The same of a file, of at most 16 MiB.
ExpertHomes read_homes(const std::string& path, const trace::TraceInfo& info);

}  // namespace pregate::sim
