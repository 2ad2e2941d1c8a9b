// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "models/error.hpp"
#include "sim/schedule/graph.hpp"
#include "sim/schedule/schedule.hpp"

namespace pregate::sim {
namespace {

using Json = nlohmann::ordered_json;  // names get their ids in the order of the file

constexpr const char* format_name = "pregate-schedule";
constexpr int format_version = 1;
constexpr std::int64_t max_time = INT64_MAX;
constexpr std::int64_t max_index = INT32_MAX;
constexpr std::int64_t max_step = std::int64_t{1} << 53;

/// Text of the user's file as part of a message: quoted, escaped, cut.
std::string excerpt(const Json& value) {
  constexpr std::size_t limit = 60;
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > limit) text.replace(limit, std::string::npos, "...");
  return text;
}

/// One object of the file, read key by key; every refusal names the key's path.
class ObjectReader {
 public:
  ObjectReader(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object.is_object()) throw InputError(path_, "must be an object, not " + excerpt(object));
  }

  void allow_only(std::span<const std::string> keys) const {
    for (const auto& [key, value] : object_.items()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
        throw InputError(path_, "unknown key " + excerpt(key), suggest(key.substr(0, 60), keys));
      }
    }
  }
  [[nodiscard]] bool has(const char* key) const { return object_.contains(key); }
  [[nodiscard]] std::string path(const std::string& key) const { return path_ + "." + key; }

  [[nodiscard]] const Json& required(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) throw InputError(path_, std::string("'") + key + "' is missing");
    return *found;
  }
  [[nodiscard]] std::int64_t integer(const char* key, std::int64_t low, std::int64_t high) const {
    return integer_of(required(key), path(key), low, high);
  }
  [[nodiscard]] std::int64_t integer_or(const char* key, std::int64_t absent, std::int64_t low,
                                        std::int64_t high) const {
    return has(key) ? integer(key, low, high) : absent;
  }
  [[nodiscard]] BytesPerSecond rate_or_zero(const char* key) const {
    if (!has(key)) return {};
    const Json& value = required(key);
    const double rate = value.is_number() ? value.get<double>() : std::nan("");
    if (rate == 0 || (rate >= min_rate.value && rate <= max_rate.value)) return {rate};
    throw InputError(path(key), "must be 0 or from 1 to 1e18 bytes/s, not " + excerpt(value));
  }
  /// The place of the name among `names`.
  [[nodiscard]] std::size_t name(const char* key, const std::vector<std::string>& names) const {
    return name_of(required(key), path(key), names);
  }

  static std::int64_t integer_of(const Json& value, const std::string& path, std::int64_t low,
                                 std::int64_t high) {
    const bool fits =
        value.is_number_unsigned() ? value.get<std::uint64_t>() <= INT64_MAX : value.is_number_integer();
    if (fits) {
      const auto number = value.get<std::int64_t>();
      if (number >= low && number <= high) return number;
    }
    throw InputError(path, "must be a whole number from " + std::to_string(low) + " to " +
                               std::to_string(high) + ", not " + excerpt(value));
  }
  static std::size_t name_of(const Json& value, const std::string& path,
                             const std::vector<std::string>& names) {
    const std::string text = value.is_string() ? value.get<std::string>() : std::string();
    const auto found = std::find(names.begin(), names.end(), text);
    if (value.is_string() && found != names.end()) return static_cast<std::size_t>(found - names.begin());
    throw InputError(path, excerpt(value) + " is not a known name", suggest(text.substr(0, 60), names));
  }

 private:
  const Json& object_;
  std::string path_;
};

/// The names of a machine of one GPU, which files need not list.
const std::vector<std::string>& usual_resources() {
  static const std::vector<std::string> names{"link_h2d", "link_d2h", "host_memory", "ssd"};
  return names;
}
const std::vector<std::string>& usual_streams() {
  static const std::vector<std::string> names{"compute", "h2d", "d2h", "host", "ssd", "cpu"};
  return names;
}

