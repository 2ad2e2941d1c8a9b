// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "traces/import/recording.hpp"

namespace pregate::trace {

/// Routing of one sequence as serving engines hold it: tokens x layers x width ids, in router order.
struct RoutedTokens {
  std::int64_t tokens = 0;
  int layers = 0;
  int width = 0;
  std::vector<std::uint16_t> ids;

  [[nodiscard]] std::span<const std::uint16_t> at(std::int64_t token, int layer) const {
    const auto first = static_cast<std::size_t>((token * layers + layer) * width);
    return std::span(ids).subspan(first, static_cast<std::size_t>(width));
  }
};

/// An id of a recording: -1 marks a place without an expert. InputError at `where` when it can be no expert.
std::uint16_t routed_id(std::int64_t value, const std::string& where);

/// The decoder layers that a recording of `count` layers is of, by index: all of the model's, or those of
/// them that have experts. InputError at `where` when the model that is known has neither number.
std::vector<int> decoder_layers(int count, const ImportOptions& known, const std::string& where);

/// Fills a recording's one stack and puts tokens into its steps, by what is known of the model. Counts what
/// is absent and tells of it in the facts' notes.
class RoutedStack {
 public:
  explicit RoutedStack(RecordingFacts& facts) : facts_(facts) {}

  /// Before every pass: layers by index, ids a token. All passes of a recording have the same. InputError at
  /// `where`.
  void begin(const std::vector<int>& layers, int width, const std::string& where);
  /// Puts a token's ids of one layer. A place that was never written is absent: buffers are filled with -1,
  /// or with zeros, which no token with more than one expert can have. InputError at `where` when an expert
  /// occurs twice. Returns whether the token has experts there.
  bool put(RecordedStep& step, std::size_t layer, std::size_t token, std::span<const std::uint16_t> ids,
           const std::string& where);
  /// What put() would return, without a step.
  [[nodiscard]] bool is_routed(std::size_t layer, std::span<const std::uint16_t> ids) const;
  /// Adds the notes of what was absent.
  void finish();

 private:
  RecordingFacts& facts_;
  int width_ = 0;
  std::vector<bool> has_experts_;     ///< by layer, as far as the model is known
  std::vector<std::int64_t> absent_;  ///< tokens, by layer
  std::vector<std::int64_t> routed_;
};

/// Writes sequences as requests: the prompt as one prefill step, every further token as a decode step.
class SequenceWriter {
 public:
  struct Sequence {
    std::string label;
    std::int64_t prompt = -1;   ///< tokens of it that are the prompt; -1 = not said
    std::int64_t position = 0;  ///< of its first token
    std::string where;          ///< in the recording, for errors
  };

  SequenceWriter(RecordingFacts& facts, RecordingSink& sink) : facts_(facts), sink_(sink), stack_(facts) {}
  /// `layers` as decoder_layers() gives them. Tokens without any expert are left out at the beginning (they
  /// were in the prefix cache) and at the end (the last generated token is never computed).
  void add(const RoutedTokens& routed, const std::vector<int>& layers, const Sequence& sequence);
  void finish();

 private:
  void write(const RoutedTokens& routed, std::int64_t first, std::int64_t last, Phase phase,
             const Sequence& sequence);

  RecordingFacts& facts_;
  RecordingSink& sink_;
  RoutedStack stack_;
  RecordedStep step_;
  bool unsaid_prompt_ = false;
  std::int64_t cached_ = 0, dropped_ = 0;
};

}  // namespace pregate::trace
