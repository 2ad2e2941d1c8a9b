// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/advise/setting.hpp"
#include "sim/report/text_layout.hpp"

namespace pregate::cli {

/// A machine with one thing changed, and the best that can then be run.
struct Upgrade {
  std::string name;  ///< "8 GiB more GPU memory"
  void (*change)(MachineSpec& machine) = nullptr;
  int gpus = 0;  ///< > 0: so many of them in place of a change
};
/// GPU memory, its rate, link, host memory, cores, twice as many GPUs; where GPU and host share one memory,
/// that, and cores. What is changed of a GPU is of each.
std::vector<Upgrade> upgrades(const MachineSpec& machine);

struct Upgraded {
  std::string name;
  Tried best;  ///< does not run: nothing fits then either
};

/// What a model does on one machine.
struct Advice {
  sim::RunConfiguration configuration;  ///< of the model's own format, on the usual software
  std::string model, machine;           ///< as the user named them
  std::vector<Tried> tried;
  std::vector<Upgraded> upgraded;

  /// What a person can run, else research; null: nothing runs.
  [[nodiscard]] const Tried* best() const {
    const Tried* runnable = fastest(tried, true);
    return runnable != nullptr ? runnable : fastest(tried, false);
  }
};

/// The machine with its number of GPUs.
std::string label_of(const Advice& advice);

/// For people: the command, why, the settings, the upgrades.
std::string advice_text(const Advice& advice, const sim::TextLayout& layout);

/// What each of several machines does, in the order in which they are thought to cost more. `wanted`
/// tokens/s; 0: nobody wants any.
std::string machines_text(const std::vector<Advice>& machines, double wanted, const sim::TextLayout& layout);

/// All of it, deterministic.
std::string advice_json(const std::vector<Advice>& advice, double wanted);

/// "llama.cpp --n-cpu-moe, q4_k_m".
std::string name_of(const Way& way);

}  // namespace pregate::cli
