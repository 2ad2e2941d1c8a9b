// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/request_log.hpp"

#include <algorithm>

namespace pregate::sim {

Percentiles Percentiles::of(std::vector<double> values_ms) {
  const auto count = static_cast<std::int64_t>(values_ms.size());
  const auto at = [&](std::int64_t percent) {
    if (count == 0) return unknown;
    const std::int64_t rank = (count * percent + 99) / 100;  // from 1
    const auto place = values_ms.begin() + (rank - 1);
    std::nth_element(values_ms.begin(), place, values_ms.end());
    return *place;
  };
  return {at(50), at(90), at(95), at(99)};
}

/// The tokens of the last pass, when the next one has been launched.
void RequestLog::hand_out(std::span<const Row> next_pass, Picoseconds begin) {
  const bool has_prompts = std::any_of(next_pass.begin(), next_pass.end(),
                                       [](const Row& row) { return row.phase == trace::Phase::prefill; });
  if (has_prompts && begin == last_end_)
    for (const std::size_t number : first_tokens_) records_[number].late = late_;
  first_tokens_.clear();
}

void RequestLog::ran(std::span<const Row> rows, Picoseconds begin, Picoseconds end) {
  if (late_.count > 0) hand_out(rows, begin);
  last_end_ = end;
  if (rows.size() == 1) return add_request(rows, begin, end);
  while (!rows.empty()) {
    const auto other = std::find_if(rows.begin(), rows.end(),
                                    [&](const Row& row) { return row.request != rows.front().request; });
    const auto count = static_cast<std::size_t>(other - rows.begin());
    add_request(rows.first(count), begin, end);
    rows = rows.subspan(count);
  }
}

void RequestLog::add_request(std::span<const Row> rows, Picoseconds begin, Picoseconds end) {
  const auto number = static_cast<std::size_t>(rows.front().request);
  if (number >= records_.size()) records_.resize(number + 1);
  RequestRecord& request = records_[number];
  if (request.begin.count < 0) {
    request.begin = begin;
    request.arrival = rows.front().arrival;
    request.has_prompt = rows.front().phase != trace::Phase::decode;
  }
  request.end = end;
  const bool had_output = request.output_tokens > 0;
  int sequences = 0;
  bool gives_token = true;
  for (const Row& row : rows) {
    sequences += row.sequences;
    request.output_tokens += row.accepted;
    if (row.phase != trace::Phase::decode)
      request.prompt_tokens += row.tokens - row.recomputed - row.accepted;
    request.recomputed_tokens += row.recomputed;
    request.preemptions = std::max(request.preemptions, row.preemptions);
    gives_token = gives_token && row.logits > 0;
  }
  request.sequences = std::max(request.sequences, sequences);
  if (!gives_token) return;
  // A recording may itself have its prompt in several passes: the last one's token is the first. What is
  // recomputed brings a later one.
  const bool goes_on =
      !had_output && rows.front().phase == trace::Phase::prefill && rows.front().accepted == 0;
  if (request.first_token.count < 0 || goes_on) {
    request.first_token = end;
    if (late_.count > 0) first_tokens_.push_back(number);
  } else {
    ++request.later_passes;
    for (const Row& row : rows) request.later_drafts += std::max(0, row.accepted - row.sequences);
  }
}

bool RequestLog::has_arrivals() const {
  return std::any_of(records_.begin(), records_.end(),
                     [](const RequestRecord& request) { return request.has_arrival(); });
}

std::int64_t RequestLog::requests_with_prompt() const {
  return std::count_if(records_.begin(), records_.end(), [](const RequestRecord& r) { return r.has_ttft(); });
}

double RequestLog::mean_ttft_ms() const {
  Picoseconds sum;
  for (const RequestRecord& request : records_)
    if (request.has_ttft()) sum += request.ttft();
  const std::int64_t requests = requests_with_prompt();
  return requests == 0 ? 0 : sum.milliseconds() / static_cast<double>(requests);
}

double RequestLog::mean_tpot_ms() const {
  double sum = 0;
  std::int64_t requests = 0;
  for (const RequestRecord& request : records_) {
    if (!request.has_tpot()) continue;
    sum += request.tpot_ms();
    ++requests;
  }
  return requests == 0 ? 0 : sum / static_cast<double>(requests);
}

Percentiles RequestLog::ttft_percentiles() const {
  std::vector<double> values;
  for (const RequestRecord& request : records_)
    if (request.has_ttft()) values.push_back(request.ttft().milliseconds());
  return Percentiles::of(std::move(values));
}

Percentiles RequestLog::queue_percentiles() const {
  std::vector<double> values;
  for (const RequestRecord& request : records_)
    if (request.has_arrival()) values.push_back(request.queued().milliseconds());
  return Percentiles::of(std::move(values));
}

Percentiles RequestLog::tpot_percentiles() const {
  std::vector<double> values;
  for (const RequestRecord& request : records_)
    if (request.has_tpot()) values.push_back(request.tpot_ms());
  return Percentiles::of(std::move(values));
}

std::int64_t RequestLog::within(Picoseconds ttft, Picoseconds tpot) const {
  return std::count_if(records_.begin(), records_.end(), [&](const RequestRecord& each) {
    const bool begins = ttft.count <= 0 || !each.has_ttft() || each.ttft() <= ttft;
    const bool goes_on = tpot.count <= 0 || !each.has_tpot() || each.tpot_ms() <= tpot.milliseconds();
    return begins && goes_on;
  });
}

}  // namespace pregate::sim
