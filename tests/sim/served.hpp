// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "sim/serve/serving.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::test {

/// Continuous batching with these keys of `serve.`.
inline sim::ServingSpec continuous(const std::vector<std::pair<std::string, std::string>>& settings,
                                   int prompt_chunk = 0) {
  std::vector<Override> set = {{"serve.batcher", "continuous"}};
  for (const auto& [key, value] : settings) set.push_back({"serve." + key, value});
  sim::ServingSpec serving = sim::load_serving(set);
  serving.prompt_chunk = prompt_chunk;
  return serving;
}

/// Requests of a source, with times of arrival.
class Arriving final : public trace::StepSource {
 public:
  Arriving(trace::StepSource& source, std::vector<std::int64_t> times_us)
      : source_(source), info_(source.info()), times_us_(std::move(times_us)) {
    info_.has_arrivals = true;
  }
  [[nodiscard]] const trace::TraceInfo& info() const override { return info_; }
  bool next(trace::Step& step) override {
    if (!source_.next(step)) return false;
    if (step.first_of_request) step.arrival_ns = times_us_.at(request_++) * 1000;
    return true;
  }
  void rewind() override {
    source_.rewind();
    request_ = 0;
  }

 private:
  trace::StepSource& source_;
  trace::TraceInfo info_;
  std::vector<std::int64_t> times_us_;
  std::size_t request_ = 0;
};

inline std::vector<std::uint16_t> two_of_four(int tokens) {
  std::vector<std::uint16_t> ids;
  for (int t = 0; t < tokens; ++t) ids.insert(ids.end(), {0, 1});
  return ids;
}

/// Of one layer; each request a prompt of as many tokens and as many decode steps.
inline ListSource requests_of(std::initializer_list<std::pair<int, int>> requests) {
  ListSource source(decoder_info(1, 8, 2));
  for (const auto& [prompt, decode_steps] : requests) {
    source.add(trace::Phase::prefill, prompt, two_of_four(prompt), true);
    for (int i = 0; i < decode_steps; ++i) source.add(trace::Phase::decode, 1, two_of_four(1));
  }
  return source;
}

inline Picoseconds us(double count) { return Picoseconds{std::llround(count * 1e6)}; }

}  // namespace pregate::test
