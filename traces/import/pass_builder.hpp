// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "traces/import/recording.hpp"

namespace pregate::trace {

/// Gathers records of one (token, layer) each into forward passes, for recordings that have them one by one.
/// The layers need not be known: they are declared in the facts as they appear.
class PassBuilder {
 public:
  PassBuilder(RecordingFacts& facts, RecordingSink& sink);

  /// The stack of that name, declared when it is new.
  int stack(const std::string& name);

  struct Record {
    int stack = 0;
    int layer = 0;
    std::int64_t token = 0;
    std::span<const std::uint16_t> ids;
    std::span<const float> weights{};            ///< empty or one an id
    std::span<const std::uint16_t> predicted{};  ///< empty where there are none
  };
  /// `where` is kept for errors of the pass. InputError when the pass has the record already or grows too
  /// large.
  void add(const Record& record, const std::string& where);

  [[nodiscard]] bool empty() const { return records_.empty(); }
  [[nodiscard]] std::int64_t first_token() const { return first_; }
  [[nodiscard]] std::int64_t tokens() const { return empty() ? 0 : last_ - first_ + 1; }
  [[nodiscard]] int last_layer() const { return records_.back().layer; }
  [[nodiscard]] const std::string& where() const { return where_; }
  /// Whether all tokens of each layer choose the same experts in the same order.
  [[nodiscard]] bool is_uniform() const;
  /// Of what the lowest token chose.
  [[nodiscard]] std::uint64_t hash_of_first_row() const;

  struct Pass {
    Phase phase = Phase::decode;
    int sequences = 1;
    std::int64_t position = 0;
  };
  /// Hands the pass to the sink and starts an empty one. Every token of the pass must have a record in at
  /// least one layer; a layer without a record of a token is a place without an expert. Either all records of
  /// a recording have weights, or none.
  void emit(const Pass& pass);
  /// A decode step of one token of which nothing is recorded.
  void emit_empty(int stack, std::int64_t position, const std::string& where);
  void discard();

  /// A note on the records that full passes would have had and the recording lacks; empty when it lacks none.
  [[nodiscard]] std::string missing_note() const;

 private:
  struct Entry {
    int stack, layer;
    std::size_t slot;  ///< of the layer in its stack
    std::int64_t token;
    std::size_t ids, weights, predicted;  ///< where they start
    std::size_t count, weight_count, predicted_count;
  };
  std::size_t slot(int stack, int layer, const std::string& where);
  void shape(int stack, std::int64_t tokens, std::size_t width, const Pass& pass);
  std::span<const std::uint16_t> ids_of(const Entry& entry) const {
    return {ids_.data() + entry.ids, entry.count};
  }

  RecordingFacts& facts_;
  RecordingSink& sink_;
  std::vector<std::vector<int>> slots_;  ///< by stack and layer: place in the facts, -1 = not there
  std::vector<Entry> records_;
  std::vector<std::uint16_t> ids_, predicted_;
  std::vector<float> weights_;
  std::vector<std::int64_t> emitted_tokens_;  ///< by stack
  std::int64_t first_ = 0, last_ = -1, emitted_records_ = 0;
  bool begun_ = false;  ///< a pass was emitted: what records have is settled
  std::string where_;
  RecordedStep step_;
};

}  // namespace pregate::trace
