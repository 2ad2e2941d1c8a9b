// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/decided_run.hpp"

#include <numeric>

#include "sim/run/drive.hpp"

namespace pregate::sim {

namespace {

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

/// Where a body of some machine computes something between its MoE layers: not all have a step overhead.
void find_computed(const std::array<const PricedLog*, lane_count>& priced, std::size_t number,
                   std::vector<LaneComputed>& computed) {
  computed.clear();
  const PricedLog* known = nullptr;
  for (const PricedLog* const of : priced) {
    if (of == known) continue;
    known = of;
    const PricedBody& prices = of->bodies[number];
    auto at = computed.begin();
    for (std::size_t i = prices.first_between; i < prices.last_between; ++i) {
      const std::size_t layer = of->between[i].layer;
      at = std::find_if(at, computed.end(), [&](const LaneComputed& each) { return each.layer >= layer; });
      if (at == computed.end() || at->layer != layer) at = computed.insert(at, {.layer = layer});
    }
  }
}

/// A body's prices of each machine.
void price_lanes(const PassLog& log, const std::array<const PricedLog*, lane_count>& priced,
                 std::size_t number, LaneBody& lanes) {
  const LoggedBody& body = log.bodies[number];
  lanes.loads.resize(body.loads);
  find_computed(priced, number, lanes.computed);
  for (std::size_t lane = 0; lane < lane_count; ++lane) {
    const PricedLog& of = *priced[lane];
    for (std::size_t i = 0; i < body.loads; ++i) {
      const LayerTimes& times = of.loads[body.first_load + i];
      LaneLoad& load = lanes.loads[i];
      CountedSums before = sums_of(times.attention_and_gate);
      before.readback = times.readback;
      load.before_experts[lane] = (times.attention_and_gate.whole() + times.readback).count;
      load.experts[lane] = times.experts.whole().count;
      load.before_sums.set(lane, before);
      load.experts_sums.set(lane, sums_of(times.experts));
    }
    std::size_t at = of.bodies[number].first_between;
    for (LaneComputed& computed : lanes.computed) {
      if (at == of.bodies[number].last_between || of.between[at].layer != computed.layer) continue;
      computed.whole[lane] = of.between[at].time.whole().count;
      computed.sums.set(lane, sums_of(of.between[at].time));
      ++at;
    }
  }
}

}  // namespace

void DecidedRun::find_segments() {
  if (!is_usable()) return;
  const auto count = static_cast<std::int64_t>(passes->body_of_pass.size());
  for (const RequestRecord& request : counted.request_records) {
    for (const Picoseconds at : {request.begin, request.first_token, request.end})
      if (at.count > 0) bounds.push_back(at.count);
  }
  bounds.push_back(count);
  std::sort(bounds.begin(), bounds.end());
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  copied.assign(bounds.size(), 0);
  std::vector<std::vector<Occurrence>> of_run(copies->runs.size());
  std::uint32_t segment = 0;
  for (std::int64_t pass = 0; pass < count; ++pass) {
    while (pass >= bounds[segment]) ++segment;
    if (copies->announces()) {
      std::vector<Occurrence>& of = of_run[copies->run_of_pass[static_cast<std::size_t>(pass)]];
      if (of.empty() || of.back().segment != segment) of.push_back({segment, 0});
      ++of.back().passes;
      continue;
    }
    const std::int64_t misses = copies->misses_of_pass[static_cast<std::size_t>(pass)];
    copied[segment] += misses;
    if (is_decode(passes->bodies[passes->body_of_pass[static_cast<std::size_t>(pass)]]))
      copied_in_decode += misses;
  }
  for (const LoggedMisses& misses : copies->misses) {
    const LoggedBody& body = passes->bodies[misses.body];
    if (records_blocks(body))
      block_layers.push_back({body.first_load + misses.load, misses.misses, misses.layers});
  }
  by_body.resize(copies->runs.size());
  std::iota(by_body.begin(), by_body.end(), 0U);
  std::stable_sort(by_body.begin(), by_body.end(), [&](std::uint32_t a, std::uint32_t b) {
    return copies->runs[a].body < copies->runs[b].body;
  });
  for (const std::vector<Occurrence>& of : of_run) {
    first_place.push_back(places.size());
    places.insert(places.end(), of.begin(), of.end());
  }
  first_place.push_back(places.size());
}

std::unique_ptr<PricedRun> DecidedRun::sum_up(PricedLog priced) const {
  auto run = std::make_unique<PricedRun>();
  std::vector<std::int64_t> whole(passes->bodies.size());
  for (std::size_t i = 0; i < passes->bodies.size(); ++i) {
    const PricedBody& body = priced.bodies[i];
    whole[i] = body.whole().count;
    add_times(run->all, body.sums, passes->bodies[i].passes);
    run->computing += body.computing * passes->bodies[i].passes;
    run->computed += body.computed * passes->bodies[i].passes;
    if (is_decode(passes->bodies[i])) run->decode += body.whole() * passes->bodies[i].passes;
  }
  // Once a pass of the trace: no look at more than must be.
  const std::int64_t* const of_body = whole.data();
  const std::uint32_t* const bodies = passes->body_of_pass.data();
  std::int64_t pass = 0;
  for (const std::int64_t end : bounds) {
    std::int64_t sum = 0;
    for (; pass < end; ++pass) sum += of_body[bodies[pass]];
    run->segments.push_back({sum});
  }
  run->log = std::move(priced);
  return run;
}

std::vector<SortedBlocks::Layers> DecidedRun::blocks(const PricedLog& priced) const {
  std::vector<SortedBlocks::Layers> all;
  all.reserve(block_layers.size());
  for (const BlockLayers& each : block_layers) {
    const LayerTimes& layer = priced.loads[each.load];
    all.push_back({each.misses, layer.attention_and_gate.whole() + layer.readback + layer.experts.whole(),
                   each.layers});
  }
  return all;
}

Histogram DecidedRun::add_blocks(const PricedLog& priced, Picoseconds copy) const {
  Histogram blocks;
  std::size_t load = ~std::size_t{0};
  Picoseconds without_copies;
  for (const BlockLayers& each : block_layers) {  // those of a load follow each other
    if (each.load != load) {
      load = each.load;
      const LayerTimes& layer = priced.loads[load];
      without_copies = layer.attention_and_gate.whole() + layer.readback + layer.experts.whole();
    }
    blocks.add(without_copies + copy * each.misses, each.layers);
  }
  return blocks;
}

/// Where nothing is announced each operation begins when the one before it ends.
PassTimes DecidedRun::on_demand(PricedRun& priced, Picoseconds copy) const {
  PassTimes times;
  for (std::size_t segment = 0; segment < bounds.size(); ++segment)
    times.segments.push_back(priced.segments[segment] + copy * copied[segment]);
  times.decode = priced.decode + copy * copied_in_decode;
  times.path = priced.all;
  times.path.experts = copies->experts_copied;
  times.exposed_transfer = copy * copies->experts_copied;
  if (priced.blocks.size() <= number) priced.blocks.resize(number + 1);
  PricedRun::Blocks& of = priced.blocks[number];
  // Sorting costs as much as some machines without it.
  constexpr int worth_sorting = 16;
  if (++of.machines == worth_sorting) of.sorted = std::make_unique<const SortedBlocks>(blocks(priced.log));
  times.blocks = of.sorted ? of.sorted->of(copy) : add_blocks(priced.log, copy);
  return times;
}

std::array<PassTimes, lane_count> DecidedRun::ahead(const std::array<const PricedLog*, lane_count>& priced,
                                                    const std::array<Picoseconds, lane_count>& copy) const {
  LaneValues copy_times{}, decode{};
  for (std::size_t lane = 0; lane < lane_count; ++lane) copy_times[lane] = copy[lane].count;
  PassLanes lanes(copy_times, copies->most_copied);
  LaneTotals totals;
  std::vector<LaneCell> segments(bounds.size());
  LaneBody of_body;
  constexpr std::uint32_t none = ~std::uint32_t{0};
  std::uint32_t at_body = none;
  for (const std::uint32_t i : by_body) {
    const LoggedCopies& run = copies->runs[i];
    const LoggedBody& body = passes->bodies[run.body];
    const LoggedShape& shape = passes->shapes[body.shape];
    const std::size_t layers = passes->moe_layers(shape.stack);
    if (run.body != at_body) {
      if (at_body != none) lanes.end_body(totals.path);
      price_lanes(*passes, priced, run.body, of_body);
      lanes.begin_body(of_body, std::span(passes->load_of_layer).subspan(body.first_layer, layers));
    }
    at_body = run.body;
    const bool decodes = is_decode(body);
    LaneValues each{};
    lanes.run({.copies = std::span(copies->copies).subspan(run.first_layer, layers),
               .experts = run.experts,
               .distance = static_cast<std::size_t>(copies->distance()),
               .records_blocks = records_blocks(body),
               .times = run.passes},
              each, totals);
    if (decodes) decode += each * run.passes;
    for (std::size_t at = first_place[i]; at < first_place[std::size_t{i} + 1]; ++at)
      segments[places[at].segment].value += each * places[at].passes;
  }
  if (at_body != none) lanes.end_body(totals.path);
  std::array<PassTimes, lane_count> times;
  for (std::size_t lane = 0; lane < lane_count; ++lane) {
    PassTimes& one = times[lane];
    for (const LaneCell& segment : segments) one.segments.push_back({segment.value[lane]});
    one.decode = {decode[lane]};
    one.exposed_transfer = {totals.exposed_transfer[lane]};
    one.path = totals.path.of(lane);
    one.blocks = totals.blocks.of(lane);
  }
  return times;
}

void DecidedRun::finish(const PricedRun& priced, const CopyTrain& copy, PassTimes times,
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

  CountedSums all = priced.all;
  all.experts = copies->experts_copied;
  const Topology& topology = result.topology;
  const Place& gpu = topology[topology.first(PlaceKind::gpu)];
  const MemoryId host = topology[topology.first(PlaceKind::cpu)].memory;
  Tally tally(topology);
  tally.busy[number_of(gpu.compute)] = priced.computing;
  tally.busy[number_of(topology.route(gpu.memory, host).front().stream)] = all.readback;
  tally.busy[number_of(topology.route(host, gpu.memory).front().stream)] = copy.duration * all.experts;
  tally.spent = spent_on(all, copy);
  tally.exposed_transfer = times.exposed_transfer;
  tally.exposed_host = all.readback;
  tally.operations = priced.computed + (copies->offloads() ? 4 : 3) * passes->layers_run +
                     copy.operations * copies->experts_copied;
  tally.fetches = copy.operations * copies->experts_copied;
  tally.fetched = copy.bytes * copies->experts_copied;
  tally.block_latency = std::move(times.blocks);
  result.path = {result.total, spent_on(times.path, copy), {}, tally.operations - 1};
  result.tally = std::move(tally);
}

}  // namespace pregate::sim
