// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/residuals.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>

#include "models/catalog.hpp"
#include "models/fields/choices.hpp"
#include "sim/policy/load_policy.hpp"
#include "validation/published/embedded.hpp"
#include "validation/published/mechanism.hpp"
#include "validation/published/offload_setup.hpp"
#include "validation/published/serving_case.hpp"
#include "validation/published/system_setup.hpp"

namespace pregate::validation {

namespace {

/// A machine of the catalogue that was fitted to rows of a case, and the rates among those rows (the block
/// latencies among them are no rates anyway).
struct FittedMachine {
  std::string_view published_case, machine;
  std::array<std::string_view, 3> fitted_rows;

  [[nodiscard]] bool used(std::string_view row) const {
    return std::find(fitted_rows.begin(), fitted_rows.end(), row) != fitted_rows.end();
  }
};
/// Its overheads come from these rows, see its [sources].
constexpr std::array fitted_machines = {
    FittedMachine{"pregated-a100",
                  "a100-80g-fastertransformer",
                  {"Figure 11, switch-base-64, gpu-only", "Figure 11, switch-base-128, gpu-only",
                   "Figure 11, switch-base-128, pre-gated"}}};

/// Whether a `set` of a case says what hardware there is, or which policy and model run. All else is
/// knowledge that only measurements on that machine and software give.
bool is_description(std::string_view set) {
  constexpr std::array described = {"machine.gpu.name",
                                    "machine.gpu.memory",
                                    "machine.gpu.memory_bandwidth",
                                    "machine.gpu.sm_count",
                                    "machine.gpu.rates",
                                    "machine.host.cpu",
                                    "machine.host.cores",
                                    "machine.host.memory",
                                    "machine.host.rate",
                                    "machine.host.flop_per_cycle",
                                    "machine.host.core_bandwidth",
                                    "machine.gpu.device_copy_bandwidth",
                                    "machine.host.memory_bandwidth"};
  const std::string_view path = set.substr(0, set.find('='));
  if (path == "policy.transfer.staging_copies" || path == "policy.transfer.announced") return false;
  if (!path.starts_with("machine.")) return true;
  return std::find(described.begin(), described.end(), path) != described.end();
}

/// Takes the fitted constants and all that is no description out of a case.
void strip(Node& node) {
  std::erase_if(node.members, [](const Member& member) {
    return member.key == "fixes" || member.key == "constant" || member.key == "aggregate";
  });
  for (Member& member : node.members) {
    if (member.key == "set") {
      std::erase_if(member.value.items, [](const Node& item) { return !is_description(item.text); });
    }
    strip(member.value);
  }
  for (Node& item : node.items) strip(item);
}

/// Takes out the software that a case's systems name, and with it that rows of theirs fixed its constants.
void strip_software(Node& document) {
  for (const auto& [tables, key] : {std::pair{"system", "software"}, std::pair{"row", "calibrated"}}) {
    Node* all = document.find(tables);
    if (all == nullptr) continue;
    for (Node& table : all->items)
      std::erase_if(table.members, [key = key](const Member& member) { return member.key == key; });
  }
}

/// Names of software by those of the systems that name one.
std::map<std::string, std::string> software_of_systems(const Node& document) {
  std::map<std::string, std::string> names;
  const Node* systems = document.find("system");
  if (systems == nullptr) return names;
  for (const Node& system : systems->items) {
    const Node *name = system.find("name"), *software = system.find("software");
    if (name != nullptr && software != nullptr) names[name->text] = software->text;
  }
  return names;
}

using RowKey = std::tuple<std::string, std::string, std::string>;  // series, subject, variant

/// What the rows of a case are of, `residual` filled but for basis, machine and percent; none: no rate to
/// keep.
std::map<RowKey, std::optional<Residual>> describe_rows(const Node& document, const std::string& kind) {
  TableReader top(document, "");
  std::map<RowKey, std::optional<Residual>> rows;
  if (kind == "offload") {
    const OffloadSetup setup = read_offload_setup(top);
    const GpuSpec gpu = load_machine(setup.machine, setup.set).gpu;
    for (const OffloadRow& row : setup.rows) {
      if (row.metric != OffloadMetric::tokens_per_s) continue;
      const Workload& workload = setup.workloads[row.workload];
      std::vector<Override> set = setup.set;
      set.insert(set.end(), workload.set.begin(), workload.set.end());
      Residual residual;
      residual.gpu = gpu.name;
      residual.architecture = name_of(gpu.architecture);
      residual.model = row.model;
      residual.mechanism = mechanism_of(load_policy(row.design, set));
      residual.batch = workload.batch;
      const std::string subject = workload.label.empty() ? row.model : row.model + ", " + workload.label;
      rows[{row.series, subject, row.design}] = residual;
    }
    return rows;
  }
  const SystemSetup setup = read_system_setup(top);
  for (const SystemRow& row : setup.rows) {
    if (row.quantity == RowQuantity::prompt) {  // a rate of another kind than those that ranges are of
      rows[{row.row.series, row.row.subject, row.row.variant}] = std::nullopt;
      continue;
    }
    const System& system = setup.systems[row.system];
    const ModelRun& run = setup.runs[row.run];
    std::vector<Override> set = system.set;
    set.insert(set.end(), run.set.begin(), run.set.end());
    set.insert(set.end(), row.set.begin(), row.set.end());
    Residual residual;
    const GpuSpec gpu = load_machine(system.machine, set).gpu;
    residual.gpu = gpu.name;
    residual.architecture = name_of(gpu.architecture);
    residual.model = run.model;
    residual.mechanism = mechanism_of(load_policy(row.policy, set));
    rows[{row.row.series, row.row.subject, row.row.variant}] = residual;
  }
  return rows;
}

class ResidualsOfCase {
 public:
  ResidualsOfCase(const EmbeddedFile& file, std::string kind, const DataFolder& data)
      : name_(file.name),
        kind_(std::move(kind)),
        data_(data),
        document_(parse_toml_document(file.text, name_ + ".toml")),
        stripped_(document_),
        software_(software_of_systems(document_)) {
    strip(stripped_);
    rows_ = describe_rows(stripped_, kind_);
  }

