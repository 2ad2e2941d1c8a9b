// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/advise/asked.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <tuple>

#include "cli/several_gpus.hpp"
#include "models/error.hpp"

namespace pregate::cli {

namespace {

/// Cards are sold in GB and have as many GiB.
double budget_gib(const Parsed& parsed) {
  const std::string text = parsed.text("budget-vram");
  const Bytes size = parse_bytes(text, "--budget-vram");
  return static_cast<double>(size.count) / (text.ends_with("GB") ? 1e9 : static_cast<double>(1LL << 30));
}

/// "2xrtx3090-pcie4" is two of them, unless a file is called so.
MachineAsked machine_named(const std::string& text, int gpus) {
  std::error_code ignored;
  std::size_t digits = 0;
  while (digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits])) != 0) ++digits;
  const bool has_number = digits > 0 && digits + 1 < text.size() && text[digits] == 'x';
  if (!has_number || std::filesystem::exists(text, ignored)) return {text, gpus};
  const std::string number = text.substr(0, digits);
  if (digits > 1 || number == "0" || number == "9") {
    throw InputError("--machine", "'" + printable(text) + "' has " + printable(number) + " GPUs",
                     "from 1x to " + std::to_string(most_gpus_a_host) + "x: those of one host");
  }
  return {text.substr(digits + 1), number.front() - '0'};
}

std::vector<MachineAsked> of_catalogue(const Parsed& parsed, int gpus) {
  const double most = parsed.has("budget-vram") ? budget_gib(parsed) : 1e9;
  std::vector<std::tuple<double, double, std::string>> sorted;
  for (const std::string& name : machine_names()) {
    const MachineSpec machine = load_machine(name);
    if (machine.calibration != "datasheet") continue;  // of one laboratory's software
    const double gib = static_cast<double>(machine.gpu.memory.count) / (1LL << 30);
    if (gib <= most) sorted.emplace_back(gib, machine.gpu.memory_bandwidth.value, name);
  }
  if (sorted.empty())
    throw InputError("--budget-vram", "no machine of the catalogue has as little GPU memory",
                     "pregate list machines");
  std::sort(sorted.begin(), sorted.end());
  std::vector<MachineAsked> machines;
  machines.reserve(sorted.size());
  for (const auto& [memory, rate, name] : sorted) machines.push_back({name, gpus});
  return machines;
}

}  // namespace

std::vector<MachineAsked> machines_asked(const Parsed& parsed) {
  const int gpus = static_cast<int>(parsed.integer("gpus", 0, 1, most_gpus_a_host));
  if (!parsed.has("machine")) {
    if (!parsed.has("want") && !parsed.has("budget-vram"))
      throw InputError("--machine", "is missing",
                       "name a machine (pregate list machines), several separated by commas, or what is "
                       "wanted: --want 40tok/s, --budget-vram 24GB");
    return of_catalogue(parsed, gpus);
  }
  if (parsed.has("budget-vram"))
    throw InputError("--budget-vram", "cannot be combined with --machine",
                     "it chooses from the catalogue's machines");
  std::vector<MachineAsked> machines;
  for (const std::string& text : split_list(parsed.text("machine"), "--machine"))
    machines.push_back(machine_named(text, gpus));
  return machines;
}

int gpus_of_host(const MachineSpec& machine) {
  return machine.others.empty() ? machine.gpu.count : static_cast<int>(machine.others.size()) + 1;
}

Bytes gpu_memory_of_host(const MachineSpec& machine) {
  Bytes all = machine.gpu.memory * std::int64_t{machine.gpu.count};
  for (const MachineSpec& other : machine.others) all += other.gpu.memory;
  return all;
}

std::string with_number(const std::string& name, const MachineSpec& machine) {
  return machine.others.empty() && machine.gpu.count > 1 ? std::to_string(machine.gpu.count) + "x" + name
                                                         : name;
}

MachineSpec with_so_many_gpus(MachineSpec machine, int gpus) {
  machine.network.hosts = 1;
  if (gpus == 0) return machine;
  const int has = gpus_of_host(machine);
  if (machine.others.empty()) {
    machine.gpu.count = gpus;
  } else if (gpus <= has) {
    machine.others.resize(static_cast<std::size_t>(gpus) - 1);
  } else {
    throw InputError("--gpus",
                     std::to_string(gpus) + " GPUs, where machine " + printable(machine.name) + " has " +
                         std::to_string(has) + " of different kinds (gpu.others)",
                     "at most so many");
  }
  return machine;
}

Question::Question(const Parsed& parsed) : parsed_(parsed) {
  for (const std::string& text : parsed.texts("set")) {
    set_.push_back(parse_override(text));
    if (!set_.back().path.starts_with("parallel.")) continue;
    throw InputError("--set " + printable(set_.back().path, 100),
                     "ways to spread a model over GPUs are what advise tries",
                     "--gpus N, or pregate compare with that key");
  }
}

Run Question::run_of(const Way& way, const MachineAsked& machine) {
  const auto key = std::make_pair(way.software, way.weights);
  auto place = runs_.find(key);
  if (place == runs_.end()) place = runs_.emplace(key, resolve(asked(way), "on-demand")).first;
  Run run = place->second;
  set_machine(way, machine, run);
  run.options.parallel = run.configuration.parallel = way.parallel;
  use_usual_batches(run);
  return run;
}

Parsed Question::asked(const Way& way) const {
  Arguments arguments;
  const auto pass = [&](const char* option, const std::string& value) {
    if (value.empty()) return;
    arguments.push_back("--" + std::string(option));
    arguments.push_back(value);
  };
  for (const char* option :
       {"model", "trace", "locality", "prompt", "output", "requests", "seed", "batch", "dense-weights"})
    pass(option, parsed_.text(option));
  pass("weights", way.weights.empty() ? parsed_.text("weights") : way.weights);
  pass("software", way.software);
  for (const std::string& text : parsed_.texts("set")) pass("set", text);
  return parse("", run_options(), arguments);
}

void Question::set_machine(const Way& way, const MachineAsked& asked, Run& run) const {
  sim::RunConfiguration& configuration = run.configuration;
  const auto load = [&](const std::string& software) {
    return with_so_many_gpus(load_machine(asked.name, set_, parsed_.text("host"), software), asked.gpus);
  };
  configuration.machine = load("");
  const MachineSpec& machine = configuration.machine;
  const bool says_itself = machine.software.empty() || machine.calibration != "datasheet";
  if (says_itself && !way.software.empty() && way.software != machine.software) {
    throw InputError("", "the file of the machine says what its software costs" +
                             (machine.software.empty() ? "" : ", which is " + machine.software));
  }
  if (says_itself) {
    configuration.software.reset();
  } else if (!way.software.empty()) {
    configuration.machine = load(way.software);
  }
  const std::vector<std::string> catalogue = machine_names();
  run.is_catalogue_machine = std::find(catalogue.begin(), catalogue.end(), asked.name) != catalogue.end();
}

}  // namespace pregate::cli
