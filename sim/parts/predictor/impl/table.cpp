// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "sim/parts/predictor/likeliest.hpp"
#include "sim/parts/predictor/predictor.hpp"
#include "sim/parts/predictor/transitions.hpp"
#include "sim/workload/profile.hpp"

namespace pregate::sim {

namespace {

struct Table {
  int order = 1, guesses = 0, learns = 0;
  bool per_layer = false;
  std::string profile;
};

/// For a layer whose step activates so many, when tokens activate `top_k` each. Klotski's hot experts (arXiv
/// 2502.06888, section 6.2) are as many as a token's, whatever the batch.
std::size_t guesses_of(const Table& table, std::size_t activated, int top_k) {
  if (!table.per_layer) return guesses_for(activated, table.guesses, top_k);
  return static_cast<std::size_t>(table.guesses > 0 ? table.guesses : std::max(1, top_k));
}

/// Distances learn from when they are first asked for on, which for those that a prefetcher always asks for
/// is the first decode step.
class ByTable final : public Predictor {
 public:
  ByTable(const Table& table, const ExpertMap& map)
      : map_(map), given_(table), activated_(map.layers().size()) {
    if (!table.profile.empty()) open_profile(table.profile, map, profile_key);  // refused before the run
  }

  void begin_pass(trace::Phase phase, bool) override {
    is_decode_ = phase == trace::Phase::decode;
    if (is_decode_) ++steps_;
    for (std::vector<ExpertKey>& keys : activated_) keys.clear();
  }
  void observe(int ordinal, std::span<const ExpertKey> activated, std::span<const std::uint32_t>) override {
    if (!is_decode_) return;
    activated_[place(ordinal)].assign(activated.begin(), activated.end());
    if (!given_.profile.empty() || (given_.learns > 0 && steps_ > given_.learns)) return;
    for (Transitions& each : by_distance_) learn(each, ordinal);
  }
  std::span<const ExpertKey> predict(int ordinal, int target) override {
    const MoeLayer &from = map_.layers()[place(ordinal)], &to = map_.layers()[place(target)];
    const std::span<const ExpertKey> activated = activated_[place(ordinal)];
    const std::span<const double> scores =
        of_distance(target - ordinal).scores(ordinal, before(ordinal), activated);
    likeliest_.choose(scores, to.first_key, guesses_of(given_, activated.size(), from.top_k));
    return likeliest_.keys();
  }
  [[nodiscard]] std::span<const double> probabilities() const override { return likeliest_.scores(); }

 private:
  static constexpr const char* profile_key = "policy.lookahead.profile";
  static std::size_t place(int ordinal) { return static_cast<std::size_t>(ordinal); }
  [[nodiscard]] std::span<const ExpertKey> before(int ordinal) const {
    const bool has =
        ordinal > 0 && map_.layers()[place(ordinal)].stack == map_.layers()[place(ordinal - 1)].stack;
    return has ? std::span<const ExpertKey>(activated_[place(ordinal - 1)]) : std::span<const ExpertKey>{};
  }
  void learn(Transitions& of, int target) {
    const int from = target - of.distance();
    if (from < 0 || map_.layers()[place(from)].stack != map_.layers()[place(target)].stack) return;
    of.learn(from, before(from), activated_[place(from)], activated_[place(target)]);
  }
  Transitions& of_distance(int distance) {
    for (Transitions& each : by_distance_) {
      if (each.distance() == distance) return each;
    }
    Transitions& made = by_distance_.emplace_back(map_, given_.order, distance, bytes_left_);
    if (!given_.profile.empty()) learn_profile(made);
    return made;
  }
  /// Token by token, in every phase.
  void learn_profile(Transitions& of) {
    const std::vector<std::vector<ExpertKey>> running = activated_;
    const auto source = open_profile(given_.profile, map_, profile_key);
    const ExpertMap profile(source->info());  // its top-k may be another
    trace::Step step;
    while (source->next(step)) {
      const auto [first, last] = profile.ordinals(step.stack);
      for (int token = 0; token < step.tokens; ++token) {
        std::size_t at = 0;
        for (int ordinal = first; ordinal < last; ++ordinal) {
          const MoeLayer& layer = profile.layers()[place(ordinal)];
          const auto top_k = place(layer.top_k);
          std::vector<ExpertKey>& keys = activated_[place(ordinal)];
          keys.clear();
          for (const std::uint16_t id : step.experts.subspan(at + place(token) * top_k, top_k)) {
            const ExpertKey key = layer.first_key + id;
            if (id != trace::no_expert && std::find(keys.begin(), keys.end(), key) == keys.end())
              keys.push_back(key);
          }
          learn(of, ordinal);
          at += place(step.tokens) * top_k;
        }
      }
    }
    activated_ = running;
  }

  const ExpertMap& map_;
  Table given_;
  std::int64_t bytes_left_ = std::int64_t{2} << 30U;
  std::deque<Transitions> by_distance_;
  std::vector<std::vector<ExpertKey>> activated_;  // by ordinal, in this decode step
  Likeliest likeliest_;
  std::int64_t steps_ = 0;
  bool is_decode_ = true;
};

}  // namespace

PredictorEntry table_of_transitions() {
  PredictorEntry entry;
  entry.name = "table";
  entry.help = "those that most often came with what this layer activates, counted";
  entry.mechanism = "table prefetch";
  Fields<Table> fields;
  fields.add("order", &Table::order, "layers that it looks back: this one, or the one before it too",
             pregate::Range{1, 2, "1 or 2"});
  fields
      .add("guesses", &Table::guesses, "experts that are named for a token",
           pregate::Range{0, 65536, "from 0 to 65536"})
      .or_zero("as many as it activates");
  fields.add("per_layer", &Table::per_layer,
             "guesses are for a layer, whatever the batch (0: as many as a token activates)");
  fields
      .add("learns", &Table::learns, "first decode steps from which it learns",
           pregate::Range{0, 1e9, "from 0 to 1000000000"})
      .or_zero("all that have been");
  fields.add_where_set("profile", &Table::profile,
                       "file of a trace from which it learns, token by token, instead of from this one");
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& table, const ExpertMap& map) {
    return std::make_unique<ByTable>(std::any_cast<const Table&>(table), map);
  };
  entry.most_guesses = [](const std::any& table, const ExpertMap& map, const TraceScan& scan) {
    const auto& given = std::any_cast<const Table&>(table);
    if (!given.per_layer) return most_guesses_of(given.guesses, map, scan);
    std::size_t most = 0;
    for (const MoeLayer& layer : map.layers())
      most = std::max(most,
                      std::min(guesses_of(given, 0, layer.top_k), static_cast<std::size_t>(layer.experts)));
    return static_cast<int>(most);
  };
  entry.keeps_to_most_guesses = true;
  return entry;
}

}  // namespace pregate::sim
