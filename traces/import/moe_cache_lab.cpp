// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// JSON lines of moe-cache-lab ("moe-cache-lab.routing-jsonl"), versions 1 and 2: a metadata record, then one
// record a token and layer, prompts layer by layer, generated tokens one by one. Version 2 tells encoder and
// decoder apart and has tokens that no expert had room for. A file is one request.
#include <filesystem>
#include <map>

#include "models/error.hpp"
#include "traces/import/json_record.hpp"
#include "traces/import/pass_builder.hpp"
#include "traces/import/record_start.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

constexpr const char* family = "moe-cache-lab.routing-jsonl";

class CacheLab {
 public:
  CacheLab(const std::string& path, RecordingFacts& facts, RecordingSink& sink, PassBuilder& builder,
           std::vector<std::string>& unread)
      : lines_(path), facts_(facts), sink_(sink), builder_(builder), unread_(unread) {}

  void read() {
    std::string_view line;
    bool has_metadata = false;
    while (lines_.next(line)) {
      if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
      const Json object = parse_json_line(line, lines_);
      Fields fields(object, lines_, "the record ");
      const std::string type = fields.text_or_empty("record_type");
      if (!has_metadata) {
        if (type != "metadata") fields.fail("is not the metadata that the file must begin with");
        read_metadata(fields);
        has_metadata = true;
        sink_.begin_request(std::filesystem::path(lines_.path()).filename().string(), 1);
      } else if (type == "routing_selection") {
        read_selection(fields);
      } else {
        fields.fail("has record_type '" + printable(type, 40) + "'", "routing_selection belongs there");
      }
    }
    if (!has_metadata) throw InputError(lines_.path(), "holds no records");
    flush();
  }

 private:
  struct Stage {
    std::int64_t experts = 0, top_k = 0;
  };

  void read_metadata(Fields& fields) {
    if (fields.text_or_empty("format") != family)
      fields.fail(std::string("lacks \"format\": \"") + family + "\"");
    version_ = fields.integer("format_version", 0, 1'000'000);
    if (version_ != 1 && version_ != 2)
      fields.fail("has format_version " + std::to_string(version_) + "; versions 1 and 2 are read");
    const std::string model = fields.text_or_empty("model_id");
    if (!facts_.model.empty() && model != facts_.model)
      fields.fail("is of another model than the files before", "import them one by one");
    facts_.model = model;
    for (const char* key : {"source_text", "generated_text", "capture_method", "created_at",
                            "transformers_version", "model_revision"})
      fields.take(key);
    if (version_ == 1) {
      stages_["decoder"] = {optional(fields, "num_experts", max_experts),
                            optional(fields, "experts_per_token", max_top_k)};
    } else {
      const Json& stages = fields.require("routing_stages");
      if (!stages.is_array() || stages.empty() || stages.size() > 2)
        fields.fail("has 'routing_stages' that are not a list of one or two");
      for (const Json& stage : stages) {
        Fields of(stage, lines_, "the routing stage ");
        const std::string name = of.text_or_empty("routing_stage");
        if (name != "encoder" && name != "decoder")
          of.fail("is '" + printable(name, 40) + "'", "encoder or decoder");
        stages_[name] = {of.integer("num_experts", 1, max_experts),
                         of.integer("assigned_experts_per_token", 1, max_top_k)};
        of.flag("allows_unassigned");
        of.leave(unread_);
      }
    }
    fields.leave(unread_);
    // Encoder before decoder, as everywhere in a trace.
    for (const char* name : {"encoder", "decoder"})
      if (stages_.contains(name)) builder_.stack(name);
  }

  static std::int64_t optional(Fields& fields, const char* key, std::int64_t most) {
    const Json* value = fields.take(key);
    return value == nullptr || value->is_null() ? 0 : fields.integer(key, 1, most);
  }

