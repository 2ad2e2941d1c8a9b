// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/recording_harness.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "models/error.hpp"
#include "tests/fuzz/bytes_file.hpp"
#include "traces/layout.hpp"

namespace pregate::fuzz {

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "a parser's step is not sound: %s\n", what);
  std::abort();
}

class CheckingSink final : public trace::RecordingSink {
 public:
  explicit CheckingSink(const trace::RecordingFacts& facts) : facts_(facts) {}

  void begin_request(const std::string& label, int sequences) override {
    static_cast<void>(label);
    require(sequences >= 1 && sequences <= trace::max_step_tokens, "sequences of a request");
    in_request_ = true;
  }

  void add(const trace::RecordedStep& step, const std::string& where) override {
    require(in_request_, "before the first request");
    require(!where.empty(), "no place");
    require(step.stack >= 0 && static_cast<std::size_t>(step.stack) < facts_.stacks.size(), "stack");
    const std::size_t layers = facts_.stacks[static_cast<std::size_t>(step.stack)].layers.size();
    require(step.tokens >= 1 && step.tokens <= trace::max_step_tokens, "tokens");
    require(step.width >= 1 && step.width <= trace::max_top_k, "width");
    require(step.position >= 0, "position");
    const std::size_t entries =
        layers * static_cast<std::size_t>(step.tokens) * static_cast<std::size_t>(step.width);
    require(step.experts.size() == entries, "number of experts");
    require(step.weights.empty() || step.weights.size() == entries, "number of weights");
    require(step.weights.empty() || facts_.has_weights, "weights that the facts do not tell of");
    for (const float weight : step.weights) require(std::isfinite(weight), "weight");
  }

 private:
  const trace::RecordingFacts& facts_;
  bool in_request_ = false;
};

}  // namespace

int parse_recording(const trace::Parser& parser, const std::uint8_t* bytes, std::size_t size,
                    const trace::ImportOptions& known) {
  const BytesFile file(bytes, size);
  trace::RecordingFacts facts;
  facts.known = known;
  CheckingSink sink(facts);
  try {
    parser({file.path()}, facts, sink);
  } catch (const InputError&) {
  }
  return 0;
}

}  // namespace pregate::fuzz
