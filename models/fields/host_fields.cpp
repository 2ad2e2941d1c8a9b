// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/fields/describe.hpp"
#include "models/fields/ranges.hpp"
#include "models/model.hpp"

namespace pregate {
namespace {

/// One of the two shares of a weight format; where a file gives but one, the other is that of all formats.
void add_share(Fields<HostComputeSpec>& fields, const std::string& format, const char* key,
               double HostComputeSpec::Efficiency::*share, const char* help) {
  Field field;
  field.key = field.json = "formats." + format + "." + key;
  field.shown = std::string("formats.<weight format>.") + key;
  field.help = help;
  field.quantity = Quantity::share;
  field.range = part_of_one();
  fields.add_entry(
      {std::move(field),
       [format, share](const HostComputeSpec& compute) {
         const auto own = compute.formats.find(format);
         return own == compute.formats.end() ? Node{} : node_of(own->second.*share);
       },
       [format, share](HostComputeSpec& compute, TableReader& table, const Field& its) {
         const HostComputeSpec::Efficiency general{compute.bandwidth_efficiency, compute.compute_efficiency};
         read_value(table, its, compute.formats.try_emplace(format, general).first->second.*share);
       }});
}

Fields<HostComputeSpec> host_compute() {
  using Compute = HostComputeSpec;
  using Efficiency = HostComputeSpec::Efficiency;
  Fields<Compute> fields;
  fields.add("bandwidth_efficiency", &Compute::bandwidth_efficiency,
             "share of host.memory_bandwidth that reading an expert's weights reaches", part_of_one());
  fields.add("compute_efficiency", &Compute::compute_efficiency,
             "share of host.rate that an expert's products reach", part_of_one());
  fields.add("fixed", &Compute::fixed, "hand-over to the threads, their barriers, and back, a layer",
             any_cost());
  fields.add("expert", &Compute::expert, "beginning an expert", any_cost()).or_zero("nothing");
  fields.add("numa", &Compute::numa, "how experts and threads lie on the nodes of host.numa");
  fields.add_table("packed", &Compute::packed, packed_share_fields());
  fields
      .add_where_set("join", &Compute::join,
                     "exponent with which reading and computing an expert add up; 1 is one after the other, "
                     "many the slower of the two",
                     an_exponent())
      .or_zero("the slower of the two, without host.core_bandwidth");
  std::vector<std::string> formats = weight_format_names();
  std::sort(formats.begin(), formats.end());  // the order of results
  for (const std::string& format : formats) {
    add_share(fields, format, "bandwidth_efficiency", &Efficiency::bandwidth,
              "the same for experts of that format");
    add_share(fields, format, "compute_efficiency", &Efficiency::compute,
              "the same for experts of that format");
  }
  return fields;
}

Fields<NumaSpec> numa() {
  Fields<NumaSpec> fields;
  fields.add("nodes", &NumaSpec::nodes, "that its memory is parts of, over which experts lie interleaved",
             Range{1, 64, "from 1 to 64"});
  fields.add("bandwidth", &NumaSpec::bandwidth, "from one node to another, each direction", any_rate())
      .or_zero("there is one node")
      .needed_with({"nodes", several(64), "several nodes"});
  return fields;
}

Fields<HostSpec> host() {
  Fields<HostSpec> fields;
  fields.add("cpu", &HostSpec::cpu, "its name").needed();
  fields.add("cores", &HostSpec::cores, "physical cores", Range{1, 100'000, "from 1 to 100000"}).needed();
  fields.add("memory", &HostSpec::memory, "size of its memory", some_memory()).needed();
  fields
      .add("memory_bandwidth", &HostSpec::memory_bandwidth,
           "what is reached, shared by copies in flight and the CPU's work", any_rate())
      .needed();
  fields.add("rate", &HostSpec::rate, "fp32, all cores", any_flop_rate()).needed();
  fields
      .add_where_set("core_bandwidth", &HostSpec::core_bandwidth,
                     "what a core reads of memory when all do and the memory could deliver more", any_rate())
      .or_zero("the memory alone bounds them");
  fields.add_where_set("flop_per_cycle", &HostSpec::flop_per_cycle,
                       "fp32 FLOP of a core in a cycle, as host.rate counts them",
                       Range{1, 4096, "from 1 to 4096"});
  fields.add_table("numa", &HostSpec::numa, numa());
  fields.add_table("compute", &HostSpec::compute, host_compute());
  return fields;
}

Fields<SsdSpec> ssd() {
  Fields<SsdSpec> fields;
  fields.add("capacity", &SsdSpec::capacity, "size of the drive", some_memory()).needed();
  fields.add("read_bandwidth", &SsdSpec::read_bandwidth, "of large reads", any_rate()).needed();
  fields.add("latency", &SsdSpec::latency, "of a read", any_cost()).needed();
  fields.add_where_set("read_depth", &SsdSpec::read_depth,
                       "reads that it works on at a time, whose latencies overlap",
                       Range{1, 65536, "from 1 to 65536"});
  return fields;
}

}  // namespace

Fields<PackedShares> packed_share_fields() {
  Fields<PackedShares> fields;
  const auto add = [&](const char* key, double PackedShares::*share, const char* help) {
    fields.add_where_set(key, share, help, Range{0, 1, "from 0 to 1"}).or_zero("the share of all formats");
  };
  add("whole", &PackedShares::whole,
      "share of host.rate, of 32 FLOP a cycle at most, that products of unpacked weights reach (f32, f16, "
      "bf16)");
  add("blocks", &PackedShares::blocks,
      "the same of blocks with one scale (q4_0 to q8_0, iq4_nl, mxfp4, nvfp4)");
  add("super_blocks", &PackedShares::super_blocks, "the same of blocks of blocks (q2_k to q6_k, iq4_xs)");
  add("codebook_8", &PackedShares::codebook_8, "the same of eight values an entry of a codebook (iq1, iq2)");
  add("codebook_4", &PackedShares::codebook_4, "the same of four values an entry (iq3)");
  return fields;
}

const Fields<HostSpec>& host_fields() {
  static const Fields<HostSpec> fields = host();
  return fields;
}

const Fields<SsdSpec>& ssd_fields() {
  static const Fields<SsdSpec> fields = ssd();
  return fields;
}

}  // namespace pregate
