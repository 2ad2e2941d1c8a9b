// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/drafts.hpp"

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "models/error.hpp"
#include "traces/layout.hpp"
#include "traces/owned_step.hpp"
#include "traces/random.hpp"

namespace pregate::sim {

namespace {

using trace::OwnedStep;
using trace::Step;

class VerifiedDrafts final : public trace::StepSource {
 public:
  VerifiedDrafts(trace::StepSource& source, const DraftSpec& draft)
      : source_(source),
        layouts_(trace::layouts(source.info())),
        of_predicted_(trace::prediction_layouts(source.info())),
        draft_(draft),
        random_(draft.seed) {
    if (source.info().has_accepted)
      throw InputError("serve.draft", "the trace says which drafts were accepted", "leave serve.draft out");
    rewind();
  }

  [[nodiscard]] const trace::TraceInfo& info() const override { return source_.info(); }

  bool next(Step& step) override {
    const std::size_t most = static_cast<std::size_t>(draft_.tokens) + 1;
    drop();
    fill(most);
    if (window_.empty()) return false;
    const Step& first = window_.front().step;
    if (first.first_of_request) {
      index_ = 0;
      random_ = trace::Random(trace::seed_of(draft_.seed, static_cast<std::uint64_t>(++requests_)));
    }
    const bool decodes = first.phase == trace::Phase::decode;
    if (decodes && draft_.tokens > 0) check(first);
    std::size_t joined = 1;
    while (decodes && joined < std::min(most, window_.size()) && goes_on(window_[joined].step)) ++joined;
    step = first;
    if (decodes) {
      step.tokens *= static_cast<int>(joined);
      step.accepted = accepted_of(step);
    }
    done_ = joined > 1 ? static_cast<std::size_t>(step.accepted) : 1;
    step.experts = gather(joined, layouts_, &OwnedStep::experts, experts_);
    step.predicted = gather(joined, of_predicted_, &OwnedStep::predicted, predicted_);
    step.weights = gather(joined, layouts_, &OwnedStep::weights, weights_);
    step.index = index_++;
    return true;
  }

  void rewind() override {
    source_.rewind();
    window_.clear();
    done_ = 0;
    index_ = requests_ = 0;
  }

 private:
  /// What the step that was handed out last is done with.
  void drop() {
    for (; done_ > 0; --done_) window_.pop_front();
  }
  void fill(std::size_t most) {
    Step step;
    while (window_.size() < most && source_.next(step)) window_.emplace_back(step);
  }

  void check(const Step& step) const {
    if (step.tokens == 1 && step.sequences == 1) return;
    throw InputError("serve.draft.tokens",
                     "request " + std::to_string(step.request) + " has a decode step of " +
                         std::to_string(step.tokens) + " tokens of " + std::to_string(step.sequences) +
                         " sequences, and drafts are added to one of each",
                     "set serve.draft.tokens to 0; serve.draft.acceptance is also of recorded drafts");
  }
  /// Whether the step is the next token of the one in front of it.
  [[nodiscard]] bool goes_on(const Step& step) const {
    return !step.first_of_request && step.phase == trace::Phase::decode &&
           step.stack == window_.front().step.stack && step.tokens == 1 && step.sequences == 1;
  }

  /// Sequences that a recording has merged have equally many drafts each.
  [[nodiscard]] int accepted_of(const Step& step) {
    const int drafts = step.tokens / std::max(1, step.sequences) - 1;
    int accepted = step.sequences;
    for (int sequence = 0; sequence < step.sequences; ++sequence) {
      double probability = draft_.acceptance;
      for (int i = 0; i < drafts; ++i, probability *= draft_.decay) {
        if (static_cast<double>(random_.next() >> 11U) * 0x1p-53 >= probability) break;
        ++accepted;
      }
    }
    return accepted;
  }

  /// Entries of the first `count` steps of the window, one token after the other in every layer.
  template <class T>
  std::span<const T> gather(std::size_t count, const std::vector<trace::StackLayout>& layouts,
                            std::vector<T> OwnedStep::*entries, std::vector<T>& joined) const {
    if (count == 1) return window_.front().*entries;
    joined.clear();
    for (std::size_t i = 0; i < count; ++i)
      if ((window_[i].*entries).empty()) return {};
    std::ptrdiff_t before = 0;
    for (const int top_k : layouts[static_cast<std::size_t>(window_.front().step.stack)].top_k) {
      for (std::size_t i = 0; i < count; ++i) {
        const auto begin = (window_[i].*entries).begin() + before;
        joined.insert(joined.end(), begin, begin + top_k);
      }
      before += top_k;
    }
    return joined;
  }

  trace::StepSource& source_;
  std::vector<trace::StackLayout> layouts_, of_predicted_;
  DraftSpec draft_;
  trace::Random random_;
  std::deque<OwnedStep> window_;  ///< recorded steps from the next one on; others of requests behind it
  std::size_t done_ = 0;          ///< of them, at the next call
  std::int64_t index_ = 0, requests_ = 0;
  std::vector<std::uint16_t> experts_, predicted_;
  std::vector<float> weights_;
};

}  // namespace

std::unique_ptr<trace::StepSource> verify_drafts(trace::StepSource& source, const DraftSpec& draft) {
  return std::make_unique<VerifiedDrafts>(source, draft);
}

}  // namespace pregate::sim
