// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "traces/import/sequence_writer.hpp"

namespace pregate::trace {

/// Routing as an answer holds it: lists by token, layer and rank, or base64 text of an array.
struct AnswerRouting {
  RoutedTokens lists;  ///< when `lists.tokens` > 0
  std::string base64;  ///< else, when not empty
  [[nodiscard]] bool is_absent() const { return lists.tokens == 0 && base64.empty(); }
};

/// What an answer of a serving engine's API says of its routing. Counts are -1 where it does not say them.
struct ApiAnswer {
  struct Counts {
    std::int64_t prompt_tokens = -1, completion_tokens = -1;
    std::int64_t first_token = -1;  ///< of the sequence, that has routing (routed_experts_start_len)
  };
  struct Choice {
    Counts counts;
    AnswerRouting routing;
  };
  std::string id;
  Counts counts;
  AnswerRouting prompt;  ///< of the prompt alone (prompt_routed_experts)
  AnswerRouting whole;   ///< of the answer itself, when it has no choices
  std::vector<Choice> choices;
  std::string where;  ///< "file: answer 3"
};

/// Reads a file of answers, in order: one JSON object, a list of them, or one after the other (JSON lines).
/// Read as events, so that only the routing of one answer is in memory. Keys that do not matter are passed
/// over. InputError.
void read_answers(const std::string& path, const std::function<void(ApiAnswer&&)>& take);

}  // namespace pregate::trace
