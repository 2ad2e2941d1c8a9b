// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/fields/choices.hpp"
#include "models/fields/describe.hpp"
#include "models/fields/layer_launch_fields.hpp"
#include "models/fields/ranges.hpp"

namespace pregate {
namespace {

using Launch = SoftwareSpec::Launch;
using Kernels = SoftwareSpec::Kernels;
using HostWork = SoftwareSpec::Host;
using Efficiency = SoftwareSpec::Efficiency;

Fields<Launch> launch_fields() {
  Fields<Launch> fields;
  fields.add("eager", &Launch::eager, "a kernel that does nothing, launched one by one", any_cost()).needed();
  fields.add("graph", &Launch::graph, "the same in a replayed graph", any_cost())
      .or_zero("it uses no graphs");
  fields.add("graphs_from", &Launch::graphs_from, "oldest architecture on which it uses graphs");
  fields
      .add("cycles", &Launch::cycles,
           "cycles of the GPU that a kernel takes beyond its reading: the "
           "least of a launch, and all of one in "
           "a graph, where gpu.clock_ghz is said",
           Range{0, 1e6, "from 0 to 1000000"})
      .or_zero("eager and graph hold everywhere");
  fields
      .add("hbm_cycles", &Launch::hbm_cycles, "the same on a GPU whose memory is HBM",
           Range{0, 1e6, "from 0 to 1000000"})
      .or_zero("as launch.cycles");
  return fields;
}

Fields<Kernels> kernel_fields() {
  Fields<Kernels> fields;
  const auto add = [&](const char* key, int Kernels::*count, const char* help) {
    fields.add(key, count, help, Range{0, 10'000, "from 0 to 10000"}).needed();
  };
  add("attention", &Kernels::attention, "of norms and attention, in a layer with experts");
  add("dense_layer", &Kernels::dense_layer, "of a whole layer without");
  add("gate", &Kernels::gate, "of the router");
  add("experts", &Kernels::experts, "permute, products, combine, residual; each wave has them");
  fields
      .add_where_set("expert", &Kernels::expert, "on top for each expert of a wave",
                     Range{0, 10'000, "from 0 to 10000"})
      .or_zero("one kernel takes all");
  add("device_copy", &Kernels::device_copy, "of a copy within the GPU");
  fields.add_where_set(
      "origin", &Kernels::origin,
      "whose kernels they are; of a library that was measured the other keys count only what "
      "is not priced by it");
  fields.add_table("layers", &Kernels::layers, layer_launch_fields<int>(Range{0, 10'000, "from 0 to 10000"}));
  return fields;
}

Fields<HostWork> host_work_fields() {
  Fields<HostWork> fields;
  fields.add("step", &HostWork::step, "each pass: sampling, tokeniser, framework", any_cost()).needed();
  fields.add("gate_readback", &HostWork::gate_readback, "a blocking copy of the chosen ids", any_cost())
      .needed();
  fields.add("request", &HostWork::request,
             "first pass of a request where experts can be missing: making their buffers and cache",
             any_cost());
  fields.add("lookup", &HostWork::lookup,
             "finding an activated expert in the cache, and noting it, where some can be missing",
             any_cost());
  fields
      .add("prompt_layer", &HostWork::prompt_layer,
           "launching a layer of a pass with prompts, kernel by kernel, where passes without are replayed; a "
           "layer takes that at the least",
           any_cost())
      .or_zero("nothing");
  fields.add("launches_ahead", &HostWork::launches_ahead,
             "tokens of a pass are handed out when the next pass has been launched");
  return fields;
}

Fields<Efficiency::Watts> watt_fields() {
  using Watts = Efficiency::Watts;
  Fields<Watts> fields;
  const auto add = [&](const char* key, double Watts::*watts, const char* help) {
    fields.add(key, watts, help, some_watts()).or_zero("never");
  };
  add("turing", &Watts::turing,
      "W of gpu.power for each multiprocessor and GHz of a Turing GPU, below which tiles run at a lower "
      "clock");
  add("ampere", &Watts::ampere, "the same of Ampere, where the memory is no HBM");
  add("ada", &Watts::ada, "the same of Ada");
  add("blackwell", &Watts::blackwell, "the same of Blackwell, where the memory is no HBM");
  return fields;
}

Fields<Efficiency> efficiency_fields() {
  Fields<Efficiency> fields;
  fields
      .add("memory", &Efficiency::memory, "share of gpu.memory_bandwidth that kernels reading weights reach",
           part_of_one())
      .needed();
  fields.add("compute", &Efficiency::compute, "share of gpu.rates that GEMMs reach", part_of_one()).needed();
  fields
      .add("unpacked", &Efficiency::unpacked,
           "packed weights that a multiprocessor multiplies in a cycle, in "
           "passes of up to 8 tokens",
           few_a_cycle())
      .or_zero("the memory alone decides");
  fields
      .add("tile_flop", &Efficiency::tile_flop,
           "FLOP a cycle that a multiprocessor reaches in tiles of packed weights, in passes of more than 8 "
           "tokens",
           flop_a_cycle())
      .or_zero("the rate of the precision decides");
  fields.add("tile_tokens", &Efficiency::tile_tokens, "tokens of the widest tile, which is computed whole",
             some_tokens_wide());
  fields
      .add("tile_scales", &Efficiency::tile_scales,
           "share of a tile's time that scales take where every 32 weights have one; twice where every 16 "
           "have",
           any_share())
      .or_zero("none");
  fields
      .add("tile_fp4", &Efficiency::tile_fp4,
           "times as fast as others are tiles of mxfp4 and nvfp4 where gpu.rates has fp4", some_times())
      .or_zero("as others");
  fields.add_table("tile_watts", &Efficiency::tile_watts, watt_fields());
  fields
      .add("row_weights", &Efficiency::row_weights,
           "least weights that a row of a matrix-vector product counts for", some_weights())
      .or_zero("as many as it has");
  fields
      .add("activation_bytes", &Efficiency::activation_bytes,
           "bytes of a number between products in tiles, which are written to memory and read from it",
           bytes_of_a_number())
      .or_zero("they stay on the chip");
  fields
      .add("recurrence", &Efficiency::recurrence,
           "cycles a token of a kernel that goes through a prompt token by token (gated delta nets)",
           cycles_a_token())
      .or_zero("its arithmetic decides");
  fields.add("prompt", &Efficiency::prompt,
             "share of their measured rates that the kernels of kernels.origin reach in passes of prompts",
             part_of_one());
  return fields;
}

Fields<SoftwareSpec::Cpu> cpu_fields() {
  using Cpu = SoftwareSpec::Cpu;
  Fields<Cpu> fields;
  fields.add("bandwidth", &Cpu::bandwidth, "share of host.memory_bandwidth that reading experts reaches",
             part_of_one());
  fields.add("compute", &Cpu::compute,
             "share of host.rate that their products reach, of formats that cpu.packed does not say",
             part_of_one());
  fields.add("layer", &Cpu::layer, "hand-over to the CPU's threads, their barriers, and back", any_cost());
  fields.add("expert", &Cpu::expert, "beginning an expert", any_cost()).or_zero("nothing");
  fields.add("numa", &Cpu::numa, "how experts and threads lie on a host's NUMA nodes");
  fields.add_table("packed", &Cpu::packed, packed_share_fields());
  fields.add("join", &Cpu::join, "exponent with which reading and computing an expert add up", an_exponent())
      .or_zero("the slower of the two, without host.core_bandwidth");
  return fields;
}

Fields<SoftwareSpec::Files> file_fields() {
  using Files = SoftwareSpec::Files;
  Fields<Files> fields;
  fields.add("is_one_mix", &Files::is_one_mix,
             "--weights names a file: the rest is in it as well, unless "
             "--dense-weights says");
  fields.add("beside_mxfp4", &Files::beside_mxfp4,
             "format of the rest where a model's experts are mxfp4 and nothing "
             "is chosen");
  return fields;
}

Fields<SoftwareSpec::Pipeline> pipeline_fields() {
  using Pipeline = SoftwareSpec::Pipeline;
  Fields<Pipeline> fields;
  fields.add(
      "batch_a_stage", &Pipeline::batch_a_stage,
      "requests served continuously are in as many batches as stages, all under way (parallel.batches)");
  fields.add("prompt_parts", &Pipeline::prompt_parts, "parts of a prompt under way at once, in lock step",
             Range{1, 64, "from 1 to 64"});
  return fields;
}

Fields<SoftwareSpec> software() {
  Fields<SoftwareSpec> fields;
  fields.add("description", &SoftwareSpec::description, "a line");
  fields.add("source", &SoftwareSpec::source, "where its numbers come from, as a whole");
  fields.add_table("launch", &SoftwareSpec::launch, launch_fields());
  fields.add_table("kernels", &SoftwareSpec::kernels, kernel_fields());
  fields.add_table("host", &SoftwareSpec::host, host_work_fields());
  Fields<SoftwareSpec::Copies> copies;
  copies.add("calls", &SoftwareSpec::Copies::calls,
             "calls that copy an expert to the GPU, each with the link's fixed costs; 0: one kernel gathers "
             "those of a layer",
             some_calls());
  fields.add_table("copies", &SoftwareSpec::copies, copies);
  fields.add_table("efficiency", &SoftwareSpec::efficiency, efficiency_fields());
  fields.add_table("cpu", &SoftwareSpec::cpu, cpu_fields());
  fields.add_table("files", &SoftwareSpec::files, file_fields());
  fields.add_table("pipeline", &SoftwareSpec::pipeline, pipeline_fields());
  fields.add_table("memory", &SoftwareSpec::memory, software_memory_fields());
  fields
      .add("prompt_chunk", &SoftwareSpec::prompt_chunk, "most prompt tokens a pass, where none is given",
           Range{0, 1e9, "at most 1000000000"})
      .or_zero("whole prompts");
  return fields;
}

}  // namespace

Fields<SoftwareMemorySpec> software_memory_fields() {
  using Memory = SoftwareMemorySpec;
  Fields<Memory> fields;
  fields
      .add("framework", &Memory::framework, "context, libraries, workspaces, buffers of one size",
           Range{0, 1e16, "at most 10 PB"})
      .or_zero("not said: gpu.reserved and 32 MiB of workspace");
  fields.add("layer_experts", &Memory::layer_experts,
             "buffers that grow with the experts, as a share of those of the largest MoE layer",
             Range{0, 100, "from 0 to 100"});
  fields.add("fragmentation", &Memory::fragmentation,
             "what its allocator holds and nothing uses, as a share of all else", Range{0, 1, "from 0 to 1"});
  fields.add("host_copies", &Memory::host_copies,
             "experts that live on the GPU for the whole run take the host's memory as well");
  fields.add("host_embeddings", &Memory::host_embeddings, "the input embedding stays in the host's memory");
  fields
      .add("reserved_tokens", &Memory::reserved_tokens,
           "tokens of the largest pass that buffers are reserved for, in fp32 and with logits of each",
           Range{0, 1e6, "at most 1000000"})
      .or_zero("activations of the passes that there are");
  fields.add("cache_cells", &Memory::cache_cells, "entries a sequence that the KV cache is a multiple of",
             Range{1, 65'536, "from 1 to 65536"});
  return fields;
}

const Fields<SoftwareSpec>& software_fields() {
  static const Fields<SoftwareSpec> fields = software();
  return fields;
}

}  // namespace pregate
