// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/recording.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <numeric>

#include "models/error.hpp"
#include "traces/content_hash.hpp"
#include "traces/layout.hpp"
#include "traces/utf8.hpp"
#include "traces/writer.hpp"

namespace pregate::trace {

void RecordedStep::shape(std::size_t layers, std::int64_t token_count, int ids, bool weighted,
                         const std::string& where, bool predicts) {
  if (token_count < 1 || token_count > max_step_tokens || ids < 1 || ids > max_top_k ||
      static_cast<std::int64_t>(layers) * token_count * ids > max_step_entries)
    throw InputError(where, "a pass of " + std::to_string(token_count) + " tokens, " +
                                std::to_string(layers) + " layers and " + std::to_string(ids) +
                                " experts a token is too large");
  tokens = static_cast<int>(token_count);
  width = ids;
  const std::size_t entries = layers * static_cast<std::size_t>(token_count) * static_cast<std::size_t>(ids);
  experts.assign(entries, no_expert);
  weights.assign(weighted ? entries : 0, 0.0F);
  predicted.assign(predicts ? entries : 0, no_expert);
}

namespace {

/// First pass: how many experts a layer has at least, and how many a token uses at most.
class ShapePass final : public RecordingSink {
 public:
  struct Layer {
    int highest = -1;
    int top_k = 0;
  };

  explicit ShapePass(const RecordingFacts& facts) : facts_(facts) {}

  void begin_request(const std::string& label, int sequences) override {
    static_cast<void>(label);
    static_cast<void>(sequences);
    order_.begin_request();
  }

  void add(const RecordedStep& step, const std::string& where) override {
    const auto stack = static_cast<std::size_t>(step.stack);
    check(step, where);
    if (stacks_.size() < facts_.stacks.size()) stacks_.resize(facts_.stacks.size());
    auto& layers = stacks_[stack];
    layers.resize(facts_.stacks[stack].layers.size());
    for (std::size_t l = 0; l < layers.size(); ++l)
      for (std::size_t t = 0; t < static_cast<std::size_t>(step.tokens); ++t)
        for (std::size_t r = 0; r < static_cast<std::size_t>(step.width); ++r) {
          const std::size_t at = step.at(l, t, r);
          see(step.experts[at], r, layers[l], where);
          if (!step.predicted.empty()) see(step.predicted[at], r, layers[l], where);
        }
  }

  /// In the order of their layers, as `seen` in the facts of the second pass.
  void sort(std::vector<RecordingFacts::Stack>& facts) {
    stacks_.resize(facts.size());
    for (std::size_t s = 0; s < facts.size(); ++s) {
      auto& layers = facts[s].layers;
      stacks_[s].resize(layers.size());
      std::vector<std::size_t> by_index(layers.size());
      std::iota(by_index.begin(), by_index.end(), std::size_t{0});
      std::sort(by_index.begin(), by_index.end(),
                [&](std::size_t a, std::size_t b) { return layers[a].index < layers[b].index; });
      std::vector<RecordingFacts::Layer> sorted_facts;
      std::vector<Layer> sorted;
      for (const std::size_t l : by_index) {
        sorted_facts.push_back(layers[l]);
        sorted.push_back(stacks_[s][l]);
      }
      layers = std::move(sorted_facts);
      stacks_[s] = std::move(sorted);
    }
  }

  [[nodiscard]] const std::vector<std::vector<Layer>>& stacks() const { return stacks_; }

 private:
  static void see(std::uint16_t id, std::size_t rank, Layer& layer, const std::string& where) {
    if (id == no_expert) return;
    if (id >= max_experts)
      throw InputError(
          where, "expert " + std::to_string(id) + "; a layer has at most " + std::to_string(max_experts));
    layer.highest = std::max(layer.highest, static_cast<int>(id));
    layer.top_k = std::max(layer.top_k, static_cast<int>(rank) + 1);
  }

  /// What the trace would refuse is refused here, where the place in the recording is known.
  void check(const RecordedStep& step, const std::string& where) {
    if (!all_sane(step.weights)) throw InputError(where, "a gate weight out of range", weight_hint);
    Step placed;
    placed.phase = step.phase;
    placed.stack = step.stack;
    placed.sequences = step.sequences;
    placed.tokens = step.tokens;
    placed.position = step.position;
    placed.experts = step.experts;
    const auto& layers = facts_.stacks[static_cast<std::size_t>(step.stack)].layers;
    StackLayout layout;
    TraceInfo info;
    for (const auto& layer : layers) {
      layout.layers.push_back(static_cast<int>(layout.layers.size()));
      layout.top_k.push_back(step.width);
      info.layers.push_back({step.stack, layer.index, layer.experts, step.width, layer.expert_bytes});
    }
    if (const std::string twice = find_duplicate(placed, layout, info); !twice.empty())
      throw InputError(where, twice, "a router chooses an expert at most once for a token");
    if (const std::string jump = order_.next(placed); !jump.empty())
      throw InputError(where, jump, "records are missing or out of order");
  }

