// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/described_hardware.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "models/catalog.hpp"

namespace pregate::validation {

namespace {

/// Datasheets and product pages round: 1008 and 1010 GB/s are one card.
constexpr double rounding = 0.03;

bool alike(double a, double b) { return std::abs(a - b) <= rounding * std::max(std::abs(a), std::abs(b)); }

bool same_gpu(const GpuSpec& a, const GpuSpec& b) {
  return a.name == b.name && alike(a.memory_bandwidth.value, b.memory_bandwidth.value) &&
         std::all_of(a.rates.begin(), a.rates.end(), [&](const auto& rate) {
           const auto other = b.rates.find(rate.first);
           return other == b.rates.end() || alike(rate.second.value, other->second.value);
         });
}

bool same_link_and_host(const MachineSpec& a, const MachineSpec& b) {
  return alike(a.h2d.bandwidth.value, b.h2d.bandwidth.value) &&
         alike(a.host.memory_bandwidth.value, b.host.memory_bandwidth.value) &&
         alike(a.host.rate.value, b.host.rate.value);
}

std::vector<MachineSpec> load_catalogue() {
  std::vector<MachineSpec> machines;
  for (const std::string& name : machine_names()) machines.push_back(load_machine(name));
  return machines;
}

}  // namespace

bool is_hardware_of_catalogue(const MachineSpec& machine, bool offloads) {
  static const std::vector<MachineSpec> catalogue = load_catalogue();
  return std::any_of(catalogue.begin(), catalogue.end(), [&](const MachineSpec& known) {
    return same_gpu(machine.gpu, known.gpu) && (!offloads || same_link_and_host(machine, known));
  });
}

}  // namespace pregate::validation
