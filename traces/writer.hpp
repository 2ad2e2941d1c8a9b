// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "traces/trace.hpp"

namespace pregate::trace {

/// Writes a new trace database beside `path` and renames it there in commit(): the destination is absent (or
/// what it was) or whole, whatever interrupts. The destructor without commit() removes the partial file.
class TraceWriter {
 public:
  /// `info` gives model, stacks, layers, provenance and flags; counts and hash are computed here.
  /// InputError: directory missing or not writable; path exists and `overwrite` is false; info invalid.
  TraceWriter(const std::string& path, const TraceInfo& info, bool overwrite = false);
  ~TraceWriter();
  TraceWriter(const TraceWriter&) = delete;
  TraceWriter& operator=(const TraceWriter&) = delete;

  void begin_request(const Request& request);
  /// `step.request` and `step.index` are assigned here. InputError: shape or id out of range, full disk.
  void add(const Step& step);
  /// InputError when no request was added or the disk is full. Returns the finished info, with counts and
  /// hash.
  TraceInfo commit();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Writes every step of `source` (a generator, a composition, another trace) as a new trace; returns its
/// info. A request that `requests` does not hold gets an empty label and the sequences of its first step.
TraceInfo write_trace(StepSource& source, const std::vector<Request>& requests, const std::string& path,
                      bool overwrite = false);

}  // namespace pregate::trace