/// The names in the order of `json`; the usual ones if it has no others.
std::vector<std::string> names_in(const Json& json, const std::vector<std::string>& usual, std::size_t most,
                                  const std::string& path) {
  std::vector<std::string> names;
  bool only_usual = true;
  for (const auto& [name, value] : json.items()) {
    only_usual = only_usual && std::find(usual.begin(), usual.end(), name) != usual.end();
    if (names.size() == most) throw InputError(path, "has more than " + std::to_string(most) + " names");
    if (name.empty() || name.size() > 60 || name != printable(name))
      throw InputError(path, excerpt(name) + " is no name", "up to 60 characters, all of them printable");
    names.push_back(name);
  }
  return only_usual ? usual : names;
}

Platform read_platform(const Json& json, const std::string& where) {
  static const std::vector<std::string> keys{"capacity_bytes_per_s", "order"};
  static const std::vector<std::string> orders{to_string(StreamOrder::fifo),
                                               to_string(StreamOrder::priority)};
  Platform platform;
  const ObjectReader object(json, where + ": platform");
  object.allow_only(keys);

  const Json& capacities = object.required("capacity_bytes_per_s");
  const ObjectReader capacity(capacities, object.path("capacity_bytes_per_s"));
  for (const std::string& name :
       names_in(capacities, usual_resources(), most_resources, object.path("capacity_bytes_per_s")))
    platform.add_resource(name, capacity.rate_or_zero(name.c_str()));

  const Json& streams = object.required("order");
  const ObjectReader order(streams, object.path("order"));
  for (const std::string& name : names_in(streams, usual_streams(), most_streams, object.path("order"))) {
    const bool said = order.has(name.c_str());
    platform.add_stream(
        name, said ? static_cast<StreamOrder>(order.name(name.c_str(), orders)) : StreamOrder::fifo);
  }
  return platform;
}

std::vector<std::string> op_kind_names() {
  std::vector<std::string> names;
  names.reserve(op_kind_count);
  for (int i = 0; i < op_kind_count; ++i) names.emplace_back(to_string(static_cast<OpKind>(i)));
  return names;
}

/// Collects the operations while the file is parsed, so that its tree is never whole in memory.
class OperationReader {
 public:
  explicit OperationReader(std::string where) : where_(std::move(where)), kinds_(op_kind_names()) {}

  void set_platform(const Json& json) {
    platform_ = read_platform(json, where_);
    for (const Platform::Stream& stream : platform_->streams) streams_.push_back(stream.name);
    for (const Platform::Resource& resource : platform_->resources) resources_.push_back(resource.name);
  }
  [[nodiscard]] bool has_platform() const { return platform_.has_value(); }

  void read(const Json& json) {
    static const std::vector<std::string> keys{
        "id",        "kind",  "stream",   "priority", "stack",    "layer", "expert",
        "slot",      "count", "step",     "tokens",   "fixed_ps", "bytes", "rate_bytes_per_s",
        "resources", "after", "start_ps", "finish_ps"};
    const auto id = static_cast<OpId>(operations_.size());
    const ObjectReader object(json, path_of(id));
    object.allow_only(keys);
    if (object.integer("id", 0, max_index) != id) {
      throw InputError(object.path("id"), "is " + excerpt(json["id"]) + ", but must be " + std::to_string(id),
                       "operations are listed in issue order and numbered from 0");
    }
    Operation operation;
    operation.kind = static_cast<OpKind>(object.name("kind", kinds_));
    operation.stream = static_cast<StreamId>(object.name("stream", streams_));
    operation.priority = static_cast<std::uint8_t>(object.integer_or("priority", 0, 0, UINT8_MAX));
    operation.stack = static_cast<std::uint16_t>(object.integer_or("stack", 0, 0, UINT16_MAX));
    operation.layer = static_cast<std::int32_t>(object.integer_or("layer", -1, -1, max_index));
    operation.expert = static_cast<std::int32_t>(object.integer_or("expert", -1, -1, max_index));
    operation.slot = static_cast<std::int32_t>(object.integer_or("slot", -1, -1, max_index));
    operation.count = static_cast<std::int32_t>(object.integer_or("count", 0, 0, max_index));
    operation.step = object.integer_or("step", 0, 0, max_step);
    operation.tokens = static_cast<std::int32_t>(object.integer_or("tokens", 0, 0, max_index));
    operation.fixed = {object.integer_or("fixed_ps", 0, 0, max_fixed.count)};
    operation.bytes = {object.integer_or("bytes", 0, 0, max_operation_bytes.count)};
    operation.rate = object.rate_or_zero("rate_bytes_per_s");
    if (object.has("resources")) operation.resources = read_resources(object);
    if (const char* defect = defect_of(operation, *platform_)) throw InputError(path_of(id), defect);
    if (!is_priced(operation) && !object.has("finish_ps"))
      throw InputError(path_of(id), "bytes need a finite rate above zero, or times that were measured");
    if (object.has("after")) read_dependencies(object, id);
    read_times(object, id);
    operations_.push_back(operation);
  }

