// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/error.hpp"
#include "traces/content_hash.hpp"
#include "traces/database.hpp"
#include "traces/layout.hpp"
#include "traces/reader.hpp"
#include "traces/statistics.hpp"
#include "traces/step_rows.hpp"

namespace pregate::trace {

namespace {

/// The first token of the step that has an expert twice in a layer, in words; empty when there is none.
std::string find_duplicate(const Step& step, const StackLayout& layout, const TraceInfo& info) {
  std::vector<std::uint16_t> ids;
  std::size_t at = 0;
  for (std::size_t l = 0; l < layout.top_k.size(); ++l)
    for (int t = 0; t < step.tokens; ++t, at += static_cast<std::size_t>(layout.top_k[l])) {
      const auto token = step.experts.subspan(at, static_cast<std::size_t>(layout.top_k[l]));
      ids.assign(token.begin(), token.end());
      std::sort(ids.begin(), ids.end());
      for (std::size_t i = 1; i < ids.size(); ++i)
        if (ids[i] == ids[i - 1] && ids[i] != no_expert)
          return "token " + std::to_string(t) + " has expert " + std::to_string(ids[i]) + " twice in layer " +
                 std::to_string(info.layers[static_cast<std::size_t>(layout.layers[l])].layer);
    }
  return {};
}

void check_content(const std::string& path, std::size_t limit, std::vector<std::string>& faults) {
  const Database database = Database::open_untrusted(path);
  const TraceInfo info = read_info(database);
  const std::vector<StackLayout> stacks = layouts(info);
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
    if (const std::string twice = find_duplicate(step, stacks[static_cast<std::size_t>(step.stack)], info);
        !twice.empty())
      faults.push_back(place + twice);
    if (step.first_of_request) {
      hash.begin_request(request);
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
    faults.push_back("its content hash is " + found + ", but it claims " + info.content_hash.substr(0, 64));
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
