// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "sim/schedule/schedule.hpp"

namespace pregate::sim {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr const char* format_name = "pregate-schedule";
constexpr int format_version = 1;

OrderedJson platform_json(const Platform& platform) {
  OrderedJson capacity = OrderedJson::object();
  OrderedJson order = OrderedJson::object();
  for (const Platform::Resource& resource : platform.resources)
    capacity[resource.name] = resource.capacity.value;
  for (const Platform::Stream& stream : platform.streams) order[stream.name] = to_string(stream.order);
  return {{"capacity_bytes_per_s", std::move(capacity)}, {"order", std::move(order)}};
}

OrderedJson operation_json(const Schedule& schedule, OpId id, const Timeline* timeline) {
  const Operation& operation = schedule.operation(id);
  OrderedJson json{
      {"id", id}, {"kind", to_string(operation.kind)}, {"stream", schedule.platform[operation.stream].name}};
  const auto unless = [&json](const char* key, std::int64_t value, std::int64_t absent) {
    if (value != absent) json[key] = value;
  };
  unless("priority", operation.priority, 0);
  unless("stack", operation.stack, 0);
  unless("layer", operation.layer, -1);
  unless("expert", operation.expert, -1);
  unless("slot", operation.slot, -1);
  unless("count", operation.count, 0);
  unless("step", operation.step, 0);
  unless("tokens", operation.tokens, 0);
  unless("fixed_ps", operation.fixed.count, 0);
  unless("bytes", operation.bytes.count, 0);
  if (operation.rate.value != 0) json["rate_bytes_per_s"] = operation.rate.value;
  const std::vector<Platform::Resource>& resources = schedule.platform.resources;
  for (std::size_t i = 0; i < resources.size(); ++i) {
    if ((operation.resources & bit(static_cast<ResourceId>(i))) != 0)
      json["resources"].push_back(resources[i].name);
  }
  if (!schedule.dependencies(id).empty()) json["after"] = schedule.dependencies(id);
  if (timeline != nullptr) {
    json["start_ps"] = timeline->start[static_cast<std::size_t>(id)].count;
    json["finish_ps"] = timeline->finish[static_cast<std::size_t>(id)].count;
  }
  return json;
}

}  // namespace

std::string to_json(const Schedule& schedule, const Timeline* timeline) {
  if (timeline != nullptr &&
      (timeline->start.size() != schedule.size() || timeline->finish.size() != schedule.size())) {
    throw std::invalid_argument("to_json: the timeline is not of this schedule");
  }
  std::string text = "{\"format\":\"" + std::string(format_name) +
                     "\",\"version\":" + std::to_string(format_version) +
                     ",\n\"platform\":" + platform_json(schedule.platform).dump() + ",\n\"operations\":[";
  for (std::size_t i = 0; i < schedule.size(); ++i) {
    text += i == 0 ? "\n" : ",\n";
    text += operation_json(schedule, static_cast<OpId>(i), timeline).dump();
  }
  text += "\n]}\n";
  return text;
}

}  // namespace pregate::sim