  StepOrder order_;
  const RecordingFacts& facts_;
  std::vector<std::vector<Layer>> stacks_;
};

/// Second pass: drops layers that route nowhere, cuts to each layer's top_k and writes.
class WritePass final : public RecordingSink {
 public:
  WritePass(TraceWriter& writer, const std::vector<std::vector<ShapePass::Layer>>& stacks)
      : writer_(writer), stacks_(stacks) {}

  void begin_request(const std::string& label, int sequences) override {
    writer_.begin_request({.id = 0, .label = as_utf8(label.substr(0, 1024)), .sequences = sequences});
  }

  void add(const RecordedStep& recorded, const std::string& where) override {
    static_cast<void>(where);
    experts_.clear();
    weights_.clear();
    predicted_.clear();
    const auto& layers = stacks_[static_cast<std::size_t>(recorded.stack)];
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const auto top_k = static_cast<std::ptrdiff_t>(layers[l].top_k);
      if (top_k == 0) continue;
      for (std::size_t t = 0; t < static_cast<std::size_t>(recorded.tokens); ++t) {
        const auto first = static_cast<std::ptrdiff_t>(recorded.at(l, t, 0));
        for (std::ptrdiff_t r = 0; r < top_k; ++r) {
          const bool recorded_rank = r < recorded.width;
          const auto at = static_cast<std::size_t>(first + r);
          experts_.push_back(recorded_rank ? recorded.experts[at] : no_expert);
          if (!recorded.weights.empty()) weights_.push_back(recorded_rank ? recorded.weights[at] : 0.0F);
          if (!recorded.predicted.empty())
            predicted_.push_back(recorded_rank ? recorded.predicted[at] : no_expert);
        }
      }
    }
    Step step;
    step.phase = recorded.phase;
    step.stack = recorded.stack;
    step.sequences = recorded.sequences;
    step.tokens = recorded.tokens;
    step.position = recorded.position;
    step.experts = experts_;
    step.weights = weights_;
    step.predicted = predicted_;
    writer_.add(step);
  }

 private:
  TraceWriter& writer_;
  const std::vector<std::vector<ShapePass::Layer>>& stacks_;
  std::vector<std::uint16_t> experts_, predicted_;
  std::vector<float> weights_;
};

/// Experts of a layer: as recorded, as the user says, or the least power of two above the highest id seen.
int resolve_experts(int declared, int highest, const ImportOptions& options, const std::string& where,
                    bool& inferred) {
  if (declared > 0 && options.experts > 0 && declared != options.experts)
    throw InputError(
        where, "has " + std::to_string(declared) + " experts a layer, not " + std::to_string(options.experts),
        "leave the number of experts out");
  const int said = declared > 0 ? declared : options.experts;
  if (said > 0 && options.model_experts > 0 && said != options.model_experts)
    throw InputError(where,
                     "has " + std::to_string(said) + " experts a layer, but " + printable(options.model) +
                         " has " + std::to_string(options.model_experts),
                     "is this a recording of another model?");
  int experts = said > 0 ? said : options.model_experts;
  if (experts == 0) {
    inferred = true;
    experts = static_cast<int>(std::bit_ceil(static_cast<unsigned>(highest) + 1U));
  }
  if (highest >= experts)
    throw InputError(where,
                     "expert " + std::to_string(highest) + " occurs, but a layer has " +
                         std::to_string(experts) + " experts (0.." + std::to_string(experts - 1) + ")",
                     "is this a recording of another model?");
  return experts;
}

/// The recorded layers of the last stack must be MoE layers of the model, where the caller knows it. A
/// recording that counts MoE layers alone is said to, and its layers get the model's indices.
void fit_to_model(TraceInfo& info, RecordingFacts& facts, const std::string& where,
                  const ImportOptions& options) {
  const std::vector<int>& moe = options.model_moe_layers;
  if (moe.empty()) return;
  const int stack = info.layers.back().stack;
  const auto of_stack = [&](const TraceLayer& layer) { return layer.stack == stack; };
  const auto unknown = std::find_if(info.layers.begin(), info.layers.end(), [&](const TraceLayer& layer) {
    return of_stack(layer) && !std::binary_search(moe.begin(), moe.end(), layer.layer);
  });
  if (unknown == info.layers.end()) return;
  if (info.layers.back().layer >= static_cast<int>(moe.size()))
    throw InputError(where,
                     "routes in layer " + std::to_string(unknown->layer) + ", which is no MoE layer of " +
                         printable(options.model),
                     "is this a recording of another model?");
  for (TraceLayer& layer : info.layers)
    if (of_stack(layer)) layer.layer = moe[static_cast<std::size_t>(layer.layer)];
  facts.notes.push_back("the recording counts MoE layers alone: its layer 0 is layer " +
                        std::to_string(moe.front()) + " of the model");
}

/// What the first pass learned, as a trace says it; notes go to the facts.
TraceInfo describe(RecordingFacts& facts, const ShapePass& shape, const std::string& where,
                   const ImportOptions& options) {
  TraceInfo info;
  info.model = as_utf8(options.model.empty() ? facts.model : options.model);
  info.has_weights = facts.has_weights;
  info.has_predictions = facts.has_predictions;
  info.prediction_distance = facts.prediction_distance;
  info.model_top_k = options.model_top_k;
  bool inferred = false;
  int most = 0, top_k = 0;
  for (std::size_t s = 0; s < facts.stacks.size(); ++s) {
    info.stacks.push_back(facts.stacks[s].name);
    for (std::size_t l = 0; s < shape.stacks().size() && l < shape.stacks()[s].size(); ++l) {
      const auto& seen = shape.stacks()[s][l];
      if (seen.top_k == 0) continue;
      const auto& said = facts.stacks[s].layers[l];
      const int experts = resolve_experts(said.experts, seen.highest, options, where, inferred);
      info.layers.push_back({.stack = static_cast<int>(s),
                             .layer = said.index,
                             .experts = experts,
                             .top_k = seen.top_k,
                             .expert_bytes = said.expert_bytes});
      most = std::max(most, experts);
      top_k = std::max(top_k, seen.top_k);
    }
  }
  if (info.layers.empty()) throw InputError(where, "holds no routing decisions");
  fit_to_model(info, facts, where, options);
  if (inferred) {
    // Layers of one recording have one model; a layer that never used its upper half still has it.
    for (TraceLayer& layer : info.layers) layer.experts = most;
    facts.notes.push_back("the recording does not say how many experts a layer has; " + std::to_string(most) +
                          " is the least power of two above the highest id");
  }
  if (info.model_top_k != 0 && top_k > info.model_top_k)
    throw InputError(where,
                     "has " + std::to_string(top_k) + " experts a token, but " + printable(options.model) +
                         " routes to " + std::to_string(info.model_top_k),
                     "is this a recording of another model?");
  if (info.model_top_k != 0 && info.model_top_k != top_k)
    facts.notes.push_back("recorded with " + std::to_string(top_k) + " of the model's " +
                          std::to_string(info.model_top_k) +
                          " experts a token; the trace's count is simulated");
  return info;
}

}  // namespace

