// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/error.hpp"
#include "traces/content_hash.hpp"
#include "traces/database.hpp"
#include "traces/layout.hpp"
#include "traces/reader.hpp"
#include "traces/statistics.hpp"
#include "traces/step_rows.hpp"

namespace pregate::trace {

namespace {

void check_content(const std::string& path, std::size_t limit, std::vector<std::string>& faults) {
  const Database database = Database::open_untrusted(path);
  const TraceInfo info = read_info(database);
  const std::vector<Request> requests = read_requests(path);
  StepRows rows(database, info);
  ContentHash hash(info);
  std::int64_t steps = 0, tokens = 0, routed = 0, begun = 0;
  bool readable = true;
  Step step;
  for (auto row = rows.next(step); row != StepRows::Row::end; row = rows.next(step)) {
    if (faults.size() >= limit) return;
    if (row == StepRows::Row::fault) {
      faults.push_back(rows.fault());
      readable = false;
      continue;
    }
    const std::string place =
        "request " + std::to_string(step.request) + ", step " + std::to_string(step.index) + ": ";
    const Request& request = requests[static_cast<std::size_t>(step.request)];
    if (step.sequences > request.sequences)
      faults.push_back(place + std::to_string(step.sequences) + " sequences, but the request has " +
                       std::to_string(request.sequences));
    if (step.first_of_request) {
      hash.begin_request({request.id, request.label, request.sequences, step.arrival_ns});
      begun = step.request + 1;
    }
    hash.add(step);
    ++steps;
    tokens += step.tokens;
    routed += count_routed(step.experts);
  }
  if (!readable) return;
  const auto compare = [&](const char* what, std::int64_t claimed, std::int64_t found) {
    if (claimed != found)
      faults.push_back("claims " + std::to_string(claimed) + " " + what + ", but holds " +
                       std::to_string(found));
  };
  compare("requests", info.requests, begun);
  compare("steps", info.steps, steps);
  compare("tokens", info.tokens, tokens);
  compare("routed entries", info.routed_entries, routed);
  if (const std::string found = hash.finish(); found != info.content_hash)
    faults.push_back("its content hash is " + found + ", but it claims " + printable(info.content_hash, 64));
}

}  // namespace

std::vector<std::string> check(const std::string& path, std::size_t limit) {
  std::vector<std::string> faults;
  try {
    check_content(path, limit, faults);
  } catch (const InputError& error) {
    faults.emplace_back(error.what());
  }
  if (faults.size() > limit) faults.resize(limit);
  return faults;
}

}  // namespace pregate::trace
