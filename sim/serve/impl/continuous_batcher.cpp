// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <deque>
#include <limits>
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
///
/// Where several passes may be under way, requests are dealt to as many batches of their own, to the one that
/// has fewest sequences; each has an equal part of the places, and they have passes in turn.
class Continuous final : public Batcher {
 public:
  Continuous(const ContinuousParameters& parameters, trace::StepSource& source, const BatcherSetting& setting)
      : source_(source),
        joiner_(source.info()),
        arrivals_(parameters.arrivals_per_s, parameters.arrival_seed),
        places_(parameters.max_batch),
        places_a_batch_((parameters.max_batch + setting.batches - 1) / setting.batches),
        beside_(parameters.prompts == Prompts::beside),
        whole_prompts_(parameters.whole_prompts),
        prompt_chunk_(setting.prompt_chunk),
        last_pass_(static_cast<std::size_t>(setting.batches), -1) {
    if (whole_prompts_ && prompt_chunk_ == 0) {
      throw InputError("serve.whole_prompts", "a pass has room for all prompts that are there",
                       "--prompt-chunk limits it");
    }
    if (parameters.kv_block > 0) kv_.emplace(setting.kv, parameters.kv_block);
    source_.rewind();
    read_first();
  }

  int may_run_beside() override {
    if (last_pass_.size() == 1 || running_.empty()) return 0;
    turn_ = first_with_requests();
    const auto others = static_cast<std::int64_t>(last_pass_.size()) - 1;
    return static_cast<int>(std::min(others, passes_ - 1 - last_pass_[turn_]));
  }

  bool next(Picoseconds now, ServedPass& pass) override {
    std::erase_if(running_, [this](const Admitted& request) {
      const bool leaves = request.is_done() && is_its_turn(request);
      if (leaves && kv_) kv_->release(request.blocks);
      return leaves;
    });
    if (running_.empty() && !first_) return false;
    pass.begin = running_.empty() ? std::max(now, arrival_) : now;
    admit(pass.begin);
    pass.rows = {};
    if (std::none_of(running_.begin(), running_.end(), [this](const Admitted& r) { return is_its_turn(r); }))
      return true;
    compose();
    last_pass_[turn_] = passes_;
    turn_ = (turn_ + 1) % last_pass_.size();
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
  static constexpr Kind of_another_batch{trace::Phase::decode, std::numeric_limits<int>::max()};

  /// The step of the source that has not been admitted: the first of a request.
  void read_first() {
    trace::Step step;
    first_.reset();
    if (!source_.next(step)) return;
    first_.emplace(step);
    arrival_ = arrivals_.next(step);
  }

  [[nodiscard]] bool is_its_turn(const Admitted& request) const {
    return static_cast<std::size_t>(request.batch) == turn_;
  }

  /// Of the batches, from the one whose turn it is.
  [[nodiscard]] std::size_t first_with_requests() const {
    std::size_t batch = turn_;
    const auto is_of_it = [&](const Admitted& request) {
      return static_cast<std::size_t>(request.batch) == batch;
    };
    while (std::none_of(running_.begin(), running_.end(), is_of_it)) batch = (batch + 1) % last_pass_.size();
    return batch;
  }

  /// The batch that has fewest sequences, from the one whose turn it is.
  [[nodiscard]] std::size_t emptiest() const {
    std::size_t found = turn_;
    for (std::size_t i = 1; i < last_pass_.size(); ++i) {
      const std::size_t batch = (turn_ + i) % last_pass_.size();
      if (taken_[batch] < taken_[found]) found = batch;
    }
    return found;
  }

  void admit(Picoseconds now) {
    taken_.assign(last_pass_.size(), 0);
    int taken = 0;
    for (const Admitted& request : running_) {
      taken_[static_cast<std::size_t>(request.batch)] += request.sequences();
      taken += request.sequences();
    }
    while (first_ && arrival_ <= now) {
      const int sequences = first_->step.sequences;
      const std::size_t batch = emptiest();
      if (taken > 0 && taken + sequences > places_) return;
      if (taken_[batch] > 0 && taken_[batch] + sequences > places_a_batch_) return;
      if (sequences > places_) {
        throw InputError("serve.max_batch",
                         "request " + std::to_string(first_->step.request) + " is a recorded batch of " +
                             std::to_string(sequences) + " sequences, for " + std::to_string(places_) +
                             " places",
                         "--batch " + std::to_string(sequences) + " or more has room for it");
      }
      taken += sequences;
      taken_[batch] += sequences;
      const Picoseconds arrival = arrival_;
      running_.emplace_back(requests_++, arrival, read_request());
      running_.back().batch = static_cast<int>(batch);
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
    for (const Admitted& request : running_)
      kinds_.push_back(is_its_turn(request) ? Kind(request.phase(), request.stack()) : of_another_batch);
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
    if (whole_prompts_ && left < prompt_chunk_) return 0;
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
  int places_, places_a_batch_;
  bool beside_, whole_prompts_;
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
  std::size_t turn_ = 0;                 ///< of the batches, which has the next pass
  std::vector<std::int64_t> last_pass_;  ///< of each batch; -1: it had none
  std::vector<int> taken_;               ///< of the places, by each
};

}  // namespace

std::unique_ptr<Batcher> make_continuous(const ContinuousParameters& parameters, trace::StepSource& source,
                                         const BatcherSetting& setting) {
  return std::make_unique<Continuous>(parameters, source, setting);
}

}  // namespace pregate::sim
