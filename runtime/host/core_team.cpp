// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/host/core_team.hpp"

#include <cstdint>

#include "runtime/host/host_event.hpp"

namespace pregate::runtime {

namespace {

/// About 1 ms: the next share of a layer comes sooner.
constexpr int team_spins = 25'000;

}  // namespace

CoreTeam::CoreTeam(const std::vector<int>& cores) {
  for (std::size_t i = 1; i < cores.size(); ++i)
    workers_.push_back(
        std::make_unique<Worker>("cpu " + std::to_string(i), std::vector<int>{cores[i]}, team_spins));
}

void CoreTeam::share(int count, const std::function<void(int begin, int end)>& part) {
  const auto border = [&](int i) { return static_cast<int>(std::int64_t{count} * i / size()); };
  std::vector<HostRecord> done(workers_.size());
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const int begin = border(static_cast<int>(i) + 1), end = border(static_cast<int>(i) + 2);
    workers_[i]->run([&part, begin, end] { part(begin, end); });
    workers_[i]->run_always([record = &done[i]] { record->reach(); });
  }
  std::exception_ptr failure;
  try {
    part(0, border(1));
  } catch (...) {  // the others still use `part`
    failure = std::current_exception();
  }
  for (const HostRecord& record : done) record.wait(team_spins);
  if (failure) std::rethrow_exception(failure);
  for (const std::unique_ptr<Worker>& worker : workers_) worker->rethrow();
}

}  // namespace pregate::runtime
