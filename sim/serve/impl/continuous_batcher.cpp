// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <deque>
#include <optional>
#include <tuple>

#include "models/error.hpp"
#include "sim/serve/admitted.hpp"
#include "sim/serve/arrivals.hpp"
#include "sim/serve/impl/continuous.hpp"

namespace pregate::sim {
namespace {

/// Requests join in the order of their arrival as soon as a pass ends and a place is free, and leave with
/// their last pass; a recording of several sequences takes a place for each. Encoder passes come first,
/// alone. Where KV memory is paged, a prompt begins when there are blocks for the whole of it, and a step
/// that finds none for its next token takes those of the request that joined last.
class Continuous final : public Batcher {
 public:
  Continuous(const ContinuousParameters& parameters, trace::StepSource& source, int prompt_chunk,
             const std::vector<KvShare>& kv)
      : source_(source),
        joiner_(source.info()),
        arrivals_(parameters.arrivals_per_s, parameters.arrival_seed),
        places_(parameters.max_batch),
        beside_(parameters.prompts == Prompts::beside),
        prompt_chunk_(prompt_chunk) {
    if (parameters.kv_block > 0) kv_.emplace(kv, parameters.kv_block);
    source_.rewind();
    read_first();
  }

  bool next(Picoseconds now, ServedPass& pass) override {
    std::erase_if(running_, [this](const Admitted& request) {
      if (request.is_done() && kv_) kv_->release(request.blocks);
      return request.is_done();
    });
    if (running_.empty() && !first_) return false;
    pass.begin = running_.empty() ? std::max(now, arrival_) : now;
    admit(pass.begin);
    compose();
    pass.step = joiner_.join(parts_);
    pass.step.request = parts_.front().row.request;
    pass.step.index = passes_++;
    pass.step.first_of_request = all_begin_;
    rows_.clear();
    for (const Admitted::Part& part : parts_) rows_.push_back(part.row);
    pass.rows = rows_;
    pass.own_costs = true;
    return true;
  }

 private:
  using Kind = std::tuple<trace::Phase, int>;  ///< phase and stack; the least goes first

  /// The step of the source that has not been admitted: the first of a request.
  void read_first() {
    trace::Step step;
    first_.reset();
    if (!source_.next(step)) return;
    first_.emplace(step);
    arrival_ = arrivals_.next(step);
  }

  void admit(Picoseconds now) {
    int taken = 0;
    for (const Admitted& request : running_) taken += request.sequences();
    while (first_ && arrival_ <= now) {
      const int sequences = first_->step.sequences;
      if (taken > 0 && taken + sequences > places_) return;
      if (sequences > places_) {
        throw InputError("serve.max_batch",
                         "request " + std::to_string(first_->step.request) + " is a recorded batch of " +
                             std::to_string(sequences) + " sequences, for " + std::to_string(places_) +
                             " places",
                         "--batch " + std::to_string(sequences) + " or more has room for it");
      }
      taken += sequences;
      const Picoseconds arrival = arrival_;
      running_.emplace_back(requests_++, arrival, read_request());
      if (kv_) check_can_run(running_.back());
    }
  }

  std::vector<trace::OwnedStep> read_request() {
    std::vector<trace::OwnedStep> steps;
    steps.push_back(std::move(*first_));
    first_.reset();
    trace::Step step;
    while (source_.next(step)) {
      if (step.first_of_request) {
        first_.emplace(step);
        arrival_ = arrivals_.next(step);
        break;
      }
      steps.emplace_back(step);
    }
    return steps;
  }

  void check_can_run(const Admitted& request) {
    const std::string number = "request " + std::to_string(request.number());
    if (!request.can_be_recomputed()) {
      throw InputError(
          "serve.kv_block",
          number +
              " is not one sequence from its first token on: what it would have to compute again "
              "is not known",
          "serve.kv_block 0 keeps memory for all that may be cached");
    }
    const int longest = request.longest_context();
    if (kv_->can_ever_hold(kv_->blocks_of(longest))) return;
    throw InputError("serve.kv_memory",
                     number + " comes to " + std::to_string(longest) +
                         " tokens, and their keys and values do not fit even where nothing else is",
                     "more memory (serve.kv_memory), or leave such requests out");
  }

  void compose() {
    kinds_.clear();
    for (const Admitted& request : running_) kinds_.emplace_back(request.phase(), request.stack());
    const Kind kind = *std::min_element(kinds_.begin(), kinds_.end());
    if (!kv_) return take_all(kind);
    const int preempted = preempt_for_steps(kind);
    take_all(kind, preempted == 0);
    const auto [phase, stack] = kind;
    // No prompt finds room: those that have some go on.
    if (!parts_.empty() || phase != trace::Phase::prefill) return;
    preempt_for_steps({trace::Phase::decode, stack});
    take_all({trace::Phase::decode, stack}, false);
  }

