// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "traces/trace.hpp"

namespace pregate::trace {

/// Whether the routing that is read is held against the content hash that the database states.
enum class Verify { first_pass, no };

/// Opens a trace database for reading. Treats it as hostile: read-only, defensive, trusted_schema off, schema
/// checked, sizes and counts checked before use, every step validated as it streams; and at the end of the
/// first pass through all of it, what was read must have the hash that the database states, so that a result
/// that carries the hash is of that routing. Verify::no is for further readers of a file that was verified.
/// InputError: missing, empty, truncated, foreign, other schema version, no requests, wrong blob length, id
/// out of range, weight out of range, another hash.
std::unique_ptr<StepSource> open_trace(const std::string& path, Verify verify = Verify::first_pass);

/// The requests of an open_trace() database, in order.
std::vector<Request> read_requests(const std::string& path);

/// Loads every step into memory (for repeats and for policies that need the future).
std::unique_ptr<StepSource> load_into_memory(StepSource& source);

/// Composes n consecutive requests into lock-step batches: step i of the batch joins step i of each member
/// that still runs; the last batch may be smaller. Steps join only when stack and phase agree: encoder or
/// prefill passes of the members are joined with each other, then decode steps. `source` must outlive the
/// result. n >= 1.
std::unique_ptr<StepSource> compose_batches(StepSource& source, int n);

/// The first `steps` steps of `source`, which must outlive the result. Its info() is the source's, but for
/// the number of steps.
std::unique_ptr<StepSource> first_steps(StepSource& source, std::int64_t steps);

/// Every request of `source`, `times` times over. `source` must outlive the result.
std::unique_ptr<StepSource> repeat(StepSource& source, int times);

}  // namespace pregate::trace
