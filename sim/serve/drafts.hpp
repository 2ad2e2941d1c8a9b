// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "sim/serve/serving.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// `source` with decode steps that say how many output tokens they bring.
///
/// With draft.tokens = n > 0 a decode step of one sequence verifies the token that the recording has there
/// and n guesses: it computes the next n + 1 recorded tokens of the request (fewer where it has no more),
/// each with its own routing, and the next step begins behind those that were accepted. A guess that is
/// refused is taken to route as the token which the recording has in its place. Without, steps are those
/// recorded, and of their drafts as many count as are accepted.
///
/// Accepted are one token a sequence and the drafts before the first that is refused: draft i, from 0, with
/// probability acceptance x decay^i, drawn from the seed for each request by itself.
///
/// InputError: the trace says what was accepted; with n > 0, a decode step of drafts or of several sequences.
/// `source` must outlive the result, whose info() is the source's, which counts recorded steps.
std::unique_ptr<trace::StepSource> verify_drafts(trace::StepSource& source, const DraftSpec& draft);

}  // namespace pregate::sim
