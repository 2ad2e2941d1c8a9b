// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/command.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/report/text_table.hpp"
#include "traces/import.hpp"
#include "traces/synthetic.hpp"

namespace pregate::cli {

namespace {

using sim::TextTable;
using sim::three_digits;

std::string billions(double count) { return three_digits(count * 1e-9); }
std::string gib(Bytes bytes) { return three_digits(static_cast<double>(bytes.count) / (1LL << 30)); }

std::string models() {
  TextTable table({"model", "params B", "active B", "MoE layers", "experts", "top-k", "expert MiB", "format",
                   "KV KiB/token"});
  for (const std::string& name : model_names()) {
    const ModelSpec model = load_model(name);
    int layers = 0;
    for (const Stack& stack : model.stacks) layers += static_cast<int>(moe_layers(stack).size());
    const Stack& last = model.stacks.back();
    const MoeBlock& moe = last.first_moe();
    table.add({name, billions(static_cast<double>(model.parameter_count())),
               billions(static_cast<double>(model.active_parameter_count())), std::to_string(layers),
               std::to_string(moe.experts), std::to_string(moe.top_k),
               three_digits(static_cast<double>(model.expert_bytes(last).count) / (1 << 20)),
               model.expert_format.name,
               three_digits(static_cast<double>(model.kv_bytes_per_token().count) / 1024)});
  }
  return table.text();
}

std::string machines() {
  TextTable table({"machine", "GPU GiB", "TB/s", "h2d GB/s", "d2h GB/s", "host GiB", "calibration"});
  for (const std::string& name : machine_names()) {
    const MachineSpec machine = load_machine(name);
    table.add({name, gib(machine.gpu.memory), three_digits(machine.gpu.memory_bandwidth.value * 1e-12),
               three_digits(machine.h2d.bandwidth.value * 1e-9),
               three_digits(machine.d2h.bandwidth.value * 1e-9), gib(machine.host.memory),
               machine.calibration});
  }
  return table.text();
}

std::string lines(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::size_t width = 0;
  for (const auto& entry : entries) width = std::max(width, entry.first.size());
  std::string text;
  for (const auto& [name, description] : entries) {
    text += "  " + name + std::string(width + 2 - name.size(), ' ') + description + "\n";
  }
  return text;
}

std::string policies() {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const std::string& name : policy_names()) entries.emplace_back(name, load_policy(name).description);
  return lines(entries);
}

std::string evictions() {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const cache::EvictionEntry& entry : cache::eviction_registry().entries()) {
    entries.emplace_back(entry.name, entry.description);
  }
  return lines(entries);
}

std::string formats() {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const std::string& name : weight_format_names()) {
    entries.emplace_back(name,
                         three_digits(weight_format(name, "").bits_per_parameter) + " bits a parameter");
  }
  return lines(entries);
}

std::string profiles() {
  std::string text;
  for (const std::string& name : trace::profile_names()) text += "  " + name + "\n";
  return text;
}

/// The parts that a policy file combines, with their parameters.
std::string parts() {
  return lines(
      {{"placement.kind", "none | all | popular (count experts a layer) | first-layers (count MoE layers)"},
       {"cache.capacity", "0 | 4GiB | 25% | 64 slots (a layer, or in all with scope global)"},
       {"cache.scope", "layer | global"},
       {"cache.split", "even (as many slots a layer) | spread (layers may differ by one)"},
       {"cache.eviction", "see: pregate list evictions"},
       {"cache.admission",
        "always | bypass (a miss is kept out when the eviction rule would evict it first)"},
       {"cache.seed", "seed of the eviction 'random'"},
       {"cache.hit_rate", "given-rate: share of the look-ups that hit, 0 to 1"},
       {"lookahead.kind", "none | all-next | pre-gate | recorded (ids predicted in the trace) | predictor"},
       {"lookahead.distance", "MoE layers ahead, 1 or more"},
       {"lookahead.recall", "predictor: share of the activated experts that it announces, 0 to 1"},
       {"lookahead.seed", "seed of the predictor"},
       {"transfer.chunk", "0 = whole experts, or a size such as 4MiB"},
       {"transfer.queue", "fifo | demand-first"},
       {"transfer.staging_copies", "device copies after the host copy, 0 or more"},
       {"transfer.pinned", "true | false: source in pinned or pageable host memory"},
       {"transfer.write_back", "none | swap (an expert that leaves the GPU is copied to the host)"},
       {"compute.experts", "grouped (one kernel a layer) | per-expert (each as soon as it is there)"},
       {"miss.service", "fetch | compute-on-cpu"},
       {"miss.admission",
        "none | background (what the CPU computes is copied into the cache meanwhile, as far as that "
        "hides)"}});
}

struct Section {
  std::string name, title;
  std::string (*text)();
};

}  // namespace

ExitCode list(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()("what", po::value<std::string>(),
                        "models, machines, policies, parts, evictions, formats, profiles");
  const Parsed parsed = parse("pregate list [models|machines|policies|parts|evictions|formats|profiles]",
                              options, arguments, "what", 1);
  if (parsed.help) return 0;
  const std::vector<Section> sections = {{"models", "Models (--model)", models},
                                         {"machines", "Machines (--machine)", machines},
                                         {"policies", "Policies (--policy)", policies},
                                         {"parts", "Parts of a policy (--set policy.<key>=<value>)", parts},
                                         {"evictions", "Eviction policies (--eviction)", evictions},
                                         {"formats", "Weight formats (--weights)", formats},
                                         {"profiles", "Generator profiles (--profile)", profiles}};
  const std::string what = parsed.text("what");
  std::string text;
  std::vector<std::string> names;
  for (const Section& section : sections) {
    names.push_back(section.name);
    if (!what.empty() && what != section.name) continue;
    text += (text.empty() ? "" : "\n") + section.title + "\n" + section.text();
  }
  if (text.empty())
    throw InputError("pregate list", "there is no list of '" + what + "'", suggest(what, names));
  print(text);
  return 0;
}

}  // namespace pregate::cli
