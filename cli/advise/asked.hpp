// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cli/advise/setting.hpp"

namespace pregate::cli {

/// A machine that advice is wanted on.
struct MachineAsked {
  std::string name;  ///< of the catalogue, or a .toml
  int gpus = 0;      ///< that it has then; 0: as its file says
};

/// Of --machine, each perhaps with a number of GPUs in front ("2xrtx3090-pcie4"), else of --budget-vram and
/// --want those of the catalogue. --gpus is of all that say no number themselves. InputError.
std::vector<MachineAsked> machines_asked(const Parsed& parsed);

/// GPUs of one of its hosts.
int gpus_of_host(const MachineSpec& machine);
/// Of all of them.
Bytes gpu_memory_of_host(const MachineSpec& machine);
/// "2xrtx3090-pcie4"; the name alone for one GPU, and where they differ.
std::string with_number(const std::string& name, const MachineSpec& machine);
/// The machine, one host of it, with so many GPUs (0: as it has). InputError for more than it has where they
/// differ (gpu.others), or than a host has.
MachineSpec with_so_many_gpus(MachineSpec machine, int gpus);

/// The user's options about model, routing and host, for a run of a software and format.
class Question {
 public:
  explicit Question(const Parsed& parsed);

  /// Resolved once for each software and format. On one GPU of the machine, or as the way says.
  Run run_of(const Way& way, const MachineAsked& machine);

 private:
  [[nodiscard]] Parsed asked(const Way& way) const;
  /// InputError where the machine's file says itself what its software costs and the way is of another.
  void set_machine(const Way& way, const MachineAsked& machine, Run& run) const;

  const Parsed& parsed_;
  std::vector<Override> set_;
  std::map<std::pair<std::string, std::string>, Run> runs_;
};

}  // namespace pregate::cli
