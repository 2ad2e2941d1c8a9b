// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/command.hpp"
#include "cli/field_list.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/fields/choices.hpp"
#include "models/fields/describe.hpp"
#include "models/formats/weight_format.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/parallel/parallel_fields.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/policy/policy_fields.hpp"
#include "sim/report/metrics.hpp"
#include "sim/report/model_report.hpp"
#include "sim/report/text_table.hpp"
#include "sim/serve/serving.hpp"
#include "traces/import.hpp"
#include "traces/locality.hpp"
#include "traces/synthetic.hpp"

namespace pregate::cli {

namespace {

using sim::in_gib;
using sim::TextTable;
using sim::three_digits;

std::string billions(double count) { return three_digits(count * 1e-9); }

std::string models() {
  constexpr std::int64_t context = 32'768;
  TextTable table({"model", "total", "active", "MoE", "experts", "MiB", "format", "KV MiB", "layers"});
  for (const std::string& name : model_names()) {
    const ModelSpec model = load_model(name);
    int layers = 0;
    for (const Stack& stack : model.stacks) layers += static_cast<int>(moe_layers(stack).size());
    const MoeBlock& moe = model.stacks.back().first_moe();
    const sim::ModelReport report = sim::report_on(model, context);
    const auto mib = [](Bytes bytes) { return three_digits(static_cast<double>(bytes.count) / (1 << 20)); };
    table.add({name, billions(static_cast<double>(model.parameter_count())),
               billions(static_cast<double>(model.active_parameter_count())), std::to_string(layers),
               std::to_string(moe.experts) + "x" + std::to_string(moe.top_k), mib(report.largest_expert),
               model.expert_format.name, mib(model.kv_bytes(context)), sim::short_kinds(report)});
  }
  return table.text() +
         "total, active: billions of parameters; MoE: layers with experts; experts: a layer\n"
         "x top-k, MiB each; KV: after 32768 tokens, states included; layers: F full\n"
         "attention, W window, A latent, S latent with an indexer, C compressed, L linear,\n"
         "M Mamba, K short convolution. More of one: pregate model show NAME\n";
}

/// Values of model_type that a config.json may have, a family a line.
std::string families() {
  std::string text;
  for (const families::Family& family : families::all()) {
    std::string line;
    for (const std::string_view type : family.model_types) line += "  " + std::string(type);
    text += line + "\n";
  }
  return text;
}

std::string machines() {
  TextTable table({"machine", "GPU GiB", "TB/s", "h2d GB/s", "d2h GB/s", "host GiB", "calibration"});
  for (const std::string& name : machine_names()) {
    const MachineSpec machine = load_machine(name);
    table.add({name, in_gib(machine.gpu.memory), three_digits(machine.gpu.memory_bandwidth.value * 1e-12),
               three_digits(machine.h2d.bandwidth.value * 1e-9),
               three_digits(machine.d2h.bandwidth.value * 1e-9), in_gib(machine.host.memory),
               machine.calibration});
  }
  return table.text();
}

std::string hosts() {
  TextTable table({"host", "cores", "GFLOP/s", "memory GB/s", "GiB", "CPU"});
  for (const std::string& name : host_names()) {
    const HostSpec host = load_host(name).host;
    table.add({name, std::to_string(host.cores), three_digits(host.rate.value * 1e-9),
               three_digits(host.memory_bandwidth.value * 1e-9), in_gib(host.memory), host.cpu});
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

std::string weight_formats() {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const DescribedFormat& described : described_formats()) {
    char bits[32];
    std::snprintf(bits, sizeof bits, "%7.4f bits  ", described.format.bits_per_parameter);
    entries.emplace_back(described.format.name,
                         (described.mix ? "mixture, " : "") + std::string(bits) + described.blocks);
  }
  return lines(entries);
}

std::string recording_formats() {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const trace::FormatDescription& format : trace::import_formats()) {
    entries.emplace_back(format.name, format.source);
    entries.emplace_back("", format.description);
  }
  return lines(entries);
}

std::string profiles() {
  std::string text;
  for (const std::string& name : trace::profile_names()) text += "  " + name + "\n";
  return text;
}

std::string localities() {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const std::string& name : trace::locality_names()) {
    const trace::Locality locality = trace::load_locality(name);
    entries.emplace_back(name, "token to token " + three_digits(100 * locality.lag1_excess) +
                                   " % above chance, at a distance " +
                                   three_digits(100 * locality.distant_excess) + " %");
  }
  return lines(entries);
}

std::string metrics() {
  std::vector<std::vector<std::string>> rows = {{"metric", "unit", "CSV", "table", "meaning"}};
  for (const sim::Metric& metric : sim::metrics()) {
    const auto or_dash = [](const std::string& text) { return text.empty() ? "-" : text; };
    rows.push_back({metric.name, or_dash(metric.unit), or_dash(metric.csv),
                    metric.table ? metric.table->head : "-",
                    metric.help + (metric.in_json ? "" : "; not in the JSON")});
  }
  return left_aligned(rows);
}

std::string software() {
  TextTable table(
      {"software", "us a kernel", "in a graph", "from", "ms a step", "of memory", "prompt chunk"});
  for (const std::string& name : software_names()) {
    const SoftwareSpec software = load_software(name);
    const auto us = [](Picoseconds time) {
      return time.count > 0 ? three_digits(time.seconds() * 1e6) : "-";
    };
    table.add({name, us(software.launch.eager), us(software.launch.graph),
               software.launch.graph.count > 0 ? name_of(software.launch.graphs_from) : "-",
               three_digits(software.host.step.seconds() * 1e3), three_digits(software.efficiency.memory),
               software.prompt_chunk > 0 ? std::to_string(software.prompt_chunk) : "-"});
  }
  return table.text();
}

std::string software_keys() { return field_list(software_fields()); }
std::string parts() { return field_list(policy_fields()); }
std::string parallel() { return field_list(sim::parallel_fields()); }
std::string serving() { return field_list(sim::serving_fields()); }
std::string machine_keys() { return field_list(machine_fields()); }

struct Section {
  std::string name, title;
  std::string (*text)();
};

}  // namespace

