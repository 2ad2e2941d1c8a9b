// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/cpu_products.hpp"

#include <algorithm>
#include <cmath>

#include "models/formats/packing.hpp"

namespace pregate::sim {
namespace {

double share_of(const PackedShares& shares, Packing packing) {
  switch (packing) {
    case Packing::other:
      return 0;
    case Packing::whole:
      return shares.whole;
    case Packing::blocks:
      return shares.blocks;
    case Packing::super_blocks:
      return shares.super_blocks;
    case Packing::codebook_8:
      return shares.codebook_8;
    case Packing::codebook_4:
      return shares.codebook_4;
  }
  return 0;
}

/// FLOP/s of all cores: parts of a mixture one after the other.
double rate_of(const HostSpec& host, const std::string& format) {
  const double of_all = host.rate.value * host.compute.compute_efficiency;
  if (host.compute.packed == PackedShares{}) return of_all;
  double seconds = 0;  // of a FLOP
  for (const auto& [packing, part] : packed_parts(format)) {
    const double share = share_of(host.compute.packed, packing);
    seconds += part / (share > 0 ? host.narrow_rate().value * share : of_all);
  }
  return 1 / seconds;
}

/// What two limits leave: with the exponent 0 the lower one.
double joined(double one, double other, double join) {
  const auto [slow, fast] = std::minmax(one, other);
  return join > 0 ? slow * std::pow(1 + std::pow(slow / fast, join), -1 / join) : slow;
}

}  // namespace

BytesPerSecond CpuProducts::flow(double bytes, double flop) const {
  if (flop <= 0) return reads;
  return {joined(reads.value, computed(bytes, flop), join)};
}

BytesPerSecond read_by_cpu(const HostSpec& host) {
  if (host.numa.nodes < 2 || host.compute.numa == NumaUse::copies) return host.memory_bandwidth;
  if (host.compute.numa == NumaUse::one_node) return {host.memory_bandwidth.value / host.numa.nodes};
  return std::min(host.memory_bandwidth, {host.numa.bandwidth.value * host.numa.nodes * host.numa.nodes});
}

CpuProducts cpu_products(const HostSpec& host, const std::string& format) {
  const HostComputeSpec& compute = host.compute;
  const double cores = compute.numa == NumaUse::one_node ? 1.0 / host.numa.nodes : 1;  // of them all
  CpuProducts products{{}, {}, compute.join};
  if (const auto own = compute.formats.find(format); own != compute.formats.end()) {
    products.reads = {read_by_cpu(host).value * own->second.bandwidth};
    products.rate = {host.rate.value * own->second.compute * cores};
  } else {
    products.reads = {read_by_cpu(host).value * compute.bandwidth_efficiency};
    products.rate = {rate_of(host, format) * cores};
  }
  if (compute.join > 0 && host.core_bandwidth.value > 0)
    products.reads = {
        joined(products.reads.value, host.core_bandwidth.value * host.cores * cores, compute.join)};
  return products;
}

}  // namespace pregate::sim
