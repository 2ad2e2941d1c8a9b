// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "traces/import/pass_builder.hpp"

namespace pregate::trace {

/// Records of one sequence in the order in which its routers ran, without anything that marks the passes: a
/// layer runs after the layer below it for all tokens of its pass, so a pass ends where the layer goes back,
/// or where a layer has a token again. A pass of several tokens is a prefill, one of a single token a decode
/// step, unless the record says its phase.
class OrderedRecords {
 public:
  enum class Tokens {
    absolute,  ///< a token is its position in the sequence; where it starts over, another request begins
    in_call    ///< a token may count from 0 in every pass; a prefill after a decode step begins a request
  };
  OrderedRecords(RecordingFacts& facts, RecordingSink& sink, Tokens tokens, std::string label);

  void add(const PassBuilder::Record& record, const std::string& where,
           std::optional<Phase> phase = std::nullopt);
  /// The end of a file: its requests end with it.
  void finish();
  [[nodiscard]] PassBuilder& builder() { return builder_; }

 private:
  void flush();

  PassBuilder builder_;
  RecordingSink& sink_;
  Tokens tokens_;
  std::string label_;
  std::optional<Phase> phase_, last_phase_;  ///< of the open pass; of the pass before in the same request
  std::int64_t last_token_ = -1, start_ = -1, next_ = -1;  ///< start_ < 0: no request is open
  std::int64_t requests_ = 0;
};

}  // namespace pregate::trace
