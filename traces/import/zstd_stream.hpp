// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace pregate::trace {

/// Whether a file that starts with these (at least four) bytes is zstd.
bool is_zstd(const char* start);

/// Decompresses zstd, any number of frames one after the other, in constant memory: a frame that asks for a
/// window of over 128 MiB is refused. InputError at the file's name: damaged, truncated, or followed by
/// something else.
class ZstdStream {
 public:
  /// Hands over up to so many compressed bytes; 0 at the end.
  using Source = std::function<std::size_t(char*, std::size_t)>;

  ZstdStream();
  ~ZstdStream();
  ZstdStream(const ZstdStream&) = delete;
  ZstdStream& operator=(const ZstdStream&) = delete;
  /// Up to `size` bytes; 0 at the end.
  std::size_t read(char* to, std::size_t size, const Source& source, const std::string& where);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pregate::trace
