// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache_places.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

#include "models/error.hpp"

namespace pregate::runtime {

namespace {

constexpr std::int64_t most_rows = std::numeric_limits<std::int32_t>::max();

[[noreturn]] void refuse(const std::string& why) {
  throw InputError("--attention kv-cache", why, "leave it out, or choose another trace");
}

/// Calls `function` with number, position and tokens of each sequence of a pass. Where a recording merged
/// sequences and tells no more, all have equally many tokens, as in a simulation.
template <class Function>
void each_sequence(const trace::Step& step, Function&& function) {
  if (step.parts.empty()) {
    const int sequences = std::max(1, step.sequences);
    if (step.tokens % sequences != 0) {
      refuse("request " + std::to_string(step.request) + " has a pass over " + std::to_string(step.tokens) +
             " tokens of " + std::to_string(sequences) +
             " sequences, and the recording does not say which are whose");
    }
    for (int i = 0; i < sequences; ++i) function(i, step.position, step.tokens / sequences);
    return;
  }
  int place = 0;
  for (const trace::SequencePart& part : step.parts) {
    function(part.number < 0 ? place : part.number, part.position, part.tokens);
    ++place;
  }
}

}  // namespace

CacheRoom cache_room(trace::StepSource& source) {
  std::int64_t sequences = 0, context = 0;
  trace::Step step;
  for (source.rewind(); source.next(step);) {
    if (step.phase == trace::Phase::encoder) refuse("the trace has encoder passes, which attend to no cache");
    each_sequence(step, [&](int number, int position, int tokens) {
      if (position < 0) refuse("request " + std::to_string(step.request) + " has a position below 0");
      sequences = std::max(sequences, std::int64_t{number} + 1);
      context = std::max(context, std::int64_t{position} + tokens);
    });
  }
  source.rewind();
  if (context > most_rows || sequences * context > most_rows) {
    refuse("a cache of " + std::to_string(sequences) + " sequences of " + std::to_string(context) +
           " tokens has more than 2^31 rows");
  }
  return {static_cast<std::int32_t>(sequences), static_cast<std::int32_t>(context)};
}

CachePlaces::CachePlaces(CacheRoom room)
    : room_(room), written_(static_cast<std::size_t>(room.sequences), 0) {}

void CachePlaces::place(const trace::Step& step) {
  if (step.first_of_request) std::fill(written_.begin(), written_.end(), 0);
  tokens_.clear();
  unwritten_.clear();
  each_sequence(step, [&](int number, int position, int tokens) {
    if (number >= room_.sequences || std::int64_t{position} + tokens > room_.context)
      throw std::logic_error("a pass that the cache has no room for");
    const std::int32_t first = number * room_.context;
    std::int32_t& written = written_[static_cast<std::size_t>(number)];
    if (written < position) unwritten_.push_back({first + written, position - written});
    written = position + tokens;
    for (int i = 0; i < tokens; ++i) tokens_.push_back({first + position + i, position + i, i + 1 == tokens});
  });
}

}  // namespace pregate::runtime
