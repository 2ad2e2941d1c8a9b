// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "traces/reader.hpp"

namespace pregate::trace {

namespace {

class FirstSteps final : public StepSource {
 public:
  FirstSteps(StepSource& source, std::int64_t steps) : source_(source), info_(source.info()), steps_(steps) {
    info_.steps = std::min(info_.steps, steps);
  }
  [[nodiscard]] const TraceInfo& info() const override { return info_; }
  bool next(Step& step) override { return done_ < steps_ && source_.next(step) && ++done_ > 0; }
  void rewind() override {
    source_.rewind();
    done_ = 0;
  }

 private:
  StepSource& source_;
  TraceInfo info_;
  std::int64_t steps_, done_ = 0;
};

}  // namespace

std::unique_ptr<StepSource> first_steps(StepSource& source, std::int64_t steps) {
  source.rewind();
  return std::make_unique<FirstSteps>(source, steps);
}

}  // namespace pregate::trace
