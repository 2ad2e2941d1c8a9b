// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/row_batches.hpp"

#include <algorithm>

#include "models/error.hpp"

namespace pregate::trace {

namespace {

constexpr std::size_t most_passes = 10'000'000;

/// Emits the passes as planned.
class Emitter {
 public:
  Emitter(const RowPlan& plan, PassBuilder& builder, RecordingSink& sink, std::string label)
      : plan_(plan), builder_(builder), sink_(sink), label_(std::move(label)) {}

  void end_of_pass() {
    if (next_ >= plan_.passes.size())
      throw InputError(builder_.where(), "the file changed while it was read");
    const std::size_t pass = next_++;
    const RowPlan::Kind kind = plan_.passes[pass];
    if (kind == RowPlan::Kind::dropped) return builder_.discard();
    if (!begun_ || plan_.separate) {
      sink_.begin_request(plan_.separate ? label_ + ", pass " + std::to_string(pass) : label_,
                          plan_.sequences);
      begun_ = true;
      position_ = 0;
    }
    const bool decode = kind == RowPlan::Kind::decode;
    const std::int64_t rows = builder_.tokens();
    const auto sequences = static_cast<int>(std::min<std::int64_t>(plan_.sequences, rows));
    const std::int64_t position = position_;
    position_ += (rows + sequences - 1) / sequences;
    builder_.emit(
        {.phase = decode ? Phase::decode : Phase::prefill, .sequences = sequences, .position = position});
  }

 private:
  const RowPlan& plan_;
  PassBuilder& builder_;
  RecordingSink& sink_;
  std::string label_;
  std::size_t next_ = 0;
  std::int64_t position_ = 0;
  bool begun_ = false;
};

void add_notes(const RowPlan& plan, RecordingFacts& facts) {
  if (plan.dropped > 0)
    facts.notes.push_back(std::to_string(plan.dropped) +
                          (plan.dropped == 1 ? " dummy pass of the engine's warm-up was"
                                             : " dummy passes of the engine's warm-up were") +
                          " left out: all rows choose the same experts");
  if (plan.only_dummies)
    facts.notes.emplace_back(
        "every pass looks like a dummy of the engine's warm-up (all rows choose the same experts); they are "
        "kept, as there is nothing else, but say nothing about real prompts");
  const auto count = [&](RowPlan::Kind kind) {
    return std::to_string(std::count(plan.passes.begin(), plan.passes.end(), kind));
  };
  if (plan.separate) {
    facts.notes.push_back("no pass looks like a decode step: each of the " + count(RowPlan::Kind::prefill) +
                          " passes is a prefill request of its own");
  } else {
    facts.notes.push_back("which request a row is of is not recorded: " + count(RowPlan::Kind::prefill) +
                          " passes that grew are read as prefill, the other " + count(RowPlan::Kind::decode) +
                          " as decode steps of up to " + std::to_string(plan.sequences) + " sequences");
  }
}

}  // namespace

RowPlan plan_rows(const std::vector<PassRows>& passes, Dummies dummies) {
  RowPlan plan;
  std::size_t first = 0;
  if (dummies == Dummies::drop) {
    for (; first < passes.size(); ++first) {
      const PassRows& pass = passes[first];
      if (!pass.uniform) break;
      if (pass.rows == 1 && (first == 0 || pass.first_row != passes[first - 1].first_row)) break;
    }
    plan.only_dummies = first > 0 && first == passes.size();
    if (plan.only_dummies) first = 0;
  }
  plan.passes.assign(first, RowPlan::Kind::dropped);
  plan.dropped = static_cast<std::int64_t>(first);
  std::int64_t before = 0, sequences = 0;
  for (std::size_t i = first; i < passes.size(); ++i) {
    const std::int64_t rows = passes[i].rows;
    const bool chunk =
        i > first && plan.passes.back() == RowPlan::Kind::prefill && rows == before && rows > 1;
    const bool prefill = chunk || (rows > before && rows > 1);
    plan.passes.push_back(prefill ? RowPlan::Kind::prefill : RowPlan::Kind::decode);
    if (!prefill) sequences = std::max(sequences, rows);
    before = rows;
  }
  plan.separate = sequences == 0;
  plan.sequences = static_cast<int>(std::max<std::int64_t>(1, sequences));
  return plan;
}

void read_row_batches(
    const std::function<void(PassBuilder& builder, const std::function<void()>& end_of_pass)>& scan,
    PassBuilder& builder, RecordingFacts& facts, RecordingSink& sink, const std::string& label,
    Dummies dummies) {
  std::vector<PassRows> passes;
  scan(builder, [&] {
    if (passes.size() >= most_passes) throw InputError(builder.where(), "over ten million passes");
    passes.push_back({builder.tokens(), builder.is_uniform(), builder.hash_of_first_row()});
    builder.discard();
  });
  const RowPlan plan = plan_rows(passes, dummies);
  if (plan.passes.empty()) throw InputError(label, "holds no routing decisions");
  add_notes(plan, facts);
  Emitter emitter(plan, builder, sink, label);
  scan(builder, [&] { emitter.end_of_pass(); });
}

}  // namespace pregate::trace
