// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/machine.hpp"
#include "models/model.hpp"
#include "runtime/device.hpp"
#include "runtime/weights/expert_store.hpp"

namespace pregate::validation {

struct CalibrationOptions {
  double seconds = 120;  ///< about how long it may take
  int most_tokens = 64;  ///< of a pass whose kernels are measured
  /// Formats of the runtime in which experts are measured too, for policies with a second one (formats.low).
  std::vector<std::string> low_formats = {};
  runtime::StoreOptions experts = {};  ///< as ExecuteOptions
  std::function<void(const std::string& stage)> progress = nullptr;
};

/// How well one group of measurements agreed with itself.
struct SpreadLine {
  std::string what;
  int points = 0;
  double median_spread = 0, worst_spread = 0;  ///< relative
};

struct Calibration {
  MachineSpec machine;
  std::vector<std::pair<std::string, std::string>> sources;  ///< for to_toml()
  std::vector<std::string> findings;  ///< measured, in no key of the file: a line each; none with a drive
  std::vector<SpreadLine> spreads;
  double noise = 0;  ///< the largest of the groups' median spreads
};

/// Measures the device: links by size and direction, arithmetic and memory rates, what copies and kernels
/// make of each other; and, by running on-demand schedules of made-up passes through the runtime itself, the
/// time of each operation of `model` by tokens and activated experts, the read-back of ids and the fetch of
/// an expert. `model` is what the kernels are measured for. InputError: a low format that the device does not
/// compute in.
Calibration calibrate(runtime::Device& device, const ModelSpec& model, const CalibrationOptions& options);

/// What the device is before anything is measured: its name, memory and processor; everything else are
/// estimates of a round size. For a run whose times are measured anyway.
MachineSpec unmeasured_machine(const runtime::Device& device);

}  // namespace pregate::validation
