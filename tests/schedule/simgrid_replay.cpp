// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Replays exported schedules on SimGrid and compares its times with those in the files:
//   simgrid_replay FILE_OR_FOLDER...          exit 0: all agree, 1: some do not, 2: bad input
// Streams are actors, dependencies semaphores, fixed phases sleeps, flows communications between two hosts
// whose route crosses the links of the flow's resources. A priority stream is replayed in the order that the
// file's times give, so that its timing is compared and its choices are not.
#include <sys/wait.h>
#include <unistd.h>
#include <xbt/log.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <simgrid/s4u.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "models/error.hpp"
#include "sim/schedule/schedule.hpp"

namespace pregate::sim::test {
namespace {

namespace s4u = simgrid::s4u;

constexpr double tolerance = 1e-3;  ///< of the time since the start, or of `shortest` where that is longer
constexpr Picoseconds shortest{1'000'000};

struct Times {
  std::vector<double> start, finish;  ///< seconds
};

/// Every stream as the list of its operations in the order in which they run.
std::vector<std::vector<OpId>> streams_of(const Schedule& schedule, const Timeline& timeline) {
  std::vector<std::vector<OpId>> streams(schedule.platform.streams.size());
  for (OpId id = 0; id < static_cast<OpId>(schedule.size()); ++id) {
    streams.at(static_cast<std::size_t>(schedule.operation(id).stream)).push_back(id);
  }
  for (std::size_t s = 0; s < streams.size(); ++s) {
    if (schedule.platform.streams[s].order == StreamOrder::fifo) continue;
    std::sort(streams.at(s).begin(), streams.at(s).end(), [&timeline](OpId a, OpId b) {
      const auto i = static_cast<std::size_t>(a);
      const auto j = static_cast<std::size_t>(b);
      return std::tuple(timeline.start[i], timeline.finish[i], a) <
             std::tuple(timeline.start[j], timeline.finish[j], b);
    });
  }
  return streams;
}

class Replay {
 public:
  Replay(s4u::Engine& engine, const Schedule& schedule, const Timeline& timeline)
      : engine_(engine),
        schedule_(schedule),
        semaphores_(schedule.platform.streams.size()),
        done_(schedule.size()),
        waiters_(schedule.size()),
        times_{std::vector<double>(schedule.size()), std::vector<double>(schedule.size())} {
    build_platform();
    build_receivers();
    const auto streams = streams_of(schedule, timeline);
    for (std::size_t s = 0; s < streams.size(); ++s) {
      semaphores_.at(s) = s4u::Semaphore::create(0);
      s4u::Actor::create(schedule.platform.streams[s].name, home_,
                         [this, s, ids = streams.at(s)] { run_stream(s, ids); });
    }
  }

  Times run() {
    engine_.run();
    return times_;
  }

 private:
  /// The resources of an operation that have a capacity; others are no links.
  [[nodiscard]] ResourceSet links_of(const Operation& operation) const {
    ResourceSet set = 0;
    for (std::size_t r = 0; r < schedule_.platform.resources.size(); ++r) {
      const bool limited = schedule_.platform.resources[r].capacity.value > 0;
      if (limited) set |= operation.resources & bit(static_cast<ResourceId>(r));
    }
    return set;
  }

  void build_platform() {
    s4u::NetZone* zone = s4u::create_full_zone("machine");
    home_ = zone->create_host("home", 1e9);
    std::vector<s4u::Link*> links(schedule_.platform.resources.size());
    for (std::size_t r = 0; r < schedule_.platform.resources.size(); ++r) {
      const double capacity = schedule_.platform.resources[r].capacity.value;
      if (capacity > 0) {
        links.at(r) = zone->create_link(std::string("link_") + schedule_.platform.resources[r].name, capacity)
                          ->set_latency(0)
                          ->seal();
      }
    }
    for (OpId id = 0; id < static_cast<OpId>(schedule_.size()); ++id) {
      const ResourceSet set = links_of(schedule_.operation(id));
      if (set == 0 || routes_.contains(set)) continue;
      const std::string name = std::to_string(set);
      auto* from = zone->create_host("from_" + name, 1e9);
      auto* to = zone->create_host("to_" + name, 1e9);
      std::vector<s4u::LinkInRoute> route;
      for (std::size_t r = 0; r < schedule_.platform.resources.size(); ++r) {
        if (((set >> r) & 1U) != 0) route.emplace_back(links.at(r));
      }
      zone->add_route(from->get_netpoint(), to->get_netpoint(), nullptr, nullptr, route, false);
      routes_[set] = {from, to};
    }
    zone->seal();
  }

  static std::string mailbox_of(std::size_t stream, ResourceSet set) {
    return std::to_string(stream) + "/" + std::to_string(set);
  }

  /// One actor a stream and route that takes whatever is sent, for ever.
  void build_receivers() {
    for (const auto& [set, hosts] : routes_) {
      for (std::size_t stream = 0; stream < schedule_.platform.streams.size(); ++stream) {
        s4u::Mailbox* mailbox = s4u::Mailbox::by_name(mailbox_of(stream, set));
        s4u::Actor::create("receiver", hosts.second, [mailbox] {
          while (true) mailbox->get<int>();
        })->daemonize();
      }
    }
  }

  void run_stream(std::size_t stream, const std::vector<OpId>& ids) {
    for (const OpId id : ids) {
      for (const OpId dependency : schedule_.dependencies(id)) {
        const auto d = static_cast<std::size_t>(dependency);
        if (done_[d]) continue;
        waiters_[d].push_back(stream);
        semaphores_.at(stream)->acquire();
      }
      const auto i = static_cast<std::size_t>(id);
      times_.start[i] = s4u::Engine::get_clock();
      carry_out(stream, schedule_.operation(id));
      times_.finish[i] = s4u::Engine::get_clock();
      done_[i] = true;
      for (const std::size_t waiter : waiters_[i]) semaphores_.at(waiter)->release();
    }
  }

