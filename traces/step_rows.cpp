// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/step_rows.hpp"

#include <bit>
#include <cstring>
#include <limits>

#include "models/error.hpp"

namespace pregate::trace {

namespace {

/// Narrows a stored integer; values outside int become -1, which every check refuses.
int to_int(std::int64_t value) {
  return value < 0 || value > std::numeric_limits<int>::max() ? -1 : static_cast<int>(value);
}

void read_layers(const Database& database, TraceInfo& info) {
  Statement stacks(database, "SELECT id, name FROM stack ORDER BY id LIMIT 17");
  while (stacks.step()) {
    if (stacks.integer(0) != static_cast<std::int64_t>(info.stacks.size()))
      throw InputError(database.where(), "its stacks are not numbered 0, 1, 2, ...");
    info.stacks.push_back(stacks.text(1));
  }
  Statement layers(database,
                   "SELECT id, stack, layer, experts, top_k, expert_bytes FROM layer ORDER BY id LIMIT 1025");
  while (layers.step()) {
    if (layers.integer(0) != static_cast<std::int64_t>(info.layers.size()))
      throw InputError(database.where(), "its layers are not numbered 0, 1, 2, ...");
    info.layers.push_back({.stack = to_int(layers.integer(1)),
                           .layer = to_int(layers.integer(2)),
                           .experts = to_int(layers.integer(3)),
                           .top_k = to_int(layers.integer(4)),
                           .expert_bytes = Bytes{layers.integer(5)}});
  }
}

/// Of the table `prediction`, which says more than prediction_distance.
void read_distances(const Database& database, TraceInfo& info) {
  Statement rows(database, "SELECT distance, predictor FROM prediction ORDER BY distance LIMIT 1025");
  std::vector<int> distances;
  while (rows.step()) {
    const std::string predictor = rows.text(1);
    if (!distances.empty() && predictor != info.predicted_by)
      throw InputError(database.where(), "its predictions are of several predictors");
    info.predicted_by = predictor;
    distances.push_back(to_int(rows.integer(0)));
  }
  if (distances.empty() || distances.front() != info.prediction_distance)
    throw InputError(database.where(), "the first of its prediction distances is not prediction_distance");
  info.further_distances.assign(distances.begin() + 1, distances.end());
}

/// Rows of a table whose ids are 0..n-1; without a scan, as the ids' order is checked where they are read.
std::int64_t rows_by_id(const Database& database, const char* sql, const char* what) {
  Statement ends(database, sql);
  if (!ends.step() || ends.is_null(0)) return 0;
  if (ends.integer(0) != 0 || ends.integer(1) == std::numeric_limits<std::int64_t>::max())
    throw InputError(database.where(), std::string("its ") + what + " are not numbered from 0");
  return ends.integer(1) + 1;
}

}  // namespace

TraceInfo read_info(const Database& database) {
  TraceInfo info;
  read_layers(database, info);
  Statement trace(
      database,
      "SELECT model, model_top_k, has_weights, has_predictions, prediction_distance, content_hash, "
      "requests, steps, tokens, routed_entries FROM trace");
  if (!trace.step()) throw InputError(database.where(), "is an unfinished trace: its description is missing");
  info.model = trace.text(0);
  info.model_top_k = to_int(trace.integer(1));
  info.has_weights = trace.integer(2) != 0;
  info.has_predictions = trace.integer(3) != 0;
  info.prediction_distance = to_int(trace.integer(4));
  info.content_hash = trace.text(5);
  info.requests = trace.integer(6);
  info.steps = trace.integer(7);
  info.tokens = trace.integer(8);
  info.routed_entries = trace.integer(9);
  Statement more(database,
                 "SELECT name FROM sqlite_schema WHERE name IN ('arrival', 'accepted', 'prediction')");
  while (more.step()) {
    const std::string name = more.text(0);
    if (name == "arrival") info.has_arrivals = true;
    if (name == "accepted") info.has_accepted = true;
    if (name == "prediction") read_distances(database, info);
  }
  Statement provenance(database, "SELECT key, value FROM provenance ORDER BY key LIMIT 10000");
  while (provenance.step()) info.provenance.emplace(provenance.text(0), provenance.text(1));
  validate_info(info, database.where());

  const std::int64_t requests =
      rows_by_id(database, "SELECT (SELECT min(id) FROM request), (SELECT max(id) FROM request)", "requests");
  const std::int64_t steps =
      rows_by_id(database, "SELECT (SELECT min(id) FROM step), (SELECT max(id) FROM step)", "steps");
  if (requests == 0 || steps == 0) throw InputError(database.where(), "holds no requests");
  const auto differs = [&](const char* what, std::int64_t claimed, std::int64_t held) {
    return InputError(database.where(), "claims " + std::to_string(claimed) + " " + what + ", but holds " +
                                            std::to_string(held));
  };
  if (requests != info.requests) throw differs("requests", info.requests, requests);
  if (steps != info.steps) throw differs("steps", info.steps, steps);
  if (info.tokens < info.steps || info.tokens / max_step_tokens > info.steps)
    throw InputError(database.where(), "claims " + std::to_string(info.tokens) + " tokens in " +
                                           std::to_string(info.steps) + " steps");
  if (info.routed_entries < 0 || info.routed_entries / max_step_entries > info.steps)
    throw InputError(database.where(), "claims " + std::to_string(info.routed_entries) +
                                           " routed entries in " + std::to_string(info.steps) + " steps");
  return info;
}

StepRows::StepRows(const Database& database, const TraceInfo& info)
    : info_(info),
      layouts_(layouts(info)),
      statement_(
          database,
          "SELECT id, request, step, phase, stack, sequences, tokens, position, experts, predicted, weights "
          "FROM step ORDER BY id") {
  if (info.has_arrivals) arrivals_.emplace(database, "SELECT request, ns FROM arrival ORDER BY request");
  if (info.has_accepted) accepted_.emplace(database, "SELECT step, tokens FROM accepted ORDER BY step");
}

void StepRows::rewind() {
  statement_.reset();
  if (arrivals_) arrivals_->reset();
  if (accepted_) accepted_->reset();
  last_arrival_ = 0;
  ended_ = false;
  rows_ = 0;
  last_request_ = last_index_ = -1;
  order_.begin_request();
}

bool StepRows::read_ids(int column, const StackLayout& layout, std::int64_t entries, const char* what,
                        std::vector<std::uint16_t>& ids) {
  const auto blob = statement_.blob(column);
  const auto count = static_cast<std::size_t>(entries);
  if (blob.size() != count * static_cast<std::size_t>(layout.width)) {
    fault_ = std::string(what) + " blob of " + std::to_string(blob.size()) +
             " bytes, its layers and tokens need " + std::to_string(entries * layout.width);
    return false;
  }
  if (ids.size() != count) ids.resize(count);
  decode_ids(blob.data(), layout.width, ids);
  return true;
}

bool StepRows::read_weights(std::int64_t entries) {
  const auto blob = statement_.blob(10);
  const auto count = static_cast<std::size_t>(entries);
  if (blob.size() != count * sizeof(float)) {
    fault_ = "weights blob of " + std::to_string(blob.size()) + " bytes, its layers and tokens need " +
             std::to_string(count * sizeof(float));
    return false;
  }
  if (weights_.size() != count) weights_.resize(count);
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(weights_.data(), blob.data(), blob.size());
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      std::uint32_t bits = 0;
      for (unsigned b = 0; b < 4; ++b) bits |= static_cast<std::uint32_t>(blob[4 * i + b]) << (8U * b);
      weights_[i] = std::bit_cast<float>(bits);
    }
  }
  return true;
}

