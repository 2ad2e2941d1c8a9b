// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/machine.hpp"
#include "runtime/device.hpp"
#include "validation/calibration/calibrate.hpp"
#include "validation/calibration/effective_times.hpp"
#include "validation/calibration/link_probe.hpp"

namespace pregate::validation {

struct ArithmeticProbe {
  std::map<std::string, FlopPerSecond> rates;  ///< by precision, as gpu.rates
  BytesPerSecond memory_bandwidth;
  Interference interference;
};

/// Products with many rows and with one, of matrices of the model's experts' size, on the compute stream.
ArithmeticProbe probe_arithmetic(runtime::Device& device, const ModelSpec& model, double seconds);

struct OperationProbe {
  std::vector<KernelTimes> times;
  OverheadSpec overhead;
  Bytes expert_bytes;
  BytesPerSecond fetch_rate;
  std::vector<SpreadLine> spreads;
};

/// On-demand runs of made-up passes through the runtime. `machine` only prices the schedule.
OperationProbe probe_operations(runtime::Device& device, const ModelSpec& model, int most_tokens,
                                const runtime::StoreOptions& experts, double seconds);

}  // namespace pregate::validation