  /// Room for the next tokens of those that go on, in the order in which they joined; how many of the newest
  /// lost theirs for it.
  int preempt_for_steps(const Kind& kind) {
    int preempted = 0;
    for (std::size_t i = 0; i < running_.size(); ++i) {
      Admitted& request = running_[i];
      const bool decodes = std::get<0>(kinds_[i]) == trace::Phase::decode;
      const bool takes_part = kinds_[i] == kind || (beside_ && decodes);
      if (request.blocks == 0 && decodes && takes_part && !starts(request)) continue;
      if (request.blocks == 0 || !takes_part) continue;
      const int blocks = std::max(request.blocks, kv_->blocks_of(request.context_after()));
      while (request.blocks > 0 && !kv_->grow(request.blocks, blocks)) {
        const auto newest = std::find_if(running_.rbegin(), running_.rend(),
                                         [](const Admitted& other) { return other.blocks > 0; });
        kv_->release(newest->blocks);
        newest->preempt(joiner_);
        const auto at = static_cast<std::size_t>(running_.rend() - newest) - 1;
        kinds_[at] = {newest->phase(), newest->stack()};
        ++preempted;
      }
      if (request.blocks > 0) request.blocks = blocks;
    }
    return preempted;
  }

  /// Blocks for the whole of its next pass, where it has none.
  bool starts(Admitted& request) {
    const int blocks = kv_->blocks_of(request.context_after());
    if (request.blocks > 0) return true;
    if (!kv_->grow(0, blocks)) return false;
    request.blocks = blocks;
    return true;
  }

  /// `prompts_start`: those that have no KV memory yet may get some.
  void take_all(const Kind& kind, bool prompts_start = true) {
    const auto [phase, stack] = kind;
    parts_.clear();
    all_begin_ = true;
    if (phase == trace::Phase::decode || (beside_ && phase == trace::Phase::prefill)) {
      for (std::size_t i = 0; i < running_.size(); ++i) {
        if (kinds_[i] == Kind(trace::Phase::decode, stack) && (!kv_ || running_[i].blocks > 0))
          take(running_[i], running_[i].tokens_left());
      }
    }
    if (phase == trace::Phase::decode) return;
    const bool cuts = phase == trace::Phase::prefill && prompt_chunk_ > 0;
    int left = prompt_chunk_;
    for (std::size_t i = 0; i < running_.size() && (!cuts || left > 0); ++i) {
      if (kinds_[i] != kind) continue;
      if (kv_ && running_[i].blocks == 0 && !(prompts_start && starts(running_[i]))) {
        prompts_start = false;  // first come first served
        continue;
      }
      const int tokens = cuts ? prompt_tokens(running_[i], left) : running_[i].tokens_left();
      if (tokens == 0) return;
      take(running_[i], tokens);
      left -= tokens;
    }
  }

  void take(Admitted& request, int tokens) {
    all_begin_ = all_begin_ && !request.has_begun();
    parts_.push_back(request.take(tokens));
  }

  /// What the request takes of the `left` tokens of prompts of a pass; 0: it waits for the next one.
  [[nodiscard]] int prompt_tokens(const Admitted& request, int left) const {
    const int tokens = request.tokens_left();
    if (tokens <= left) return tokens;
    if (request.sequences() == 1) return left;
    if (tokens <= prompt_chunk_) return 0;
    throw InputError("--prompt-chunk",
                     "a pass over the prompts of " + std::to_string(request.sequences()) +
                         " sequences, and the recording does not say which tokens are whose",
                     "--prompt-chunk " + std::to_string(tokens) + " or more leaves this pass whole");
  }

  trace::StepSource& source_;
  StepJoiner joiner_;
  Arrivals arrivals_;
  int places_;
  bool beside_;
  int prompt_chunk_;
  std::optional<trace::OwnedStep> first_;  ///< of the request that joins next, which arrives at arrival_
  Picoseconds arrival_;
  std::optional<KvBlocks> kv_;
  std::int64_t requests_ = 0, passes_ = 0;
  std::deque<Admitted> running_;
  std::vector<Kind> kinds_;  ///< of what each of them has next
  std::vector<Admitted::Part> parts_;
  bool all_begin_ = true;
  std::vector<Row> rows_;
};

}  // namespace

std::unique_ptr<Batcher> make_continuous(const ContinuousParameters& parameters, trace::StepSource& source,
                                         int prompt_chunk, const std::vector<KvShare>& kv) {
  return std::make_unique<Continuous>(parameters, source, prompt_chunk, kv);
}

}  // namespace pregate::sim
