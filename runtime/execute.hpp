// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "runtime/answers.hpp"
#include "runtime/device.hpp"
#include "runtime/executable.hpp"
#include "runtime/live_executor.hpp"
#include "sim/simulate.hpp"

namespace pregate::runtime {

struct ExecuteOptions {
  std::int64_t recorded_steps = 0;  ///< steps whose schedule and timeline are kept
  StoreOptions experts = {};        ///< beside `store`, where those in formats.low are
  /// Device memory that the plan is made for; 0 = what the device has. Of more than that the run may run out.
  Bytes memory = {};
  /// Passes begin with an operation of their own, which stands for the host's work beside the layers'.
  bool marks_step_overhead = false;
  /// What parts that weigh times go by: then they decide as simulate() does with this machine. Null: such
  /// parts are an InputError.
  const MachineSpec* prices = nullptr;
  /// Weights to use instead of making them for this run; made for the same device, shape and map, and with
  /// the same seed.
  const ExpertStore* store = nullptr;
  /// Weights of experts to use where it has them; not beside `store` nor shared buffers (InputError).
  const WeightFiles* files = nullptr;
  /// With kv_cache, tokens attend to those of earlier passes, whose keys and values stay on the device.
  Attention attention = Attention::products;
  std::uint64_t seed = 1;  ///< of weights and inputs
  /// Called after each pass with its number and the hidden rows that its last layer left on the device,
  /// [tokens x d_model], in the model's element type.
  std::function<void(std::int64_t step, std::span<const std::byte> hidden)> outputs = nullptr;
  std::function<void(std::int64_t steps_done, std::int64_t steps)> progress = nullptr;
  /// Asked after each pass; true ends the run there, as if the trace ended.
  std::function<bool()> interrupted = nullptr;
  /// Copies that a device is given before anything waits for them, where they are held back. With 0, for
  /// tests, every wrong guess is taken back, however fast the device copies.
  std::size_t copies_ahead = 2;
  PlantedFault fault = {};
};

struct Execution {
  sim::SimulationResult result;  ///< as simulated results, with measured times
  Picoseconds issue_time;        ///< the host's, over all operations, waits excluded
  std::int64_t distinct_experts = 0;
  Bytes device_memory;  ///< allocated by the run
  bool was_interrupted = false;
  /// Of a policy that decides by the time: replay() decides as it did.
  std::optional<Answers> answers = std::nullopt;
};

/// Runs one policy on a device: the same plan, planner and memory rules as sim::simulate, but no price: the
/// schedule says what is done and what is moved, the timeline how long it took. How much the weights take of
/// host memory is for the store to refuse, as experts may share buffers. Out of memory of the device (by the
/// rules, or because it says so) is a result. InputError as simulate(), and where the runtime cannot execute
/// the model or the policy (executable.hpp).
Execution execute(Device& device, const ModelSpec& model, const PolicySpec& policy,
                  const sim::PreparedTrace& prepared, trace::StepSource& source,
                  const ExecuteOptions& options = {});

}  // namespace pregate::runtime
