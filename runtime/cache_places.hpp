// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "traces/trace.hpp"

namespace pregate::runtime {

/// How large a cache must be to hold the tokens of a trace: so many of each of so many sequences.
struct CacheRoom {
  std::int32_t sequences = 0, context = 0;
  [[nodiscard]] std::int64_t rows() const { return std::int64_t{sequences} * context; }
};

/// Of all passes of the source, which is rewound. InputError where a pass does not say which tokens are
/// whose, and for more than 2^31 - 1 rows.
CacheRoom cache_room(trace::StepSource& source);

/// Where the tokens of a pass are in a cache. A token's row is that of its sequence and position, and stays
/// so while its request runs: sequences may end before others of their batch, prompts come in chunks, and
/// drafts that were not accepted are written over.
class CachePlaces {
 public:
  explicit CachePlaces(CacheRoom room);

  struct Token {
    std::int32_t row = 0;
    std::int32_t position = 0;  ///< in its sequence: it may attend to this many rows before its own
    bool last = false;          ///< of its sequence in this pass
  };
  struct Rows {
    std::int32_t first = 0, count = 0;
  };
  /// Of the next pass. Steps of one source come in its order.
  void place(const trace::Step& step);
  [[nodiscard]] std::span<const Token> tokens() const { return tokens_; }
  /// Rows before those of the pass that no pass of the request has written, as of a recording that begins in
  /// the middle.
  [[nodiscard]] std::span<const Rows> unwritten() const { return unwritten_; }
  [[nodiscard]] const CacheRoom& room() const { return room_; }

 private:
  CacheRoom room_;
  std::vector<std::int32_t> written_;  // of each sequence of the request
  std::vector<Token> tokens_;
  std::vector<Rows> unwritten_;
};

}  // namespace pregate::runtime