  /// Precondition: has_platform().
  Schedule finish(Timeline* timeline) {
    check_dependencies();
    Schedule schedule;
    schedule.platform = *platform_;
    std::vector<OpId> dependencies;
    std::size_t next = 0;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      dependencies.clear();
      for (; next < edges_.size() && edges_[next].second == static_cast<OpId>(i); ++next) {
        dependencies.push_back(edges_[next].first);
      }
      schedule.add(operations_[i], dependencies);
    }
    if (timeline != nullptr) *timeline = std::move(timeline_);
    return schedule;
  }

 private:
  [[nodiscard]] std::string path_of(OpId id) const {
    return where_ + ": operations[" + std::to_string(id) + "]";
  }

  [[nodiscard]] ResourceSet read_resources(const ObjectReader& object) const {
    ResourceSet set = 0;
    const Json& list = object.required("resources");
    if (!list.is_array()) throw InputError(object.path("resources"), "must be a list of names");
    for (const Json& item : list) {
      const auto resource =
          static_cast<ResourceId>(ObjectReader::name_of(item, object.path("resources"), resources_));
      if ((set & bit(resource)) != 0) {
        throw InputError(object.path("resources"), excerpt(item) + " is named twice");
      }
      set |= bit(resource);
    }
    return set;
  }

  void read_dependencies(const ObjectReader& object, OpId id) {
    const Json& list = object.required("after");
    if (!list.is_array()) throw InputError(object.path("after"), "must be a list of operation ids");
    for (const Json& item : list) {
      edges_.emplace_back(ObjectReader::integer_of(item, object.path("after"), 0, max_index), id);
    }
  }

  void read_times(const ObjectReader& object, OpId id) {
    const bool timed = object.has("start_ps") || object.has("finish_ps");
    if (id == 0) timed_ = timed;
    if (timed != timed_) {
      throw InputError(path_of(id),
                       timed ? "has times, but earlier operations have none"
                             : "has no times, but earlier operations have them",
                       "give start_ps and finish_ps to every operation or to none");
    }
    if (!timed) return;
    const std::int64_t start = object.integer("start_ps", 0, max_time);
    timeline_.start.push_back({start});
    timeline_.finish.push_back({object.integer("finish_ps", start, max_time)});
  }

  void check_dependencies() const {
    const auto count = static_cast<OpId>(operations_.size());
    const std::pair<OpId, OpId>* forward = nullptr;
    for (const auto& edge : edges_) {
      if (edge.first >= count) {
        throw InputError(path_of(edge.second) + ".after", "names operation " + std::to_string(edge.first) +
                                                              ", but there are only " +
                                                              std::to_string(count));
      }
      if (edge.first >= edge.second && forward == nullptr) forward = &edge;
    }
    if (forward == nullptr) return;
    std::string problem;
    if (const auto cycle = find_cycle(operations_.size(), edges_); !cycle.empty()) {
      problem = "is part of a cycle or precedes one: ";
      constexpr std::size_t shown = 8;
      for (std::size_t i = 0; i < std::min(cycle.size(), shown); ++i) {
        problem += std::to_string(cycle[i]) + " -> ";
      }
      problem += cycle.size() > shown ? "..." : std::to_string(cycle.front());
    } else {
      problem = "depends on operation " + std::to_string(forward->first) + ", which is issued later";
    }
    throw InputError(path_of(forward->second) + ".after", problem,
                     "an operation may depend only on operations listed before it");
  }

  std::string where_;
  std::optional<Platform> platform_;
  std::vector<std::string> kinds_, streams_, resources_;
  std::vector<Operation> operations_;
  std::vector<std::pair<OpId, OpId>> edges_;  ///< (dependency, operation), by operation
  Timeline timeline_;
  bool timed_ = false;
};

