// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/many_machines.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "models/fields/describe.hpp"
#include "sim/cost/price.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/report/fields_json.hpp"
#include "sim/retime/pass_lanes.hpp"
#include "sim/run/copy_train.hpp"
#include "sim/run/drive.hpp"
#include "sim/serve/served_steps.hpp"

namespace pregate::sim {

namespace {

/// Sides of machines whose prices are kept.
constexpr std::size_t most_priced = 2 * lane_count;

/// What of a machine may differ without a price of what the GPU does being another: copies of experts and
/// how much memory there is. All else is taken to matter.
bool is_of_copies_alone(const std::string& key) {
  constexpr std::array keys{"gpu.memory", "host.memory_bandwidth"};
  return key.starts_with("link.h2d.") || std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// All that is described of the rest, in words.
std::string computing_side(const MachineSpec& machine) {
  std::string side = machine.name;
  for (const auto& entry : machine_fields().entries()) {
    if (is_of_copies_alone(entry.field.key)) continue;
    side += "\n" + json_of(entry.value(machine)).dump();
  }
  return side;
}

CauseSums spent_on(const CountedSums& sums, const CopyTrain& expert) {
  CauseSums spent;
  spent[Cause::gpu_memory] = sums.memory;
  spent[Cause::kernels] = sums.kernels;
  spent[Cause::launches] = sums.launches;
  spent[Cause::gate] = sums.readback;
  spent[Cause::link] = (expert.duration - expert.at_host_memory) * sums.experts;
  spent[Cause::copied_host_memory] = expert.at_host_memory * sums.experts;
  return spent;
}

CountedSums sums_of(const GpuTime& time) {
  CountedSums sums;
  sums.add(time);
  return sums;
}

void add_times(CountedSums& sums, const CountedSums& more, std::int64_t times) {
  sums.memory += more.memory * times;
  sums.kernels += more.kernels * times;
  sums.launches += more.launches * times;
  sums.readback += more.readback * times;
  sums.waiting += more.waiting * times;
  sums.experts += more.experts * times;
}

/// A body's prices of each machine.
void price_lanes(const DecisionLog& log, const std::array<const PricedLog*, lane_count>& priced,
                 std::size_t number, LaneBody& lanes) {
  const LoggedBody& body = log.bodies[number];
  lanes.loads.assign(body.loads, {});
  lanes.before.assign(log.moe_layers(log.shapes[body.shape].stack) + 1, {});
  for (std::size_t lane = 0; lane < lane_count; ++lane) {
    const PricedLog& of = *priced[lane];
    for (std::size_t i = 0; i < body.loads; ++i) {
      const LayerTimes& times = of.loads[body.first_load + i];
      LaneLoad& load = lanes.loads[i];
      load.before_experts[lane] = times.attention_and_gate.whole().count;
      load.readback[lane] = times.readback.count;
      load.experts[lane] = times.experts.whole().count;
      load.before_sums.set(lane, sums_of(times.attention_and_gate));
      load.experts_sums.set(lane, sums_of(times.experts));
    }
    const PricedBody& prices = of.bodies[number];
    for (std::size_t at = prices.first_between; at < prices.last_between; ++at) {
      LaneComputed& computed = lanes.before[of.between[at].layer];
      computed.any = true;
      computed.whole[lane] = of.between[at].time.whole().count;
      computed.sums.set(lane, sums_of(of.between[at].time));
    }
  }
}

/// How a run of passes was timed.
struct Times {
  std::vector<Picoseconds> segments;
  Picoseconds decode, exposed_transfer;
  CountedSums path;
  Histogram blocks;
};

}  // namespace

/// What the policy decided, and where the passes lie between which requests are timed.
struct ManyMachines::Decided {
  struct Occurrence {
    std::uint32_t segment = 0;
    std::int64_t passes = 0;
  };
  Plan plan;
  DecisionLog log;
  SimulationResult counted;  ///< all that is no time; times are numbers of passes
  /// Numbers of passes after which a request begins, has its first token or ends, ascending.
  std::vector<std::int64_t> bounds;
  std::vector<std::size_t> first_place;  ///< of each run, where layers announce, and one more: in `places`
  std::vector<Occurrence> places;
  std::vector<std::uint32_t> by_body;  ///< runs, those of a body after each other
  std::vector<std::int64_t> copied;    ///< by segment, where nothing is announced
  std::int64_t copied_in_decode = 0;   ///< likewise, of decode steps

