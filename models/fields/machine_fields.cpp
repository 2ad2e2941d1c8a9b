// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/fields/choices.hpp"
#include "models/fields/describe.hpp"
#include "models/fields/layer_launch_fields.hpp"
#include "models/fields/machine_tables.hpp"
#include "models/fields/ranges.hpp"

namespace pregate {
namespace {

Field& add_rate(Fields<GpuSpec>& fields, const std::string& precision) {
  Field field;
  field.key = "rates." + precision;
  field.shown = "rates.<precision>";
  field.json = "rates_flop_per_s." + precision;
  field.help = "dense rate by precision, without sparsity; fp32 is needed, as every other falls back to it";
  field.quantity = Quantity::flop_rate;
  field.range = any_flop_rate();
  return fields.add_entry({std::move(field),
                           [precision](const GpuSpec& gpu) {
                             const auto rate = gpu.rates.find(precision);
                             return rate == gpu.rates.end() ? Node{} : value_of(rate->second);
                           },
                           [precision](GpuSpec& gpu, TableReader& table, const Field& its) {
                             read_value(table, its, gpu.rates[precision]);
                           }});
}

Fields<GpuSpec> gpu() {
  Fields<GpuSpec> fields;
  fields.add("name", &GpuSpec::name, "the vendor's").needed();
  fields.add("architecture", &GpuSpec::architecture, "whose efficiencies and software it shares");
  fields.add("memory", &GpuSpec::memory, "as sold", some_memory()).needed();
  fields
      .add("reserved", &GpuSpec::reserved, "context, driver and framework: memory - reserved is usable",
           Range{0, 1e16, "at most 10 PB"})
      .needed();
  fields.add("memory_bandwidth", &GpuSpec::memory_bandwidth, "nominal", any_rate()).needed();
  fields.add("memory_kind", &GpuSpec::memory_kind, "what its memory is made of");
  fields.add("memory_efficiency", &GpuSpec::memory_efficiency,
             "share of memory_bandwidth that kernels reading weights reach", part_of_one());
  fields
      .add("unpacked_per_cycle", &GpuSpec::unpacked_per_cycle,
           "packed weights that a multiprocessor multiplies in a cycle, in "
           "passes of up to 8 tokens",
           few_a_cycle())
      .or_zero("the memory alone decides");
  fields
      .add("tile_flop", &GpuSpec::tile_flop,
           "FLOP a cycle that a multiprocessor reaches in tiles of packed weights, in passes of more than 8 "
           "tokens",
           flop_a_cycle())
      .or_zero("the rate of the precision decides");
  fields.add("tile_tokens", &GpuSpec::tile_tokens, "tokens of the widest tile, which is computed whole",
             some_tokens_wide());
  fields
      .add("tile_scales", &GpuSpec::tile_scales,
           "share of a tile's time that scales take where every 32 weights have one; twice where every 16 "
           "have",
           any_share())
      .or_zero("none");
  fields
      .add("tile_fp4", &GpuSpec::tile_fp4,
           "times as fast as others are tiles of mxfp4 and nvfp4 where rates has fp4", some_times())
      .or_zero("as others");
  fields
      .add("tile_watts", &GpuSpec::tile_watts,
           "W of power for each multiprocessor and GHz, below which tiles run at a lower clock", some_watts())
      .or_zero("never");
  fields
      .add("row_weights", &GpuSpec::row_weights,
           "least weights that a row of a matrix-vector product counts for", some_weights())
      .or_zero("as many as it has");
  fields
      .add("activation_bytes", &GpuSpec::activation_bytes,
           "bytes of a number between products in tiles, which are written to memory and read from it",
           bytes_of_a_number())
      .or_zero("they stay on the chip");
  fields
      .add("recurrence_cycles", &GpuSpec::recurrence_cycles,
           "cycles a token of a kernel that goes through a prompt token by token (gated delta nets)",
           cycles_a_token())
      .or_zero("its arithmetic decides");
  std::vector<std::string> precisions = precision_names();
  std::sort(precisions.begin(), precisions.end());  // the order of results
  for (const std::string& precision : precisions) {
    Field& rate = add_rate(fields, precision);
    if (precision == "fp32") rate.needed();
  }
  fields.add("compute_efficiency", &GpuSpec::compute_efficiency, "share of the rate that GEMMs reach",
             part_of_one());
  fields
      .add("device_copy_bandwidth", &GpuSpec::device_copy_bandwidth,
           "bytes copied a second within its memory", any_rate())
      .needed();
  fields.add("sm_count", &GpuSpec::sm_count, "multiprocessors", Range{1, 100'000, "from 1 to 100000"})
      .needed();
  fields
      .add("clock_ghz", &GpuSpec::clock_ghz, "boost clock of the multiprocessors", Range{0, 10, "at most 10"})
      .or_zero("not said: what a software says by cycles is not applied");
  fields.add("power", &GpuSpec::power, "W that the board may take", some_watts())
      .or_zero("not said: its clock holds");
  const auto tiles = [](const char* other) {
    return Condition{other, {"128"}, std::string(other) + " above 0"};
  };
  const Range tile{0, 65'536, "from 0 to 65536"};
  fields
      .add("grouped_gemm_tile_rows", &GpuSpec::grouped_gemm_tile_rows,
           "rows of a tile of the expert GEMM, which is then priced by whole tiles; 0: it is not", tile)
      .only_with(tiles("grouped_gemm_tile_columns"));
  fields.add("grouped_gemm_tile_columns", &GpuSpec::grouped_gemm_tile_columns, "columns of a tile", tile)
      .only_with(tiles("grouped_gemm_tile_rows"));
  fields
      .add("grouped_gemm_efficiency", &GpuSpec::grouped_gemm_efficiency,
           "share of a multiprocessor's rate that is reached within a tile", part_of_one())
      .only_with(tiles("grouped_gemm_tile_rows"));
  fields
      .add("host_memory_traffic", &GpuSpec::host_memory_traffic,
           "what running kernels take of host.memory_bandwidth", any_rate())
      .or_zero("the GPU has memory of its own");
  fields.add("others", &GpuSpec::others,
             "GPUs of other kinds beside this one, by machines that have them: rtx3090-pcie4,rtx3090-pcie4");
  fields.add("count", &GpuSpec::count, "GPUs alike in each host, each behind links of its own",
             Range{1, most_gpus_a_host, "from 1 to 8"});
  return fields;
}

/// `without`: what it means that there is none.
Fields<PathSpec> path(const char* without) {
  Fields<PathSpec> fields;
  fields.add("bandwidth", &PathSpec::bandwidth, "as reached, each direction", any_rate()).or_zero(without);
  fields.add("latency", &PathSpec::latency, "before the first byte moves", any_cost());
  fields.add("per_copy", &PathSpec::per_copy, "fixed cost of a copy", any_cost());
  return fields;
}

Fields<NearDataSpec> near_data() {
  using Device = NearDataSpec;
  Fields<Device> fields;
  fields.add("name", &Device::name, "the vendor's");
  fields.add("memory", &Device::memory, "of the device", some_memory()).or_zero("there is no such device");
  fields.add("memory_bandwidth", &Device::memory_bandwidth, "that its units reach", any_rate())
      .or_zero("as host.memory_bandwidth");
  fields.add("rate", &Device::rate, "of its units, in the experts' precision", any_flop_rate())
      .or_zero("as host.rate");
  fields.add("fixed", &Device::fixed, "starting it, a layer", any_cost());
  fields.add_table("link", &Device::link, path("as link.h2d"));
  return fields;
}

Fields<NetworkSpec> network() {
  Fields<NetworkSpec> fields;
  fields.add("hosts", &NetworkSpec::hosts, "like this one, with their GPUs",
             Range{1, most_hosts, "from 1 to 32"});
  fields.add("bandwidth", &NetworkSpec::bandwidth, "between two hosts, each direction", any_rate())
      .or_zero("there is one host")
      .needed_with({"hosts", several(most_hosts), "several hosts"});
  fields.add("latency", &NetworkSpec::latency, "before the first byte moves", any_cost());
  fields.add("per_copy", &NetworkSpec::per_copy, "fixed cost of a copy", any_cost());
  return fields;
}

Fields<LinkSpec> link() {
  Fields<LinkSpec> fields;
  fields
      .add("bandwidth", &LinkSpec::bandwidth, "of large page-locked copies, as reached and not nominal",
           any_rate())
      .needed();
  fields.add("latency", &LinkSpec::latency, "before the first byte moves", any_cost()).needed();
  fields.add("per_copy", &LinkSpec::per_copy, "fixed cost of a copy: driver and set-up", any_cost()).needed();
  fields.add("pageable_bandwidth", &LinkSpec::pageable_bandwidth, "from pageable host memory", any_rate())
      .needed();
  add_copy_table(fields);
  return fields;
}

Fields<OverheadSpec> overhead() {
  Fields<OverheadSpec> fields;
  const auto cost = [&](const char* key, Picoseconds OverheadSpec::*member, const char* help) {
    fields.add(key, member, help, any_cost()).needed();
  };
  cost("step", &OverheadSpec::step, "each forward pass: sampling, tokeniser, framework");
  cost("dense_layer", &OverheadSpec::dense_layer, "launches of a layer without experts");
  cost("attention", &OverheadSpec::attention, "launches of attention and norms in a MoE layer");
  cost("gate", &OverheadSpec::gate, "launches of the router's kernels");
  cost("gate_readback", &OverheadSpec::gate_readback, "blocking copy of the chosen ids to the host");
  cost("experts", &OverheadSpec::experts, "launches of permute, expert GEMMs and combine; each wave pays it");
  cost("device_copy", &OverheadSpec::device_copy, "each device-to-device copy");
  fields
      .add_where_set("expert", &OverheadSpec::expert,
                     "launches on top for each expert of a wave, of software that takes them in turn",
                     any_cost())
      .or_zero("nothing");
  fields.add("request", &OverheadSpec::request,
             "first pass of a request where experts can be missing: making their buffers and cache",
             any_cost());
  fields.add("lookup", &OverheadSpec::lookup,
             "host: finding an activated expert in the cache, and noting it, where some can be missing",
             any_cost());
  fields.add(
      "replayed", &OverheadSpec::replayed,
      "share of the launches of layers that is left where every expert is resident and a pass is one graph",
      part_of_one());
  fields.add_where_set("kernel_library", &OverheadSpec::kernel_library, "whose kernels the GPU runs");
  fields
      .add_where_set("single_launch", &OverheadSpec::single_launch,
                     "with a kernel library: a kernel launched one by one, beyond its time in a graph",
                     any_cost())
      .or_zero("nothing");
  fields.add_where_set("prompt_share", &OverheadSpec::prompt_share,
                       "with a kernel library: share of its kernels' rates that passes of prompts reach",
                       part_of_one());
  fields
      .add_where_set("prompt_layer", &OverheadSpec::prompt_layer,
                     "host: launching a layer of a pass with prompts, where passes without are replayed; a "
                     "layer takes that at the least",
                     any_cost())
      .or_zero("nothing");
  fields.add_where_set("launches_ahead", &OverheadSpec::launches_ahead,
                       "host: tokens of a pass are handed out when the next pass has been launched");
  fields.add_where_set("copy_calls", &OverheadSpec::copy_calls,
                       "calls that copy an expert to the GPU, each with latency and per_copy of link.h2d; 0: "
                       "one kernel gathers those of a layer",
                       some_calls());
  fields.add_table("layers", &OverheadSpec::layers, layer_launch_fields<Picoseconds>(any_cost()));
  return fields;
}

Fields<MachineSpec> machine() {
  Fields<MachineSpec> fields;
  fields.add("description", &MachineSpec::description, "a line");
  fields.add("source", &MachineSpec::source, "where its numbers come from, as a whole");
  fields.add("calibration", &MachineSpec::calibration, "what stands behind its numbers")
      .one_of({{"datasheet", "nothing was measured", ""},
               {"fitted", "constants were fitted to published rows", ""},
               {"measured", "it was measured", ""}});
  fields
      .add("calibration_source", &MachineSpec::calibration_source,
           "the rows or the run that its constants come from")
      .needed_with({"calibration", {"fitted", "measured"}, ""});
  fields.add_table("gpu", &MachineSpec::gpu, gpu());
  const Fields<LinkSpec> direction = link();
  fields.add_table("link.h2d", &MachineSpec::h2d, direction);
  fields.add_table("link.d2h", &MachineSpec::d2h, direction);
  fields.add_table("link.peer", &MachineSpec::peer, path("copies between GPUs go through the host"));
  fields.add_table("host", &MachineSpec::host, host_fields());
  fields.add_table("ssd", &MachineSpec::ssd, ssd_fields());
  fields.add_table("near_data", &MachineSpec::near_data, near_data());
  fields.add_table("network", &MachineSpec::network, network());
  fields.add_table("overhead", &MachineSpec::overhead, overhead());
  fields.add_table("memory", &MachineSpec::memory, software_memory_fields());
  fields.add("measured_device", &MachineSpec::measured_device, "name of the device that was measured");
  fields.add("measured_spread", &MachineSpec::measured_spread,
             "how much repeats differed, relative; 0: not measured", Range{0, 1000, "from 0 to 1000"});
  add_machine_tables(fields);
  return fields;
}

}  // namespace

const Fields<MachineSpec>& machine_fields() {
  static const Fields<MachineSpec> fields = machine();
  return fields;
}

}  // namespace pregate