bool StepRows::read_step(std::int64_t row, Step& step) {
  const std::int64_t phase = statement_.integer(3);
  if (phase < 0 || phase > static_cast<std::int64_t>(Phase::decode)) {
    fault_ = "unknown phase " + std::to_string(phase);
    return false;
  }
  step.phase = static_cast<Phase>(phase);
  step.stack = to_int(statement_.integer(4));
  step.sequences = to_int(statement_.integer(5));
  step.tokens = to_int(statement_.integer(6));
  step.position = to_int(statement_.integer(7));
  step.experts = step.predicted = {};
  step.weights = {};
  if (step.stack < 0 || step.stack >= static_cast<int>(layouts_.size()) || step.tokens < 1 ||
      step.tokens > max_step_tokens) {
    fault_ = step.tokens < 1 || step.tokens > max_step_tokens
                 ? std::to_string(statement_.integer(6)) + " tokens"
                 : "stack out of range";
    return false;
  }
  const StackLayout& layout = layouts_[static_cast<std::size_t>(step.stack)];
  const std::int64_t entries = layout.entries_a_token * step.tokens;
  if (!read_ids(8, layout, entries, "experts", experts_)) return false;
  step.experts = experts_;
  if (info_.has_predictions) {
    const auto times = static_cast<std::int64_t>(info_.predictions_a_step());
    if (entries > max_step_entries / times) {
      fault_ =
          std::to_string(entries) + " routed entries, predicted at " + std::to_string(times) + " distances";
      return false;
    }
    if (!read_ids(9, layout, entries * times, "predicted", predicted_)) return false;
    step.predicted = predicted_;
  }
  if (info_.has_weights) {
    if (!read_weights(entries)) return false;
    step.weights = weights_;
  }
  if (!read_more(row, step)) return false;
  fault_ = find_fault(step, info_, layouts_);
  return fault_.empty();
}

