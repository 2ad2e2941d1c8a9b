// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/cpu_probe.hpp"

#include <gtest/gtest.h>

#include "models/catalog.hpp"

namespace pregate::validation {
namespace {

std::vector<CpuSample> samples_of(const CpuFit& truth) {
  std::vector<CpuSample> samples;
  for (const int experts : {2, 4, 8}) {
    for (const int each : {1, 2, 8}) {
      const int routed = experts * each;
      samples.push_back({experts, routed, truth.fixed + experts * truth.expert + routed * truth.token});
    }
  }
  return samples;
}

// time = fixed + experts x expert + routed x token: exact samples give exact terms.
TEST(CpuProbe, FindsTheTermsOfExactSamples) {
  const CpuFit fit = fit_cpu(samples_of({20e-6, 300e-6, 40e-6}));
  EXPECT_NEAR(fit.fixed, 20e-6, 1e-9);
  EXPECT_NEAR(fit.expert, 300e-6, 1e-9);
  EXPECT_NEAR(fit.token, 40e-6, 1e-9);
}

TEST(CpuProbe, NoTermIsNegative) {
  const CpuFit fit = fit_cpu(samples_of({-5e-6, 300e-6, 40e-6}));
  EXPECT_EQ(fit.fixed, 0);
  EXPECT_GT(fit.expert, 250e-6);
  const CpuFit one = fit_cpu({{4, 4, 1e-3}});  // of one sample all goes to one term
  EXPECT_NEAR(one.fixed + 4 * one.expert + 4 * one.token, 1e-3, 1e-9);
}

// What the simulator then prices is what was fitted: with one token an expert, whatever bounds it, and with
// more where arithmetic does.
TEST(CpuProbe, TheSimulatorPricesWhatWasFitted) {
  MachineSpec machine = load_machine("a100-80g-pcie4");
  const Bytes expert{1'000'000};
  const double flop = 2e6;
  for (const double memory : {100e9, 1e9}) {
    machine.host.memory_bandwidth = {memory};
    const CpuFit fit{20e-6, 1500e-6, 400e-6};
    set_cpu(machine, fit, expert, flop);
    const auto price = [&](double routed) {
      const double reading = time_at(expert, machine.host.memory_bandwidth).seconds();
      return machine.host.compute.fixed.seconds() + machine.host.compute.expert.seconds() +
             std::max(reading, routed * flop / machine.host.rate.value);
    };
    EXPECT_NEAR(price(1), fit.fixed + fit.expert + fit.token, 1e-8) << memory;
    if (memory > 50e9) {
      EXPECT_NEAR(price(8), fit.fixed + fit.expert + 8 * fit.token, 1e-8);
    }
  }
}

}  // namespace
}  // namespace pregate::validation