  void carry_out(std::size_t stream, const Operation& operation) const {
    if (operation.fixed.count > 0) s4u::this_actor::sleep_for(operation.fixed.seconds());
    if (operation.bytes.count == 0) return;
    const ResourceSet set = links_of(operation);
    if (set == 0) {
      s4u::this_actor::sleep_for(static_cast<double>(operation.bytes.count) / operation.rate.value);
      return;
    }
    s4u::Host* from = routes_.at(set).first;
    // Communications between hosts (sendto) ignore their rate in 3.32; those through mailboxes keep it.
    s4u::this_actor::set_host(from);
    int message = 0;
    s4u::Mailbox::by_name(mailbox_of(stream, set))
        ->put_init(&message, static_cast<std::uint64_t>(operation.bytes.count))
        ->set_rate(operation.rate.value)
        ->wait();
  }

  s4u::Engine& engine_;
  const Schedule& schedule_;
  s4u::Host* home_ = nullptr;
  std::map<ResourceSet, std::pair<s4u::Host*, s4u::Host*>> routes_;  ///< by set of resources
  std::vector<s4u::SemaphorePtr> semaphores_;
  std::vector<bool> done_;
  std::vector<std::vector<std::size_t>> waiters_;  ///< streams that wait for an operation
  Times times_;
};

/// SimGrid without its TCP: CM02 with neutral factors, no window, no share by round-trip time, no cross
/// traffic.
void configure() {
  for (const char* setting : {"network/model:CM02", "network/latency-factor:1", "network/bandwidth-factor:1",
                              "network/weight-S:0", "network/TCP-gamma:0", "network/crosstraffic:0"}) {
    s4u::Engine::set_config(setting);
  }
  // Events closer than this are one to SimGrid. The names changed after 3.32.
  for (const auto& [old_name, new_name, value] :
       {std::tuple("surf/precision", "precision/timing", 1e-13),
        std::tuple("maxmin/precision", "precision/work-amount", 1e-9)}) {
    try {
      s4u::Engine::set_config(old_name, value);
    } catch (const std::out_of_range&) {
      s4u::Engine::set_config(new_name, value);
    }
  }
}

bool compare(const std::string& path, char* program) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || !text) throw InputError(path, "cannot be read");
  Timeline timeline;
  const Schedule schedule = parse_schedule_json(text.str(), path, &timeline);
  if (timeline.finish.size() != schedule.size()) {
    throw InputError(path, "has no times to compare", "export the schedule of a simulation that was run");
  }

  for (OpId id = 0; id < static_cast<OpId>(schedule.size()); ++id) {
    if (!is_priced(schedule.operation(id)))
      throw InputError(path, "was measured: it has no rates to replay",
                       "export the schedule of a simulation");
  }
  xbt_log_control_set("root.threshold:warning");
  // Actors as threads: sanitizers do not follow SimGrid's own stack switching.
  std::string contexts = "--cfg=contexts/factory:thread";
  int argc = 2;
  std::array<char*, 3> argv{program, contexts.data(), nullptr};
  s4u::Engine engine(&argc, argv.data());
  configure();
  const Times simgrid = Replay(engine, schedule, timeline).run();

  double worst = 0;
  double worst_ps = 0;
  OpId worst_id = no_op;
  const auto compare_time = [&](std::size_t i, double theirs_s, Picoseconds ours) {
    const double off_ps = std::abs(theirs_s * 1e12 - static_cast<double>(ours.count));
    const double relative = off_ps / static_cast<double>(std::max(shortest, ours).count);
    worst_ps = std::max(worst_ps, off_ps);
    if (!(relative <= worst)) {  // also when it is not a number
      worst = relative;
      worst_id = static_cast<OpId>(i);
    }
  };
  for (std::size_t i = 0; i < schedule.size(); ++i) {
    compare_time(i, simgrid.start[i], timeline.start[i]);
    compare_time(i, simgrid.finish[i], timeline.finish[i]);
  }
  const bool agrees = worst <= tolerance;
  std::printf("%s %s: %zu operations, worst deviation %.2g %% (operation %lld), %.3g ns\n",
              agrees ? "agrees" : "DISAGREES", path.c_str(), schedule.size(), worst * 100,
              static_cast<long long>(worst_id), worst_ps * 1e-3);
  return agrees;
}

/// SimGrid has one engine a process: every file gets its own.
int compare_in_child(const std::string& path, char* program) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    int result = 2;
    try {
      result = compare(path, program) ? 0 : 1;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "error: %s\n", error.what());
    }
    std::fflush(stdout);
    _exit(result);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
    std::fprintf(stderr, "error: %s: the replay did not finish\n", path.c_str());
    return 2;
  }
  return WEXITSTATUS(status);
}

std::vector<std::string> files_of(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path.string()};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) throw InputError(path.string(), "holds no .json file");
  return files;
}

}  // namespace
}  // namespace pregate::sim::test

int main(int argc, char** argv) {
  using namespace pregate::sim::test;
  if (argc < 2) {
    std::fprintf(stderr, "usage: simgrid_replay FILE_OR_FOLDER...\n");
    return 2;
  }
  int worst = 0;
  try {
    for (int i = 1; i < argc; ++i) {
      for (const std::string& path : files_of(argv[i]))
        worst = std::max(worst, compare_in_child(path, argv[0]));
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
  return worst;
}
