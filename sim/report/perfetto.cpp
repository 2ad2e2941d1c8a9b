// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/report/config_json.hpp"
#include "sim/report/report.hpp"

namespace pregate::sim {

namespace {

using Json = nlohmann::ordered_json;

constexpr int process = 1;

double microseconds(Picoseconds time) { return static_cast<double>(time.count) * 1e-6; }
/// Tracks: one a stream, then one a link.
int track(StreamId stream) { return static_cast<int>(stream) + 1; }

Json track_name(int thread, const std::string& name) {
  return {
      {"ph", "M"}, {"pid", process}, {"tid", thread}, {"name", "thread_name"}, {"args", {{"name", name}}}};
}

std::string label(const Operation& operation) {
  std::string text = to_string(operation.kind);
  if (operation.layer >= 0) text += " L" + std::to_string(operation.layer);
  if (operation.expert >= 0) text += " E" + std::to_string(operation.expert);
  return text;
}

Json slice(const Operation& operation, OpId id, int thread, Picoseconds start, Picoseconds finish) {
  Json arguments{{"operation", id}, {"step", operation.step}};
  if (operation.bytes.count > 0) {
    arguments["bytes"] = operation.bytes.count;
    arguments["slot"] = operation.slot;
  }
  if (operation.count > 0) arguments["experts"] = operation.count;
  return {{"ph", "X"},
          {"pid", process},
          {"tid", thread},
          {"ts", microseconds(start)},
          {"dur", microseconds(finish - start)},
          {"name", label(operation)},
          {"cat", to_string(operation.kind)},
          {"args", arguments}};
}

/// Experts that have been copied in and not been overwritten, and copies under way, as they change over time.
class Occupancy {
 public:
  void add(const Operation& operation, Picoseconds start, Picoseconds finish) {
    ++changes_[start.count].copies;
    --changes_[finish.count].copies;
    if (filled_slots_.insert(operation.slot).second) ++changes_[finish.count].slots;
  }
  void write(Json& events) const {
    std::int64_t slots = 0, copies = 0;
    for (const auto& [time, change] : changes_) {
      slots += change.slots;
      copies += change.copies;
      const double ts = microseconds(Picoseconds{time});
      events.push_back({{"ph", "C"},
                        {"pid", process},
                        {"ts", ts},
                        {"name", "expert slots filled"},
                        {"args", {{"slots", slots}}}});
      events.push_back({{"ph", "C"},
                        {"pid", process},
                        {"ts", ts},
                        {"name", "expert copies in flight"},
                        {"args", {{"copies", copies}}}});
    }
  }

 private:
  struct Change {
    std::int64_t slots = 0, copies = 0;
  };
  std::map<std::int64_t, Change> changes_;
  std::set<std::int32_t> filled_slots_;
};

/// An arrow from the end of each copy to the operation on another stream that waits for it.
void add_flows(Json& events, const Schedule& schedule, const Timeline& timeline, OpId id) {
  const Operation& waiting = schedule.operation(id);
  for (const OpId dependency : schedule.dependencies(id)) {
    const Operation& copy = schedule.operation(dependency);
    if (copy.bytes.count == 0 || copy.stream == waiting.stream || copy.step != waiting.step) continue;
    const std::int64_t flow = id * 4096 + dependency % 4096;
    const auto finish = timeline.finish[static_cast<std::size_t>(dependency)];
    const auto start = timeline.start[static_cast<std::size_t>(id)];
    // The arrow leaves inside the copy's slice: at its very end it would bind to what follows.
    const Picoseconds leaves = finish - Picoseconds{std::min<std::int64_t>(1000, finish.count)};
    events.push_back({{"ph", "s"},
                      {"pid", process},
                      {"tid", track(copy.stream)},
                      {"ts", microseconds(leaves)},
                      {"id", flow},
                      {"name", "copied"},
                      {"cat", "flow"}});
    events.push_back({{"ph", "f"},
                      {"bp", "e"},
                      {"pid", process},
                      {"tid", track(waiting.stream)},
                      {"ts", microseconds(start)},
                      {"id", flow},
                      {"name", "copied"},
                      {"cat", "flow"}});
  }
}

}  // namespace

std::string perfetto_json(const SimulationResult& result, const RunConfiguration& run) {
  const Schedule& schedule = result.schedule;
  const Timeline& timeline = result.timeline;
  Json events = Json::array();
  events.push_back({{"ph", "M"},
                    {"pid", process},
                    {"name", "process_name"},
                    {"args",
                     {{"name", "pregate " + result.policy.name + ": " + run.model.name + " on " +
                                   run.machine.name + " (" + to_string(result.evidence) + ")"}}}});
  const Platform& platform = schedule.platform;
  const int streams = static_cast<int>(platform.streams.size()),
            links = static_cast<int>(platform.resources.size());
  const int link_track = streams + 1;
  const std::optional<ResourceId> bus = platform.resource_named("host_memory");
  std::vector<bool> stream_used(platform.streams.size()), link_used(platform.resources.size());
  Occupancy occupancy;
  const auto operations = static_cast<OpId>(std::min(schedule.size(), timeline.finish.size()));
  for (OpId id = 0; id < operations; ++id) {
    const Operation& operation = schedule.operation(id);
    const Picoseconds start = timeline.start[static_cast<std::size_t>(id)];
    const Picoseconds finish = timeline.finish[static_cast<std::size_t>(id)];
    stream_used[number_of(operation.stream)] = true;
    events.push_back(slice(operation, id, track(operation.stream), start, finish));
    add_flows(events, schedule, timeline, id);
    if (operation.bytes.count == 0) continue;
    if (operation.slot >= 0) occupancy.add(operation, start, finish);
    for (int link = 0; link < links; ++link) {
      // Flows on the host-memory bus overlap, so only the links themselves get a track.
      const auto resource = static_cast<ResourceId>(link);
      if ((operation.resources & bit(resource)) == 0 || resource == bus) continue;
      link_used[static_cast<std::size_t>(link)] = true;
      // The fixed part is the machine description's: of a measured copy it is not known, and a small one can
      // be over sooner than a datasheet starts it.
      const Picoseconds flows =
          result.evidence == Evidence::measured ? start : std::min(start + operation.fixed, finish);
      events.push_back(slice(operation, id, link_track + link, flows, finish));
    }
  }
  occupancy.write(events);
  for (int i = 0; i < streams; ++i) {
    if (!stream_used[static_cast<std::size_t>(i)]) continue;
    events.push_back(track_name(i + 1, "stream " + platform.streams[static_cast<std::size_t>(i)].name));
  }
  for (int i = 0; i < links; ++i) {
    if (!link_used[static_cast<std::size_t>(i)]) continue;
    events.push_back(
        track_name(link_track + i, "link " + platform.resources[static_cast<std::size_t>(i)].name));
  }
  Json document;
  document["displayTimeUnit"] = "ms";
  document["otherData"] = {{"policy", result.policy.name},
                           {"model", run.model.name},
                           {"machine", run.machine.name},
                           {"trace_hash", run.trace.content_hash},
                           {"evidence", to_string(result.evidence)},
                           {"version", version()}};
  document["traceEvents"] = std::move(events);
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pregate::sim
