// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "traces/trace.hpp"

namespace pregate::trace {

/// SHA-256 over bytes fed in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(const void* bytes, std::size_t size);
  /// Lower-case hex; ends the computation.
  std::string finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// SHA-256 of a file's bytes as they lie on disk. InputError when it cannot be read.
std::string sha256_of_file(const std::string& path);

/// The content hash of a trace: layers, requests and steps in the canonical order and form of docs/traces.md,
/// independent of how a database or a text file stores them, of provenance and of the model's name.
class ContentHash {
 public:
  explicit ContentHash(const TraceInfo& info);
  void begin_request(const Request& request);
  void add(const Step& step);
  std::string finish() { return sha_.finish(); }

 private:
  Sha256 sha_;
  bool has_weights_, has_predictions_, has_arrivals_, has_accepted_;
  std::vector<unsigned char> buffer_;
};

/// The content hash that write_trace(source, {}, ...) would give the trace; for sources that no file holds.
std::string content_hash_of(StepSource& source);

}  // namespace pregate::trace