  void add(std::vector<Residual>& residuals, std::vector<std::string>& skipped) const {
    // Without constants of its own a case is predicted with datasheets and described software alone.
    const bool is_calibrated = software_.empty() || document_.find("constant") != nullptr;
    if (is_calibrated) add(Basis::calibrated, document_, {}, residuals, skipped);
    std::vector<std::string> none;  // the same recordings lack on every basis
    std::vector<std::string>& again = is_calibrated ? none : skipped;
    for (const FittedMachine& fitted : fitted_machines) {
      if (fitted.published_case != name_) continue;
      Node document = stripped_;
      if (Node* machine = document.find("machine")) machine->text = fitted.machine;
      add(Basis::fitted_machine, document, fitted, residuals, again);
    }
    add(Basis::datasheet, stripped_, {}, residuals, again);
    if (software_.empty()) return;
    Node document = stripped_;
    strip_software(document);
    add(Basis::datasheet, document, {}, residuals, none);
  }

 private:
  void add(Basis basis, const Node& document, const FittedMachine& fitted, std::vector<Residual>& residuals,
           std::vector<std::string>& skipped) const {
    TableReader top(document, "");
    CaseResult result;
    const auto experiment = kind_ == "offload" ? read_offload_case(top) : read_system_case(top);
    experiment->evaluate(data_, result);
    if (!result.skipped.empty()) skipped.push_back(name_);
    const bool has_software = &document == &stripped_;
    for (const Row& row : result.rows) {
      if (!row.metric.ends_with("tokens_per_s") || row.comparison != Comparison::ratio || !row.gated ||
          row.role == Role::calibrate) {
        continue;
      }
      const auto described = rows_.find({row.series, row.subject, row.variant});
      if (described == rows_.end()) throw InputError(name_, "the row of " + row.subject + " has no source");
      if (!described->second) continue;
      Residual residual = *described->second;
      residual.basis = basis;
      residual.published_case = name_;
      residual.row = row.series + ", " + row.subject + ", " + row.variant;
      residual.machine = fitted.machine;
      const auto software = software_.find(row.subject);
      if (has_software && software != software_.end() && software->second != load_software().name)
        residual.software = software->second;
      residual.percent = row.error();
      if (!fitted.used(residual.row)) residuals.push_back(std::move(residual));
    }
  }

  std::string name_, kind_;
  const DataFolder& data_;
  Node document_, stripped_;
  std::map<std::string, std::string> software_;  ///< by system, of those that name one
  std::map<RowKey, std::optional<Residual>> rows_;
};

/// Rates of a served case's servers of several GPUs.
void add_served(const EmbeddedFile& file, std::size_t every, std::vector<Residual>& residuals) {
  const std::string name(file.name);
  const Node document = parse_toml_document(file.text, name + ".toml");
  TableReader top(document, "");
  for (const ServedRate& rate : predict_served_rates(top, every)) {
    const GpuSpec gpu = load_machine(rate.machine).gpu;
    Residual residual;
    residual.basis = Basis::several_gpus;
    residual.published_case = name;
    residual.row = rate.row;
    residual.gpu = gpu.name;
    residual.architecture = name_of(gpu.architecture);
    residual.software = rate.software;
    residual.model = rate.model;
    residual.mechanism = mechanism_of(load_policy("gpu-only"));
    residual.batch = rate.concurrency;
    residual.percent = rate.percent;
    residuals.push_back(std::move(residual));
  }
}

}  // namespace

std::vector<Residual> compute_residuals(const DataFolder& data, std::vector<std::string>& skipped,
                                        std::size_t every_served) {
  std::vector<Residual> residuals;
  for (const std::string& name : case_names()) {
    const auto files = embedded_cases();
    const auto file =
        std::find_if(files.begin(), files.end(), [&](const EmbeddedFile& each) { return each.name == name; });
    const std::string kind = load_case(name).kind;
    if (kind == "serving") add_served(*file, every_served, residuals);
    if (kind != "offload" && kind != "systems") continue;  // they predict no rates
    ResidualsOfCase(*file, kind, data).add(residuals, skipped);
  }
  return residuals;
}

}  // namespace pregate::validation
