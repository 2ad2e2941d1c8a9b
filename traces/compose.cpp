// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <tuple>

#include "models/error.hpp"
#include "traces/layout.hpp"
#include "traces/owned_step.hpp"
#include "traces/reader.hpp"

namespace pregate::trace {

namespace {

struct Member {
  std::vector<OwnedStep> steps;
  std::size_t next = 0;
  [[nodiscard]] bool runs() const { return next < steps.size(); }
  [[nodiscard]] const OwnedStep& current() const { return steps[next]; }
};

/// Holds the requests of one batch at a time.
class Batches final : public StepSource {
 public:
  Batches(StepSource& source, int n)
      : source_(source),
        info_(source.info()),
        layouts_(layouts(info_)),
        of_predicted_(prediction_layouts(info_)),
        size_(n) {
    info_.requests = (info_.requests + n - 1) / n;
    rewind();
    // How many steps the batches take follows from where each request's phases end: one pass over the trace.
    std::int64_t steps = 0;
    Step step;
    while (next(step)) ++steps;
    info_.steps = steps;
    rewind();
  }

  [[nodiscard]] const TraceInfo& info() const override { return info_; }

  bool next(Step& step) override {
    if (!running() && !fill()) return false;
    join(step);
    step.request = batch_;
    step.index = index_++;
    step.first_of_request = step.index == 0;
    return true;
  }

  void rewind() override {
    source_.rewind();
    members_.clear();
    ended_ = false;
    ahead_.clear();
    batch_ = -1;
  }

 private:
  [[nodiscard]] bool running() const {
    return std::any_of(members_.begin(), members_.end(), [](const Member& m) { return m.runs(); });
  }

  /// Reads the next n requests; false when there is none.
  bool fill() {
    members_.clear();
    for (OwnedStep& step : ahead_) {
      members_.emplace_back();
      members_.back().steps.push_back(std::move(step));
    }
    ahead_.clear();
    Step step;
    while (!ended_) {
      if (!source_.next(step)) {
        ended_ = true;
      } else if (!step.first_of_request) {
        members_.back().steps.emplace_back(step);
      } else if (members_.size() < static_cast<std::size_t>(size_)) {
        members_.emplace_back();
        members_.back().steps.emplace_back(step);
      } else {
        ahead_.emplace_back(step);
        break;
      }
    }
    ++batch_;
    index_ = 0;
    return !members_.empty();
  }

  /// Joins the current steps that are of the earliest phase and stack among them, and passes them.
  void join(Step& step) {
    using Key = std::tuple<int, int>;
    const auto key_of = [](const Member& m) {
      return Key(static_cast<int>(m.current().step.phase), m.current().step.stack);
    };
    Key first(1 << 20, 0);
    for (const Member& member : members_)
      if (member.runs()) first = std::min(first, key_of(member));
    joined_.clear();
    parts_.clear();
    std::int64_t tokens = 0, sequences = 0, positions = 0;
    int accepted = 0;
    for (std::size_t number = 0; number < members_.size(); ++number) {
      Member& member = members_[number];
      if (!member.runs() || key_of(member) != first) continue;
      const Step& part = member.current().step;
      tokens += part.tokens;
      sequences += part.sequences;
      positions += static_cast<std::int64_t>(part.position) * part.sequences;
      parts_.push_back({part.tokens, part.position, true, part.accepted, static_cast<int>(number)});
      accepted = accepted < 0 || part.accepted < 0 ? -1 : accepted + part.accepted;
      joined_.push_back(&member.current());
      ++member.next;
    }
    step = joined_.front()->step;
    const StackLayout& layout = layouts_[static_cast<std::size_t>(step.stack)];
    if (tokens > max_step_tokens || tokens * layout.entries_a_token > max_step_entries)
      throw InputError("batch",
                       std::to_string(joined_.size()) + " joined requests make a pass of " +
                           std::to_string(tokens) + " tokens",
                       "choose a smaller batch");
    step.accepted = accepted;
    step.tokens = static_cast<int>(tokens);
    step.sequences = static_cast<int>(sequences);
    // The mean, rounded up: it keeps the sum of cached tokens, which is what attention reads.
    step.position = static_cast<int>((positions + sequences - 1) / sequences);
    if (parts_.size() == static_cast<std::size_t>(sequences)) step.parts = parts_;
    gather(layout, experts_,
           [](const OwnedStep& s) -> const std::vector<std::uint16_t>& { return s.experts; });
    step.experts = experts_;
    step.predicted = {};
    step.weights = {};
    if (info_.has_predictions) {
      gather(of_predicted_[static_cast<std::size_t>(step.stack)], predicted_,
             [](const OwnedStep& s) -> const std::vector<std::uint16_t>& { return s.predicted; });
      step.predicted = predicted_;
    }
    if (info_.has_weights) {
      gather(layout, weights_, [](const OwnedStep& s) -> const std::vector<float>& { return s.weights; });
      step.weights = weights_;
    }
  }

  /// Concatenates the members' entries layer by layer.
  template <typename T, typename Entries>
  void gather(const StackLayout& layout, std::vector<T>& out, Entries entries) const {
    out.clear();
    std::vector<std::ptrdiff_t> read(joined_.size(), 0);
    for (const int top_k : layout.top_k) {
      for (std::size_t m = 0; m < joined_.size(); ++m) {
        const auto count = static_cast<std::ptrdiff_t>(joined_[m]->step.tokens) * top_k;
        const auto begin = entries(*joined_[m]).begin() + read[m];
        out.insert(out.end(), begin, begin + count);
        read[m] += count;
      }
    }
  }

  StepSource& source_;
  TraceInfo info_;
  std::vector<StackLayout> layouts_, of_predicted_;
  int size_;
  std::vector<Member> members_;
  std::vector<OwnedStep> ahead_;  ///< the first step of the next batch, read already
  std::vector<const OwnedStep*> joined_;
  std::vector<SequencePart> parts_;  ///< of them
  bool ended_ = false;
  std::int64_t batch_ = -1, index_ = 0;
  std::vector<std::uint16_t> experts_, predicted_;
  std::vector<float> weights_;
};

/// The source itself, for a batch of one.
class Reference final : public StepSource {
 public:
  explicit Reference(StepSource& source) : source_(source) { source_.rewind(); }
  [[nodiscard]] const TraceInfo& info() const override { return source_.info(); }
  bool next(Step& step) override { return source_.next(step); }
  void rewind() override { source_.rewind(); }

 private:
  StepSource& source_;
};

}  // namespace

std::unique_ptr<StepSource> compose_batches(StepSource& source, int n) {
  if (n < 1)
    throw InputError("batch", std::to_string(n) + " requests in a batch", "a batch has at least one");
  if (n == 1) return std::make_unique<Reference>(source);
  return std::make_unique<Batches>(source, n);
}

}  // namespace pregate::trace
