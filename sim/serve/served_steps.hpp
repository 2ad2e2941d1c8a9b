// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "sim/serve/serving.hpp"
#include "sim/workload/trace_scan.hpp"

namespace pregate::sim {

/// The passes of a batcher as a trace, for what must be known of them before the run; where they depend on
/// time, the source itself. Its info() is the source's.
class ServedSteps final : public trace::StepSource {
 public:
  /// Both outlive this.
  ServedSteps(trace::StepSource& source, const ServingSpec& serving);

  [[nodiscard]] const trace::TraceInfo& info() const override { return source_.info(); }
  bool next(trace::Step& step) override;
  void rewind() override;

 private:
  trace::StepSource& source_;
  const ServingSpec& serving_;
  bool is_source_;
  std::unique_ptr<Batcher> batcher_;
  ServedPass pass_;
};

/// scan_trace() of the passes as they are served. Where they depend on time: of each request alone, and what
/// a pass holds at most is that of as many requests as may be in it.
TraceScan scan_served(trace::StepSource& source, const ExpertMap& map, const ServingSpec& serving);

}  // namespace pregate::sim