bool StepRows::read_more(std::int64_t row, Step& step) {
  step.arrival_ns = -1;
  step.accepted = -1;
  if (arrivals_ && step.first_of_request) {
    if (!arrivals_->step() || arrivals_->integer(0) != step.request ||
        arrivals_->integer(1) < last_arrival_ || arrivals_->integer(1) > max_arrival_ns) {
      fault_ = "the request's arrival is missing, before that of the one in front of it, or after 100 days";
      return false;
    }
    step.arrival_ns = last_arrival_ = arrivals_->integer(1);
  }
  if (accepted_ && step.phase == Phase::decode) {
    const bool has = accepted_->step() && accepted_->integer(0) == row;
    step.accepted = has ? to_int(accepted_->integer(1)) : -1;
  }
  return true;
}

StepRows::Row StepRows::next(Step& step) {
  ended_ = ended_ || !statement_.step();  // SQLite would begin anew
  if (ended_) return Row::end;
  fault_.clear();
  const std::int64_t id = statement_.integer(0);
  step.request = statement_.integer(1);
  step.index = statement_.integer(2);
  const std::int64_t row = rows_++;
  const bool same = step.request == last_request_ && step.index == last_index_ + 1;
  const bool new_request = step.request == last_request_ + 1 && step.index == 0;
  std::string order;
  if (id != row) {
    order = "row " + std::to_string(row) + " of the steps has id " + std::to_string(id);
  } else if (!(same || new_request) || step.request >= info_.requests) {
    order = "request " + std::to_string(step.request) + " step " + std::to_string(step.index) +
            " follows request " + std::to_string(last_request_) + " step " + std::to_string(last_index_);
  }
  last_request_ = step.request;
  last_index_ = step.index;
  step.first_of_request = step.index == 0;
  if (!order.empty()) {
    fault_ = order;
    return Row::fault;
  }
  if (step.first_of_request) order_.begin_request();
  const bool sound = read_step(row, step);
  if (sound) fault_ = order_.next(step);
  if (!sound) order_.begin_request();  // where the next step should start is not known
  if (!fault_.empty()) {
    fault_ =
        "request " + std::to_string(step.request) + ", step " + std::to_string(step.index) + ": " + fault_;
    return Row::fault;
  }
  return Row::step;
}

}  // namespace pregate::trace
