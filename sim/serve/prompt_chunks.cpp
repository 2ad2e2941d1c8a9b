// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/prompt_chunks.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "models/error.hpp"
#include "traces/layout.hpp"

namespace pregate::sim {

namespace {

using trace::Step;

class PromptChunks final : public trace::StepSource {
 public:
  PromptChunks(trace::StepSource& source, int most_tokens)
      : source_(source),
        layouts_(trace::layouts(source.info())),
        of_predicted_(trace::prediction_layouts(source.info())),
        most_tokens_(most_tokens) {
    rewind();
  }

  [[nodiscard]] const trace::TraceInfo& info() const override { return source_.info(); }

  bool next(Step& step) override {
    if (rest_.empty()) {
      if (!source_.next(whole_)) return false;
      if (whole_.first_of_request) index_ = 0;
      if (whole_.phase == trace::Phase::prefill && whole_.tokens > most_tokens_) begin_cutting();
    }
    step = whole_;
    if (!rest_.empty()) cut(step);
    step.index = index_++;
    return true;
  }

  void rewind() override {
    source_.rewind();
    rest_.clear();
    index_ = 0;
  }

 private:
  /// The tokens of a sequence that no chunk has had.
  struct Rest {
    std::int64_t first = 0;  ///< token of the pass
    int tokens = 0, position = 0;
    int taken = 0;  ///< of them in the current chunk
    int number = -1;
  };

  void begin_cutting() {
    std::vector<trace::SequencePart> parts(whole_.parts.begin(), whole_.parts.end());
    if (parts.empty() && whole_.sequences == 1) parts.push_back({whole_.tokens, whole_.position});
    if (parts.empty()) {
      throw InputError("--prompt-chunk",
                       "request " + std::to_string(whole_.request) + " has a pass over the prompts of " +
                           std::to_string(whole_.sequences) +
                           " sequences, and the recording does not say which tokens are whose",
                       "--prompt-chunk " + std::to_string(whole_.tokens) +
                           " or more leaves this pass whole, --prompt-chunk 0 every one");
    }
    std::int64_t first = 0;
    for (const trace::SequencePart& part : parts) {
      const int place = static_cast<int>(rest_.size());  // it shifts when one of them has no tokens left
      rest_.push_back({first, part.tokens, part.position, 0, part.number < 0 ? place : part.number});
      first += part.tokens;
    }
    begins_ = true;
  }

  /// Takes the next chunk of the rest; `step` is the whole pass.
  void cut(Step& step) {
    const auto sequences = static_cast<int>(rest_.size());
    if (sequences > most_tokens_) {
      throw InputError("--prompt-chunk",
                       std::to_string(most_tokens_) + " tokens a pass for the prompts of " +
                           std::to_string(sequences) + " sequences",
                       "give at least one token for each of the batch (--batch)");
    }
    const int share = most_tokens_ / sequences;
    std::int64_t positions = 0;
    int tokens = 0;
    bool last = true;
    parts_.clear();
    for (Rest& rest : rest_) {
      rest.taken = std::min(share, rest.tokens);
      const bool ends = rest.taken == rest.tokens;
      last = last && ends;
      parts_.push_back({rest.taken, rest.position, ends, -1, rest.number});
      positions += rest.position;
      tokens += rest.taken;
    }
    step.tokens = tokens;
    step.sequences = sequences;
    step.position = static_cast<int>((positions + sequences - 1) / sequences);
    step.first_of_request = whole_.first_of_request && begins_;
    step.parts = parts_;
    step.chunk = {last, whole_.position + (whole_.tokens + whole_.sequences - 1) / whole_.sequences};
    step.experts = gather(layouts_, whole_.experts, experts_);
    step.predicted = gather(of_predicted_, whole_.predicted, predicted_);
    step.weights = gather(layouts_, whole_.weights, weights_);
    begins_ = false;
    for (Rest& rest : rest_) {
      rest.first += rest.taken;
      rest.position += rest.taken;
      rest.tokens -= rest.taken;
    }
    std::erase_if(rest_, [](const Rest& rest) { return rest.tokens == 0; });
  }

  /// Of a whole pass's entries those of the tokens taken, layer by layer.
  template <class T>
  [[nodiscard]] std::span<const T> gather(const std::vector<trace::StackLayout>& layouts,
                                          std::span<const T> entries, std::vector<T>& taken) const {
    taken.clear();
    if (entries.empty()) return {};
    std::int64_t layer = 0;
    for (const int top_k : layouts[static_cast<std::size_t>(whole_.stack)].top_k) {
      for (const Rest& rest : rest_) {
        const auto begin = entries.begin() + layer + rest.first * top_k;
        taken.insert(taken.end(), begin, begin + std::int64_t{rest.taken} * top_k);
      }
      layer += std::int64_t{whole_.tokens} * top_k;
    }
    return taken;
  }

  trace::StepSource& source_;
  std::vector<trace::StackLayout> layouts_, of_predicted_;
  int most_tokens_;
  Step whole_;              ///< its views are the source's, which is asked for no other while it is cut
  std::vector<Rest> rest_;  ///< of sequences that have any; empty: nothing is being cut
  bool begins_ = false;     ///< no chunk of it was taken
  std::int64_t index_ = 0;
  std::vector<trace::SequencePart> parts_;
  std::vector<std::uint16_t> experts_, predicted_;
  std::vector<float> weights_;
};

}  // namespace

std::unique_ptr<trace::StepSource> cut_prompts(trace::StepSource& source, int most_tokens) {
  if (most_tokens < 1)
    throw InputError("--prompt-chunk", std::to_string(most_tokens) + " tokens a pass", "give at least 1");
  return std::make_unique<PromptChunks>(source, most_tokens);
}

}  // namespace pregate::sim
