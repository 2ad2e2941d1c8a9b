// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Answers of serving engines that return routing:
//   vLLM    choices[].routed_experts, lists or base64 of a .npy file, of the whole sequence or, where the
//   answer has
//           prompt_routed_experts, of the generated tokens; layers with experts only, or (before 0.21) all
//           layers
//   SGLang  meta_info.routed_experts or sglext.routed_experts, base64 of int32 [tokens, all layers, experts a
//   token]
//           without its shape, tokens from routed_experts_start_len to all but the last generated one
#include <algorithm>
#include <initializer_list>
#include <utility>

#include "models/error.hpp"
#include "traces/import/api_answer.hpp"
#include "traces/import/base64.hpp"
#include "traces/import/byte_input.hpp"
#include "traces/import/npy_array.hpp"
#include "traces/import/record_start.hpp"
#include "traces/import/routed_npy.hpp"

namespace pregate::trace {

namespace {

/// How many tokens of a sequence may have routing: the last generated one is computed only by some engines'
/// count.
struct Lengths {
  std::int64_t all_but_last = -1, all = -1;  ///< -1 = the answer does not say
  [[nodiscard]] bool said() const { return all >= 0; }
  [[nodiscard]] bool fits(std::int64_t tokens) const { return tokens == all_but_last || tokens == all; }
};

Lengths lengths_of(const ApiAnswer::Counts& counts, std::int64_t first) {
  if (counts.prompt_tokens < 0 || counts.completion_tokens < 0) return {};
  const std::int64_t all = counts.prompt_tokens + counts.completion_tokens - first;
  return {.all_but_last = all - 1, .all = all};
}

/// Tokens x layers x width of int32 ids whose shape is not written beside them.
RoutedTokens shaped(std::int64_t entries, const Lengths& lengths, const ImportOptions& known,
                    const std::string& where) {
  const int width = known.top_k > 0 ? known.top_k : known.model_top_k;
  if (width == 0)
    throw InputError(
        where, "holds expert ids without their shape",
        "name the recorded model with --model NAME (pregate list models), or its experts a token with "
        "--top-k");
  RoutedTokens shape{.tokens = 0, .layers = 0, .width = width, .ids = {}};
  const auto try_layers = [&](std::int64_t layers) {
    if (shape.tokens > 0 || layers < 1 || layers > max_layers || entries % (layers * width) != 0) return;
    const std::int64_t tokens = entries / (layers * width);
    if (lengths.said() && !lengths.fits(tokens)) return;
    shape.tokens = tokens;
    shape.layers = static_cast<int>(layers);
  };
  if (known.model_layers > 0) {
    try_layers(known.model_layers);
    try_layers(static_cast<std::int64_t>(known.model_moe_layers.size()));
  } else {
    if (!lengths.said())
      throw InputError(where,
                       "holds expert ids without their shape, and the answer does not count its tokens",
                       "name the recorded model with --model NAME (pregate list models)");
    for (const std::int64_t tokens : {lengths.all_but_last, lengths.all})
      if (tokens > 0 && entries % (tokens * width) == 0) try_layers(entries / (tokens * width));
  }
  if (shape.tokens == 0)
    throw InputError(
        where,
        "holds " + std::to_string(entries) + " expert ids, which are no whole number of " +
            (known.model_layers > 0 ? "tokens of " + printable(known.model) : std::string("layers")) +
            (lengths.said() ? " (" + std::to_string(lengths.all_but_last) + " tokens" +
                                  (lengths.all_but_last > 0 && entries % lengths.all_but_last == 0
                                       ? " make " + std::to_string(entries / lengths.all_but_last) +
                                             " ids a token: layers times experts a token"
                                       : std::string()) +
                                  ")"
                            : std::string()),
        "is this a recording of another model?");
  return shape;
}

RoutedTokens decoded(AnswerRouting&& routing, const Lengths& lengths, const ImportOptions& known,
                     const std::string& where) {
  if (routing.base64.empty()) return std::move(routing.lists);
  const std::string bytes = decode_base64(routing.base64, where);
  if (std::string_view(bytes).substr(0, NpyArray::magic.size()) == NpyArray::magic)
    return routed_of(NpyArray(bytes, where), where);
  if (bytes.size() % 4 != 0)
    throw InputError(where,
                     "holds " + std::to_string(bytes.size()) + " bytes of int32 ids, no multiple of 4");
  const auto entries = static_cast<std::int64_t>(bytes.size() / 4);
  RoutedTokens shape = shaped(entries, lengths, known, where);
  shape.ids.reserve(bytes.size() / 4);
  for (std::size_t at = 0; at < bytes.size(); at += 4) {
    const auto raw = static_cast<std::uint32_t>(little_endian(std::string_view(bytes).substr(at, 4)));
    shape.ids.push_back(routed_id(static_cast<std::int32_t>(raw), where));
  }
  return shape;
}

/// Puts the prompt's routing before that of what was generated.
RoutedTokens joined(RoutedTokens prompt, const RoutedTokens& generated, const std::string& where) {
  if (generated.tokens == 0) return prompt;
  if (prompt.layers != generated.layers || prompt.width != generated.width)
    throw InputError(where,
                     "prompt_routed_experts and routed_experts differ in their layers or experts a token");
  prompt.tokens += generated.tokens;
  prompt.ids.insert(prompt.ids.end(), generated.ids.begin(), generated.ids.end());
  return prompt;
}

class AnswerParser {
 public:
  AnswerParser(RecordingFacts& facts, RecordingSink& sink) : facts_(facts), writer_(facts, sink) {}