ExitCode list(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()("what", po::value<std::string>(),
                        "models, families, machines, machine-keys, hosts, software, software-keys, policies, "
                        "parts, serving, parallel, evictions, formats, weight-formats, "
                        "localities, profiles, metrics");
  const Parsed parsed = parse(
      "pregate list "
      "[models|families|machines|machine-keys|hosts|software|software-keys|policies|parts|serving|parallel|"
      "evictions|"
      "formats|"
      "weight-formats|"
      "localities|profiles|metrics]",
      options, arguments, "what", 1);
  if (parsed.help) return 0;
  const std::vector<Section> sections = {
      {"models", "Models (--model)", models},
      {"families", "Families of Hugging Face models (model_type of a config.json)", families},
      {"machines", "Machines (--machine)", machines},
      {"machine-keys", "Keys of a machine (--set machine.<key>=<value>); [host] and [ssd] also of a host",
       machine_keys},
      {"hosts", "Hosts in place of a machine's own (--host)", hosts},
      {"software", "Software that drives a machine (--software)", software},
      {"software-keys", "Keys of a software (--set software.<key>=<value>)", software_keys},
      {"policies", "Policies (--policy)", policies},
      {"parts", "Parts of a policy (--set policy.<key>=<value>)", parts},
      {"serving", "How requests are served (--set serve.<key>=<value>; --batcher, --batch, --arrival-rate)",
       serving},
      {"parallel", "Several GPUs (--set parallel.<key>=<value>; --gpus, --tp, --pp, --dp, --ep)", parallel},
      {"evictions", "Eviction policies (--eviction)", evictions},
      {"formats", "Recordings (--format of pregate trace import; docs/recording.md)", recording_formats},
      {"weight-formats", "Weight formats (--weights)", weight_formats},
      {"localities", "Localities of generated routing (--locality)", localities},
      {"profiles", "Generator profiles (--profile)", profiles},
      {"metrics", "Metrics of a result (keys of --json; columns of --csv and of the table)", metrics}};
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