  explicit Decided(const ModelSpec& model, const PreparedTrace& prepared, const Plan& of)
      : plan(of), log(model, prepared.map(), of) {}
  void find_segments();
  /// No request arrives at a time.
  [[nodiscard]] bool is_usable() const {
    return log.is_usable() &&
           std::none_of(counted.request_records.begin(), counted.request_records.end(),
                        [](const RequestRecord& request) { return request.arrival.count > 0; });
  }
  [[nodiscard]] bool is_decode(const LoggedBody& body) const {
    return log.shapes[body.shape].shape.phase == trace::Phase::decode;
  }
  [[nodiscard]] bool records_blocks(const LoggedBody& body) const {
    return is_decode(body) || plan.measures_all_phases;
  }
  [[nodiscard]] Times on_demand(const PricedLog& priced, Picoseconds copy) const;
  [[nodiscard]] std::array<Times, lane_count> ahead(const std::array<const PricedLog*, lane_count>& priced,
                                                    const std::array<Picoseconds, lane_count>& copy) const;
  void finish(const PricedLog& priced, const CopyTrain& copy, Times times, const SimulationOptions& options,
              SimulationResult& result) const;
};

struct ManyMachines::Timed {
  SimulationResult* result;
  const PricedLog* priced;
  CopyTrain copy;
};

void ManyMachines::Decided::find_segments() {
  if (!is_usable()) return;
  const auto passes = static_cast<std::int64_t>(log.body_of_pass.size());
  for (const RequestRecord& request : counted.request_records) {
    for (const Picoseconds at : {request.begin, request.first_token, request.end})
      if (at.count > 0) bounds.push_back(at.count);
  }
  bounds.push_back(passes);
  std::sort(bounds.begin(), bounds.end());
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  copied.assign(bounds.size(), 0);
  std::vector<std::vector<Occurrence>> of_run(log.runs.size());
  std::uint32_t segment = 0;
  for (std::int64_t pass = 0; pass < passes; ++pass) {
    while (pass >= bounds[segment]) ++segment;
    const std::uint32_t number = log.body_of_pass[static_cast<std::size_t>(pass)];
    if (log.announces()) {
      std::vector<Occurrence>& of = of_run[number];
      if (of.empty() || of.back().segment != segment) of.push_back({segment, 0});
      ++of.back().passes;
      continue;
    }
    const std::int64_t misses = log.misses_of_pass[static_cast<std::size_t>(pass)];
    copied[segment] += misses;
    if (is_decode(log.bodies[number])) copied_in_decode += misses;
  }
  by_body.resize(log.runs.size());
  std::iota(by_body.begin(), by_body.end(), 0U);
  std::stable_sort(by_body.begin(), by_body.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return log.runs[a].body < log.runs[b].body; });
  for (const std::vector<Occurrence>& of : of_run) {
    first_place.push_back(places.size());
    places.insert(places.end(), of.begin(), of.end());
  }
  first_place.push_back(places.size());
}

/// Where nothing is announced each operation begins when the one before it ends.
Times ManyMachines::Decided::on_demand(const PricedLog& priced, Picoseconds copy) const {
  Times times;
  times.segments.resize(bounds.size());
  for (std::size_t segment = 0; segment < bounds.size(); ++segment) {
    const std::int64_t begin = segment == 0 ? 0 : bounds[segment - 1];
    Picoseconds whole;
    for (std::int64_t pass = begin; pass < bounds[segment]; ++pass)
      whole += priced.bodies[log.body_of_pass[static_cast<std::size_t>(pass)]].whole();
    times.segments[segment] = whole + copy * copied[segment];
  }
  times.decode = copy * copied_in_decode;
  for (std::size_t i = 0; i < log.bodies.size(); ++i) {
    const LoggedBody& body = log.bodies[i];
    add_times(times.path, priced.bodies[i].sums, body.passes);
    if (is_decode(body)) times.decode += priced.bodies[i].whole() * body.passes;
    if (!records_blocks(body)) continue;
    for (std::size_t at = body.first_misses; at < body.last_misses; ++at) {
      const LoggedMisses& misses = log.misses[at];
      const LayerTimes& layer = priced.loads[body.first_load + misses.load];
      times.blocks.add(
          layer.attention_and_gate.whole() + layer.readback + layer.experts.whole() + copy * misses.misses,
          misses.layers);
    }
  }
  times.path.experts = log.experts_copied;
  times.exposed_transfer = copy * log.experts_copied;
  return times;
}

std::array<Times, lane_count> ManyMachines::Decided::ahead(
    const std::array<const PricedLog*, lane_count>& priced,
    const std::array<Picoseconds, lane_count>& copy) const {
  LaneValues copies{}, decode{};
  for (std::size_t lane = 0; lane < lane_count; ++lane) copies[lane] = copy[lane].count;
  PassLanes lanes(copies);
  LaneTotals totals;
  std::vector<LaneCell> segments(bounds.size());
  LaneBody of_body;
  std::uint32_t at_body = ~std::uint32_t{0};
  for (const std::uint32_t i : by_body) {
    const LoggedCopies& run = log.runs[i];
    const LoggedBody& body = log.bodies[run.body];
    const LoggedShape& shape = log.shapes[body.shape];
    const std::size_t layers = log.moe_layers(shape.stack);
    if (run.body != at_body) price_lanes(log, priced, run.body, of_body);
    at_body = run.body;
    const bool decodes = is_decode(body);
    const auto distance = static_cast<std::size_t>(log.distance());
    LaneValues each{};
    lanes.run({.body = of_body,
               .loads = std::span(log.load_of_layer).subspan(body.first_layer, layers),
               .copies = std::span(log.copies).subspan(run.first_layer, layers),
               .first_announced = decodes ? distance : layers,
               .distance = distance,
               .records_blocks = records_blocks(body),
               .times = run.passes},
              each, totals);
    if (decodes) decode += each * run.passes;
    for (std::size_t at = first_place[i]; at < first_place[std::size_t{i} + 1]; ++at)
      segments[places[at].segment].value += each * places[at].passes;
  }
  std::array<Times, lane_count> times;
  for (std::size_t lane = 0; lane < lane_count; ++lane) {
    Times& one = times[lane];
    for (const LaneCell& segment : segments) one.segments.push_back({segment.value[lane]});
    one.decode = {decode[lane]};
    one.exposed_transfer = {totals.exposed_transfer[lane]};
    one.path = totals.path.of(lane);
    one.blocks = totals.blocks.of(lane);
  }
  return times;
}

void ManyMachines::Decided::finish(const PricedLog& priced, const CopyTrain& copy, Times times,
                                   const SimulationOptions& options, SimulationResult& result) const {
  result.idle = {};
  result.steps = counted.steps;
  result.prompt_chunks = counted.prompt_chunks;
  result.output_tokens = counted.output_tokens;
  result.decode_steps = counted.decode_steps;
  result.decode_cache = counted.decode_cache;
  result.other_cache = counted.other_cache;
  result.notes.insert(result.notes.end(), counted.notes.begin(), counted.notes.end());
  std::vector<Picoseconds> ends;
  for (const Picoseconds segment : times.segments) ends.push_back(result.total += segment);
  result.decode = times.decode;
  result.before_decode = result.total - times.decode;
  std::vector<RequestRecord> records = counted.request_records;
  for (RequestRecord& request : records) {
    for (Picoseconds* at : {&request.begin, &request.first_token, &request.end}) {
      if (at->count <= 0) continue;
      const auto bound = std::lower_bound(bounds.begin(), bounds.end(), at->count);
      *at = ends[static_cast<std::size_t>(bound - bounds.begin())];
    }
  }
  RequestLog requests(std::move(records));
  note_requests(requests, options, result);

  CountedSums all;
  Picoseconds computing;
  std::int64_t computed = 0;
  for (std::size_t i = 0; i < log.bodies.size(); ++i) {
    add_times(all, priced.bodies[i].sums, log.bodies[i].passes);
    computing += priced.bodies[i].computing * log.bodies[i].passes;
    computed += priced.bodies[i].computed * log.bodies[i].passes;
  }
  all.experts = log.experts_copied;
  const Topology& topology = result.topology;
  const Place& gpu = topology[topology.first(PlaceKind::gpu)];
  const MemoryId host = topology[topology.first(PlaceKind::cpu)].memory;
  Tally tally(topology);
  tally.busy[number_of(gpu.compute)] = computing;
  tally.busy[number_of(topology.route(gpu.memory, host).front().stream)] = all.readback;
  tally.busy[number_of(topology.route(host, gpu.memory).front().stream)] = copy.duration * all.experts;
  tally.spent = spent_on(all, copy);
  tally.exposed_transfer = times.exposed_transfer;
  tally.exposed_host = all.readback;
  tally.operations = computed + (log.offloads() ? 4 : 3) * log.layers_run + copy.operations * all.experts;
  tally.fetches = copy.operations * all.experts;
  tally.fetched = copy.bytes * all.experts;
  tally.block_latency = std::move(times.blocks);
  result.path = {result.total, spent_on(times.path, copy), {}, tally.operations - 1};
  result.tally = std::move(tally);
}

ManyMachines::ManyMachines(const ModelSpec& model, const PolicySpec& policy, const PreparedTrace& prepared,
                           trace::StepSource& source, const SimulationOptions& options)
    : model_(model), policy_(policy), prepared_(prepared), source_(source), options_(options) {}

ManyMachines::~ManyMachines() = default;

bool ManyMachines::may_decide_alike() const {
  return !options_.serving.depends_on_time(source_.info()) && options_.engine != Engine::event &&
         options_.recorded_steps == 0;
}

bool ManyMachines::is_same_plan(const Plan& plan) const {
  const Plan& known = decided_->plan;
  return plan.resident == known.resident && plan.geometry.capacity == known.geometry.capacity &&
         plan.some_on_host == known.some_on_host && plan.cache_slots == known.cache_slots &&
         plan.measures_all_phases == known.measures_all_phases;
}

void ManyMachines::find_decisions(const Plan& plan, const MachineSpec& machine) {
  auto decided = std::make_unique<Decided>(model_, prepared_, plan);
  SimulationOptions options = options_;
  options.keeps_requests = true;
  const CostModel costs(model_, machine, policy_, options_.costs);
  const std::unique_ptr<Batcher> batcher = options_.serving.make(source_);
  drive_trace(model_, prepared_, plan, layer_class_of(costs), source_.info(), *batcher, options, decided->log,
              decided->counted);
  source_.rewind();
  decided->find_segments();
  decided_ = std::move(decided);
}

const PricedLog& ManyMachines::priced(const MachineSpec& machine, CostModel& costs) {
  const std::string side = computing_side(machine);
  const auto at =
      std::find_if(priced_.begin(), priced_.end(), [&](const auto& each) { return each.first == side; });
  if (at != priced_.end()) return *at->second;
  priced_.emplace_back(side,
                       std::make_unique<PricedLog>(price(decided_->log, model_, source_.info(), costs)));
  return *priced_.back().second;
}

void ManyMachines::time(std::vector<Timed>& machines) {
  const auto finish = [&](const Timed& machine, Times times) {
    decided_->finish(*machine.priced, machine.copy, std::move(times), options_, *machine.result);
    ++retimed_;
  };
  if (!decided_->log.announces()) {
    for (const Timed& machine : machines)
      finish(machine, decided_->on_demand(*machine.priced, machine.copy.duration));
    machines.clear();
    return;
  }
  for (std::size_t first = 0; first < machines.size(); first += lane_count) {
    const std::size_t count = std::min(lane_count, machines.size() - first);
    std::array<const PricedLog*, lane_count> priced{};
    std::array<Picoseconds, lane_count> copy{};
    for (std::size_t lane = 0; lane < lane_count; ++lane) {
      const Timed& machine = machines[first + std::min(lane, count - 1)];
      priced[lane] = machine.priced;
      copy[lane] = machine.copy.duration;
    }
    std::array<Times, lane_count> times = decided_->ahead(priced, copy);
    for (std::size_t lane = 0; lane < count; ++lane) finish(machines[first + lane], std::move(times[lane]));
  }
  machines.clear();
}

std::vector<SimulationResult> ManyMachines::run(std::span<const MachineSpec> machines) {
  std::vector<SimulationResult> results(machines.size());
  std::vector<Timed> timed;
  for (std::size_t i = 0; i < machines.size(); ++i) {
    const MachineSpec& machine = machines[i];
    SimulationResult& result = results[i];
    const bool worth_it = decided_ != nullptr || machines.size() > 1;
    if (!may_decide_alike() || !worth_it) {
      result = simulate(model_, machine, policy_, prepared_, source_, options_);
      continue;
    }
    const bool demand_first = policy_.transfer.queue == TransferQueue::demand_first;
    result.topology = topology_of(machine, demand_first ? StreamOrder::priority : StreamOrder::fifo);
    ServedSteps served(source_, options_.serving);
    const std::optional<Plan> plan =
        plan_run(model_, options_.memory.value_or(memory_limits(machine)), policy_, prepared_, served,
                 options_.counted, result, options_.prompt_chunk);
    if (!plan) continue;
    CostModel costs(model_, machine, policy_, options_.costs);
    const bool by_counts = is_timed_by_counts(*plan, prepared_, machine, costs, options_);
    if (by_counts && !decided_) find_decisions(*plan, machine);
    const bool alike = by_counts && decided_->is_usable() && is_same_plan(*plan);
    if (alike && priced_.size() >= most_priced) {
      time(timed);
      priced_.clear();
    }
    const PricedLog* const prices = alike ? &priced(machine, costs) : nullptr;
    if (prices == nullptr || (decided_->log.announces() && !prices->all_take_time)) {
      result = simulate(model_, machine, policy_, prepared_, source_, options_);
      continue;
    }
    timed.push_back({&result, prices, copies_of_expert(costs)});
  }
  if (!timed.empty()) time(timed);
  return results;
}

}  // namespace pregate::sim