  void take(ApiAnswer&& answer) {
    Lengths unsaid;
    RoutedTokens prompt;
    if (!answer.prompt.is_absent())
      prompt = decoded(std::move(answer.prompt), unsaid, facts_.known, answer.where);
    if (!answer.whole.is_absent() || answer.choices.empty()) {
      if (!answer.whole.is_absent() && answer.choices.size() > 1)
        throw InputError(answer.where,
                         "one routing for " + std::to_string(answer.choices.size()) + " choices",
                         "ask for one choice (n=1)");
      ApiAnswer::Counts counts = answer.counts;
      if (answer.choices.size() == 1) merge(counts, answer.choices[0].counts);
      add(prompt, std::move(answer.whole), counts, answer.id, answer.where);
      return;
    }
    for (std::size_t c = 0; c < answer.choices.size(); ++c) {
      ApiAnswer::Counts counts = answer.counts;
      const bool is_only = answer.choices.size() == 1;
      // The answer counts what all choices generated together.
      if (!is_only) counts.completion_tokens = -1;
      merge(counts, answer.choices[c].counts);
      add(prompt, std::move(answer.choices[c].routing), counts,
          answer.id + (is_only ? "" : "/" + std::to_string(c)),
          answer.where + (is_only ? "" : ": choice " + std::to_string(c)));
    }
  }

  void finish() { writer_.finish(); }

 private:
  static void merge(ApiAnswer::Counts& counts, const ApiAnswer::Counts& closer) {
    if (closer.prompt_tokens >= 0) counts.prompt_tokens = closer.prompt_tokens;
    if (closer.completion_tokens >= 0) counts.completion_tokens = closer.completion_tokens;
    if (closer.first_token >= 0) counts.first_token = closer.first_token;
  }

  void add(const RoutedTokens& prompt, AnswerRouting&& routing, const ApiAnswer::Counts& counts,
           const std::string& label, const std::string& where) {
    if (routing.is_absent() && prompt.tokens == 0)
      throw InputError(
          where, "holds no routed_experts",
          "the server has to run with --enable-return-routed-experts, and SGLang has to be asked by "
          "return_routed_experts (docs/recording.md)");
    const std::int64_t first = std::max<std::int64_t>(counts.first_token, 0);
    const Lengths lengths = prompt.tokens > 0 ? Lengths{} : lengths_of(counts, first);
    const RoutedTokens generated = decoded(std::move(routing), lengths, facts_.known, where);
    SequenceWriter::Sequence sequence{.label = label, .prompt = -1, .position = first, .where = where};
    if (prompt.tokens > 0) {
      sequence.prompt = prompt.tokens;
      const RoutedTokens all = joined(prompt, generated, where);
      writer_.add(all, decoder_layers(all.layers, facts_.known, where), sequence);
      return;
    }
    if (counts.prompt_tokens >= 0) place(generated.tokens, counts, lengths, sequence);
    writer_.add(generated, decoder_layers(generated.layers, facts_.known, where), sequence);
  }

  /// Which tokens of the sequence these are, by the answer's counts.
  static void place(std::int64_t tokens, const ApiAnswer::Counts& counts, const Lengths& lengths,
                    SequenceWriter::Sequence& sequence) {
    const std::int64_t of_prompt = std::max<std::int64_t>(counts.prompt_tokens - sequence.position, 0);
    if (!lengths.said() ? tokens >= of_prompt : lengths.fits(tokens)) {
      sequence.prompt = of_prompt;
      return;
    }
    const bool is_generated =
        lengths.said() && (tokens == counts.completion_tokens || tokens == counts.completion_tokens - 1);
    if (!is_generated || counts.first_token >= 0)
      throw InputError(sequence.where,
                       "has routing of " + std::to_string(tokens) + " tokens, but its prompt has " +
                           std::to_string(counts.prompt_tokens) +
                           (counts.completion_tokens < 0
                                ? std::string()
                                : " and " + std::to_string(counts.completion_tokens) + " were generated"),
                       "is this the whole answer?");
    sequence.prompt = 0;
    sequence.position = counts.prompt_tokens;
  }

  RecordingFacts& facts_;
  SequenceWriter writer_;
};

}  // namespace

void parse_routed_answers(const std::vector<std::string>& inputs, RecordingFacts& facts,
                          RecordingSink& sink) {
  AnswerParser parser(facts, sink);
  for (const std::string& input : inputs)
    read_answers(input, [&](ApiAnswer&& answer) { parser.take(std::move(answer)); });
  parser.finish();
}

namespace {

/// Whether an object, or the first of a list of objects, has one of these keys.
bool has_any(std::string_view start, std::initializer_list<std::string_view> keys) {
  const std::size_t list = start.find_first_not_of(" \t\r\n");
  if (list != std::string_view::npos && start[list] == '[') start.remove_prefix(list + 1);
  const RecordStart record(start);
  return std::any_of(keys.begin(), keys.end(), [&](std::string_view key) { return record.has(key); });
}

}  // namespace

bool is_sglang_api(std::string_view start) {
  return has_any(start, {"meta_info", "sglext"}) ||
         (has_any(start, {"choices"}) && start.find("\"meta_info\"") != std::string_view::npos);
}

bool is_vllm_api(std::string_view start) {
  return !is_sglang_api(start) &&
         has_any(start, {"routed_experts", "prompt_routed_experts", "choices", "outputs"});
}

}  // namespace pregate::trace