  void read_selection(Fields& fields) {
    const std::string stage = version_ == 1 ? "decoder" : fields.text_or_empty("routing_stage");
    const auto profile = stages_.find(stage);
    if (profile == stages_.end())
      fields.fail("is of routing_stage '" + printable(stage, 40) + "', which the metadata does not name");
    const Phase phase = read_phase(fields, stage);
    const std::int64_t token = fields.integer("token_position", 0, 1'000'000'000);
    const auto layer = static_cast<int>(fields.integer("layer", 0, max_layers - 1));
    fields.take("token_id");
    fields.experts(fields.require("selected_experts"), "selected_experts", ids_);
    weights_.clear();
    if (const Json* list = fields.take("selected_probabilities"); list != nullptr && !list->empty())
      fields.weights(*list, "selected_probabilities", ids_.size(), weights_);
    const bool unassigned = version_ == 2 && fields.text_or_empty("assignment_state") == "unassigned";
    fields.take("unassigned_reason");
    check_width(fields, profile->second, unassigned);
    fields.leave(unread_);

    const int stack = builder_.stack(stage);
    if (!builder_.empty() &&
        (phase != phase_ || stack != stack_ || (phase == Phase::decode && token != last_token_)))
      flush();
    if (builder_.empty() && phase == phase_ && stack == stack_ && phase != Phase::decode && flushed_)
      fields.fail("belongs to a prompt that has ended", "records are out of order");
    phase_ = phase;
    stack_ = stack;
    last_token_ = token;
    flushed_ = false;
    builder_.add({.stack = stack, .layer = layer, .token = token, .ids = ids_, .weights = weights_},
                 lines_.where());
    declare_experts(stack, layer, profile->second);
  }

  Phase read_phase(Fields& fields, const std::string& stage) const {
    const std::string name = fields.text_or_empty("phase");
    if (version_ == 1 && name == "prompt") return Phase::prefill;
    if (version_ == 1 && name == "generated") return Phase::decode;
    if (version_ == 2 && stage == "encoder" && name == "source") return Phase::encoder;
    if (version_ == 2 && stage == "decoder" && name == "decoder_prompt") return Phase::prefill;
    if (version_ == 2 && stage == "decoder" && name == "decoder_generated") return Phase::decode;
    fields.fail("has phase '" + printable(name, 40) + "'",
                version_ == 1 ? "prompt or generated" : "source, decoder_prompt or decoder_generated");
  }

  void check_width(const Fields& fields, const Stage& stage, bool unassigned) const {
    const auto width = static_cast<std::int64_t>(ids_.size());
    if (unassigned ? width != 0 : width == 0 || (stage.top_k > 0 && width != stage.top_k))
      fields.fail("selects " + std::to_string(width) + " experts, not " +
                  std::to_string(unassigned ? 0 : std::max<std::int64_t>(1, stage.top_k)));
    for (const std::uint16_t id : ids_)
      if (id == no_expert || (stage.experts > 0 && id >= stage.experts))
        fields.fail("selects expert " + (id == no_expert ? std::string("-1") : std::to_string(id)) +
                    ", but there are " + std::to_string(stage.experts));
  }

  void declare_experts(int stack, int layer, const Stage& stage) {
    for (auto& known : facts_.stacks[static_cast<std::size_t>(stack)].layers)
      if (known.index == layer && known.experts == 0) known.experts = static_cast<int>(stage.experts);
  }

  void flush() {
    if (builder_.empty()) return;
    builder_.emit({.phase = phase_, .sequences = 1, .position = builder_.first_token()});
    flushed_ = true;
  }

  LineReader lines_;
  RecordingFacts& facts_;
  RecordingSink& sink_;
  PassBuilder& builder_;
  std::vector<std::string>& unread_;
  std::map<std::string, Stage> stages_;
  std::int64_t version_ = 1, last_token_ = -1;
  Phase phase_ = Phase::decode;
  int stack_ = -1;
  bool flushed_ = false;
  std::vector<std::uint16_t> ids_;
  std::vector<float> weights_;
};

}  // namespace

bool is_moe_cache_lab(std::string_view start) { return RecordStart(start).text("format") == family; }

void parse_moe_cache_lab(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink) {
  std::vector<std::string> unread;
  PassBuilder builder(facts, sink);
  for (const std::string& input : inputs) CacheLab(input, facts, sink, builder, unread).read();
  if (const std::string missing = builder.missing_note(); !missing.empty()) facts.notes.push_back(missing);
  note_unread(unread, facts);
}

}  // namespace pregate::trace
