// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "sim/parts/miss/miss_service.hpp"
#include "sim/workload/activation_profile.hpp"

namespace pregate::sim {

namespace {

struct Wide {
  double share = 0.5;
  std::string profile;
};

/// Every expert has one format for the whole run: of each layer the most activated ones the model's own.
class FormatByPopularity final : public MissService {
 public:
  void decide(const Moment&, const Misses& misses, std::span<Serving> of_each) override {
    for (std::size_t i = 0; i < of_each.size(); ++i)
      of_each[i].format = misses.marked[i] != 0 ? model_format : low_format;
  }
};

/// By key: 1 for the most popular ones of each layer, the lower id on a tie.
std::vector<std::uint8_t> wide_ones(const Wide& wide, const ExpertMap& map, std::vector<double> popularity) {
  std::vector<std::uint8_t> marks(map.keys());
  std::vector<ExpertKey> order;
  for (const MoeLayer& layer : map.layers()) {
    order.resize(static_cast<std::size_t>(layer.experts));
    std::iota(order.begin(), order.end(), layer.first_key);
    std::stable_sort(order.begin(), order.end(),
                     [&](ExpertKey a, ExpertKey b) { return popularity[a] > popularity[b]; });
    const auto count = static_cast<std::size_t>(std::lround(wide.share * layer.experts));
    for (std::size_t i = 0; i < count; ++i) marks[order[i]] = 1;
  }
  return marks;
}

}  // namespace

/// MC-MoE (arXiv:2410.06270) and EdgeMoE (arXiv:2308.14352) give each expert its bits, by how much it
/// matters.
MissServiceEntry format_by_popularity() {
  MissServiceEntry entry;
  entry.name = "format-by-popularity";
  entry.help =
      "it is copied in its format: the most activated experts of a layer have the model's, the others "
      "formats.low";
  entry.mechanism = "format by expert";
  Fields<Wide> fields;
  fields.add("wide", &Wide::share, "share of each layer's experts that have the model's format",
             pregate::Range{0, 1, "from 0 to 1"});
  fields.add_where_set("profile", &Wide::profile,
                       "file of a trace by whose activations they are chosen, instead of by this one's");
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any&) { return std::make_unique<FormatByPopularity>(); };
  entry.mark = [](const std::any& parameters, const ExpertMap& map, const TraceScan& scan) {
    const Wide& wide = std::any_cast<const Wide&>(parameters);
    if (!wide.profile.empty())
      return wide_ones(wide, map, read_profile(wide.profile, map, "policy.miss.profile").shares);
    return wide_ones(wide, map, {scan.popularity.begin(), scan.popularity.end()});
  };
  entry.uses_low_format = true;
  return entry;
}

}  // namespace pregate::sim