void throw_with_recording_hint(const InputError& error) {
  const std::string said = error.what();
  const std::string pointer = "docs/recording.md says how each engine makes a recording";
  const std::string mark = "\n       hint: ";  // as what() is made
  if (const std::size_t at = said.find(mark); at != std::string::npos)
    throw InputError({}, said.substr(0, at), said.substr(at + mark.size()) + "; " + pointer);
  throw InputError({}, said, pointer);
}

void note_unread(const std::vector<std::string>& keys, RecordingFacts& facts) {
  std::string names;
  for (const std::string& key : keys) names += (names.empty() ? "" : ", ") + printable(key, 40);
  if (!names.empty()) facts.notes.push_back("keys of the records that are not read: " + names);
}

void record_provenance(TraceInfo& info, const std::vector<std::string>& inputs, const std::string& format) {
  info.provenance["format"] = format;
  std::string names, hashes;
  for (const std::string& input : inputs) {
    // Enough to tell a few files apart; a list of thousands is cut.
    if (names.size() > 8192) break;
    names += (names.empty() ? "" : "\n") + as_utf8(std::filesystem::path(input).filename().string());
    hashes += (hashes.empty() ? "" : "\n") + sha256_of_file(input);
  }
  info.provenance["source"] = names;
  info.provenance["source_sha256"] = hashes;
}

ImportResult import_recording(const Parser& parser, const std::vector<std::string>& inputs,
                              const std::string& output, const ImportOptions& options,
                              const std::string& format) {
  RecordingFacts facts;
  facts.known = options;
  ShapePass shape(facts);
  TraceInfo info;
  with_recording_hint([&] {
    parser(inputs, facts, shape);
    shape.sort(facts.stacks);
    info = describe(facts, shape, inputs.front(), options);
  });
  record_provenance(info, inputs, format);
  for (std::size_t i = 0; i < facts.notes.size(); ++i)
    info.provenance["note_" + std::to_string(i + 1)] = as_utf8(facts.notes[i]);

  ImportResult result;
  result.format = format;
  result.notes = facts.notes;
  TraceWriter writer(output, info, options.overwrite);
  WritePass write(writer, shape.stacks());
  RecordingFacts again;
  again.known = options;
  again.seen = facts.stacks;
  parser(inputs, again, write);
  result.info = writer.commit();
  return result;
}

}  // namespace pregate::trace
