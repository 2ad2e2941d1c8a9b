// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/recording.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>

#include "models/error.hpp"
#include "traces/content_hash.hpp"
#include "traces/layout.hpp"
#include "traces/utf8.hpp"
#include "traces/writer.hpp"

namespace pregate::trace {

void RecordedStep::shape(std::size_t layers, std::int64_t token_count, int ids, bool weighted,
                         const std::string& where) {
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
  }

  void add(const RecordedStep& step, const std::string& where) override {
    const auto stack = static_cast<std::size_t>(step.stack);
    if (stacks_.size() < facts_.stacks.size()) stacks_.resize(facts_.stacks.size());
    auto& layers = stacks_[stack];
    layers.resize(facts_.stacks[stack].layers.size());
    for (std::size_t l = 0; l < layers.size(); ++l)
      for (std::size_t t = 0; t < static_cast<std::size_t>(step.tokens); ++t)
        for (std::size_t r = 0; r < static_cast<std::size_t>(step.width); ++r) {
          const std::uint16_t id = step.experts[step.at(l, t, r)];
          if (id == no_expert) continue;
          if (id >= max_experts)
            throw InputError(where, "expert " + std::to_string(id) + "; a layer has at most " +
                                        std::to_string(max_experts));
          layers[l].highest = std::max(layers[l].highest, static_cast<int>(id));
          layers[l].top_k = std::max(layers[l].top_k, static_cast<int>(r) + 1);
        }
  }

  [[nodiscard]] const std::vector<std::vector<Layer>>& stacks() const { return stacks_; }

 private:
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
    writer_.add(step);
  }

 private:
  TraceWriter& writer_;
  const std::vector<std::vector<ShapePass::Layer>>& stacks_;
  std::vector<std::uint16_t> experts_;
  std::vector<float> weights_;
};

/// Experts of a layer: as recorded, as the user says, or the least power of two above the highest id seen.
int resolve_experts(int declared, int highest, const ImportOptions& options, const std::string& where,
                    bool& inferred) {
  if (declared > 0 && options.experts > 0 && declared != options.experts)
    throw InputError(
        where, "has " + std::to_string(declared) + " experts a layer, not " + std::to_string(options.experts),
        "leave the number of experts out");
  int experts = declared > 0 ? declared : options.experts;
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

}  // namespace

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
  ShapePass shape(facts);
  parser(inputs, facts, shape);
  const std::string& where = inputs.front();

  ImportResult result;
  result.format = format;
  TraceInfo info;
  info.model = as_utf8(options.model.empty() ? facts.model : options.model);
  info.has_weights = facts.has_weights;
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
  if (inferred) {
    // Layers of one recording have one model; a layer that never used its upper half still has it.
    for (TraceLayer& layer : info.layers) layer.experts = most;
    facts.notes.push_back("the recording does not say how many experts a layer has; " + std::to_string(most) +
                          " is the least power of two above the highest id");
  }
  if (info.model_top_k != 0 && info.model_top_k != top_k)
    facts.notes.push_back("recorded with " + std::to_string(top_k) + " of the model's " +
                          std::to_string(info.model_top_k) +
                          " experts a token; the trace's count is simulated");
  record_provenance(info, inputs, format);
  for (std::size_t i = 0; i < facts.notes.size(); ++i)
    info.provenance["note_" + std::to_string(i + 1)] = facts.notes[i];
  result.notes = facts.notes;

  TraceWriter writer(output, info, options.overwrite);
  WritePass write(writer, shape.stacks());
  RecordingFacts again;
  parser(inputs, again, write);
  result.info = writer.commit();
  return result;
}

}  // namespace pregate::trace