/// Parser callback: refuses repeated keys and deep nesting, hands each operation over and drops it.
class Events {
 public:
  Events(const std::string& where, OperationReader& operations) : where_(where), operations_(operations) {}

  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    constexpr int max_depth = 5;
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        if (depth >= max_depth) throw InputError(where_, "is nested too deeply to be a schedule");
        if (event == Json::parse_event_t::object_start) keys_.at(static_cast<std::size_t>(depth)).clear();
        return true;
      case Json::parse_event_t::key:
        if (depth == 1) begin_section(parsed.get<std::string>());
        check_key(parsed, keys_.at(static_cast<std::size_t>(depth) - 1));
        return true;
      case Json::parse_event_t::object_end:
        if (depth == 1 && section_ == "platform") operations_.set_platform(parsed);
        if (depth != 2 || section_ != "operations") return true;
        operations_.read(parsed);
        return false;
      default:
        return true;
    }
  }

 private:
  void begin_section(std::string name) {
    section_ = std::move(name);
    if (section_ == "operations" && !operations_.has_platform())
      throw InputError(where_, "'operations' come before 'platform', which names their streams",
                       "put 'platform' first, as `pregate simulate --schedule FILE` does");
  }
  void check_key(const Json& key, std::set<std::string>& keys) const {
    constexpr std::size_t most_keys = 256;  // of any object that means something
    if (!keys.insert(key.get<std::string>()).second)
      throw InputError(where_, "key " + excerpt(key) + " appears twice in one object");
    if (keys.size() > most_keys) throw InputError(where_, "an object has more than 256 keys");
  }

  const std::string& where_;
  OperationReader& operations_;
  std::string section_;                        ///< top-level key being read
  std::array<std::set<std::string>, 5> keys_;  ///< of the open object at each depth
};

Schedule read_schedule(const std::string& text, const std::string& where, Timeline* timeline) {
  static const std::vector<std::string> keys{"format", "version", "platform", "operations"};
  OperationReader operations(where);
  Events events(where, operations);
  const Json root = Json::parse(text, std::ref(events));
  const ObjectReader object(root, where);
  if (!object.has("format") || root["format"] != format_name) {
    throw InputError(where, "is not a schedule: 'format' must be \"pregate-schedule\"",
                     "write one with `pregate simulate --schedule FILE`");
  }
  object.allow_only(keys);
  if (object.integer("version", 0, max_index) != format_version) {
    throw InputError(where, "has version " + excerpt(root["version"]) + "; this program reads version 1");
  }
  const Json& rest = object.required("operations");
  if (!rest.is_array() || !rest.empty()) {
    throw InputError(object.path("operations"), "must be a list of operations");
  }
  if (!operations.has_platform()) operations.set_platform(object.required("platform"));  // and refuses it
  return operations.finish(timeline);
}

}  // namespace

Schedule parse_schedule_json(const std::string& text, const std::string& where, Timeline* timeline) {
  try {
    if (timeline != nullptr) *timeline = {};
    return read_schedule(text, where, timeline);
  } catch (const Json::exception& error) {
    std::string problem = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..." without the library's own tag
    if (const auto tag = problem.find("] "); tag != std::string::npos) problem.erase(0, tag + 2);
    constexpr std::size_t limit = 200;
    if (problem.size() > limit) problem.replace(limit, std::string::npos, "...");
    throw InputError(where, problem, "is the file whole, and a schedule written by pregate?");
  }
}

}  // namespace pregate::sim
