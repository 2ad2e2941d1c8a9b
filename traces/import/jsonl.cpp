// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Our own JSONL: a header line, then for each request a request line and its step lines. See docs/traces.md.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "models/error.hpp"
#include "traces/import/jsonl.hpp"
#include "traces/import/recording.hpp"
#include "traces/import/text_input.hpp"
#include "traces/layout.hpp"
#include "traces/writer.hpp"

namespace pregate::trace {

namespace {

using Json = nlohmann::json;

/// One line's object, whose keys are taken one by one; what is left over at the end is unknown.
class Fields {
 public:
  Fields(const Json& object, const LineReader& lines, std::string name)
      : object_(object), lines_(lines), name_(std::move(name)) {
    if (!object.is_object()) fail("is not an object");
  }

  [[noreturn]] void fail(const std::string& problem, const std::string& hint = {}) const {
    throw InputError(lines_.where(), name_ + problem, hint);
  }

  const Json* take(const char* key) {
    known_.emplace_back(key);
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  const Json& require(const char* key) {
    if (const Json* value = take(key)) return *value;
    fail("lacks '" + std::string(key) + "'");
  }

  std::int64_t integer(const char* key, std::int64_t low, std::int64_t high) {
    return to_integer(require(key), key, low, high);
  }

  std::int64_t integer_or(const char* key, std::int64_t low, std::int64_t high, std::int64_t otherwise) {
    const Json* value = take(key);
    return value == nullptr ? otherwise : to_integer(*value, key, low, high);
  }

  std::string text_or_empty(const char* key) {
    const Json* value = take(key);
    if (value == nullptr) return {};
    if (!value->is_string()) fail("has a '" + std::string(key) + "' that is not a text");
    return value->get<std::string>();
  }

  bool flag(const char* key) {
    const Json* value = take(key);
    if (value == nullptr) return false;
    if (!value->is_boolean()) fail("has a '" + std::string(key) + "' that is neither true nor false");
    return value->get<bool>();
  }

  void finish() const {
    for (const auto& [key, value] : object_.items())
      if (std::find(known_.begin(), known_.end(), key) == known_.end())
        fail("has an unknown key '" + key.substr(0, 40) + "'", suggest(key, known_));
  }

 private:
  std::int64_t to_integer(const Json& value, const char* key, std::int64_t low, std::int64_t high) const {
    const bool fits = value.is_number_unsigned()
                          ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(high)
                          : value.is_number_integer();
    if (!fits || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high)
      fail("has '" + std::string(key) + "' " + value.dump().substr(0, 40),
           "a whole number from " + std::to_string(low) + " to " + std::to_string(high) + " belongs there");
    return value.get<std::int64_t>();
  }

  const Json& object_;
  const LineReader& lines_;
  std::string name_;
  std::vector<std::string> known_;
};

Json parse_line(std::string_view line, const LineReader& lines) {
  try {
    // A key twice in an object would silently hide the first; the parser's events tell.
    std::vector<std::vector<std::string>> keys;
    const Json::parser_callback_t once = [&](int depth, Json::parse_event_t event, Json& parsed) {
      static_cast<void>(depth);
      if (event == Json::parse_event_t::object_start) keys.emplace_back();
      if (event == Json::parse_event_t::object_end) keys.pop_back();
      if (event == Json::parse_event_t::key) {
        auto& names = keys.back();
        const auto& name = parsed.get_ref<const std::string&>();
        if (std::find(names.begin(), names.end(), name) != names.end())
          throw InputError(lines.where(), "the key '" + name.substr(0, 40) + "' occurs twice");
        if (names.size() > 1000) throw InputError(lines.where(), "an object of over 1000 keys");
        names.push_back(name);
      }
      return true;
    };
    return Json::parse(line.begin(), line.end(), once);
  } catch (const Json::exception& error) {
    throw InputError(lines.where(), std::string("is not valid JSON: ") + error.what(),
                     "is the file truncated? every line is one object");
  }
}

TraceInfo read_header(const Json& object, const LineReader& lines) {
  Fields header(object, lines, "the header ");
  if (header.text_or_empty("format") != "pregate-trace") header.fail("lacks \"format\": \"pregate-trace\"");
  if (const auto version = header.integer("version", 0, 1'000'000); version != 1)
    header.fail("has version " + std::to_string(version) + ", this program reads version 1");
  TraceInfo info;
  info.model = header.text_or_empty("model");
  info.model_top_k = static_cast<int>(header.integer_or("model_top_k", 0, max_top_k, 0));
  const Json& stacks = header.require("stacks");
  if (!stacks.is_array()) header.fail("has 'stacks' that are not a list");
  for (const Json& name : stacks) {
    if (!name.is_string()) header.fail("has a stack whose name is not a text");
    info.stacks.push_back(name.get<std::string>());
  }
  const Json& layers = header.require("layers");
  if (!layers.is_array() || layers.size() > static_cast<std::size_t>(max_layers))
    header.fail("has 'layers' that are not a list of at most " + std::to_string(max_layers));
  for (const Json& layer : layers) {
    Fields fields(layer, lines, "layer " + std::to_string(info.layers.size()) + " ");
    TraceLayer read;
    read.stack = static_cast<int>(fields.integer("stack", 0, 15));
    read.layer = static_cast<int>(fields.integer("layer", 0, 1'000'000));
    read.experts = static_cast<int>(fields.integer("experts", 1, max_experts));
    read.top_k = static_cast<int>(fields.integer("top_k", 1, max_top_k));
    read.expert_bytes.count = fields.integer_or("expert_bytes", 0, std::int64_t{1} << 50, 0);
    fields.finish();
    info.layers.push_back(read);
  }
  info.has_weights = header.flag("weights");
  info.has_predictions = header.flag("predictions");
  info.prediction_distance = static_cast<int>(header.integer_or("prediction_distance", 0, max_layers, 0));
  if (const Json* provenance = header.take("provenance")) {
    if (!provenance->is_object()) header.fail("has a 'provenance' that is not an object");
    for (const auto& [key, value] : provenance->items()) {
      if (!value.is_string()) header.fail("has provenance '" + key.substr(0, 40) + "' that is not a text");
      info.provenance[key] = value.get<std::string>();
    }
  }
  header.finish();
  validate_info(info, lines.where());
  return info;
}

class StepParser {
 public:
  StepParser(const TraceInfo& info, const LineReader& lines)
      : info_(info), layouts_(layouts(info)), lines_(lines) {}

  /// Views stay valid until the next call.
  Step parse(const Json& object, const Request& request) {
    Fields fields(object, lines_, "the step ");
    Step step;
    const std::string phase = fields.text_or_empty("phase");
    if (phase == "encoder") {
      step.phase = Phase::encoder;
    } else if (phase == "prefill") {
      step.phase = Phase::prefill;
    } else if (phase != "decode") {
      fields.fail("has phase '" + phase.substr(0, 40) + "'", "encoder, prefill or decode");
    }
    step.stack =
        static_cast<int>(fields.integer_or("stack", 0, static_cast<std::int64_t>(layouts_.size()) - 1, 0));
    step.tokens = static_cast<int>(fields.integer("tokens", 1, max_step_tokens));
    step.sequences = static_cast<int>(fields.integer_or("sequences", 1, max_step_tokens, request.sequences));
    step.position = static_cast<int>(fields.integer("position", 0, 1'000'000'000));
    const StackLayout& layout = layouts_[static_cast<std::size_t>(step.stack)];
    read(
        fields, "experts", step, layout,
        [&](std::size_t at, const Json& value) { experts_[at] = to_id(value); }, experts_, no_expert);
    step.experts = experts_;
    if (info_.has_predictions) {
      read(
          fields, "predicted", step, layout,
          [&](std::size_t at, const Json& value) { predicted_[at] = to_id(value); }, predicted_, no_expert);
      step.predicted = predicted_;
    }
    if (info_.has_weights) {
      read(
          fields, "weights", step, layout,
          [&](std::size_t at, const Json& value) { weights_[at] = to_weight(value); }, weights_, 0.0F);
      step.weights = weights_;
    }
    fields.finish();
    if (const std::string fault = find_fault(step, info_, layouts_); !fault.empty())
      throw InputError(lines_.where(), fault);
    if (step.sequences > request.sequences)
      throw InputError(lines_.where(), std::to_string(step.sequences) + " sequences, but the request has " +
                                           std::to_string(request.sequences));
    return step;
  }

 private:
  [[nodiscard]] std::uint16_t to_id(const Json& value) const {
    if (value.is_null()) return no_expert;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= static_cast<std::uint64_t>(max_experts))
      throw InputError(lines_.where(), "expert " + value.dump().substr(0, 40) + "; an id is 0 to " +
                                           std::to_string(max_experts - 1) + ", or null for none");
    return value.get<std::uint16_t>();
  }

  [[nodiscard]] float to_weight(const Json& value) const {
    if (value.is_null()) return 0.0F;
    const float weight = value.is_number() ? value.get<float>() : NAN;
    if (!std::isfinite(weight))
      throw InputError(lines_.where(), "weight " + value.dump().substr(0, 40) + " is not a finite number");
    return weight;
  }

  /// [layer][token][rank] -> flat; a token may list fewer than top_k.
  template <typename T, typename Put>
  void read(Fields& fields, const char* key, const Step& step, const StackLayout& layout, const Put& put,
            std::vector<T>& out, T none) {
    const Json& lists = fields.require(key);
    const auto fail = [&](const std::string& problem) {
      fields.fail(std::string("has '") + key + "' " + problem);
    };
    if (!lists.is_array() || lists.size() != layout.layers.size())
      fail("that is not a list of " + std::to_string(layout.layers.size()) + " layers");
    const auto tokens = static_cast<std::size_t>(step.tokens);
    // Every token is present in the text, so this is bounded by the line's length before anything is
    // allocated.
    for (const Json& layer : lists)
      if (!layer.is_array() || layer.size() != tokens)
        fail("with a layer that is not a list of " + std::to_string(tokens) + " tokens");
    if (layout.entries_a_token * step.tokens > max_step_entries) fail("that is too large");
    out.assign(static_cast<std::size_t>(layout.entries_a_token) * tokens, none);
    std::size_t start = 0;
    for (std::size_t l = 0; l < lists.size(); ++l) {
      const auto top_k = static_cast<std::size_t>(layout.top_k[l]);
      for (const Json& token : lists[l]) {
        if (!token.is_array() || token.size() > top_k)
          fail("with a token that is not a list of at most " + std::to_string(top_k));
        for (std::size_t r = 0; r < token.size(); ++r) put(start + r, token[r]);
        start += top_k;
      }
    }
  }

  const TraceInfo& info_;
  std::vector<StackLayout> layouts_;
  const LineReader& lines_;
  std::vector<std::uint16_t> experts_, predicted_;
  std::vector<float> weights_;
};

}  // namespace

ImportResult import_jsonl(const std::vector<std::string>& inputs, const std::string& output,
                          const ImportOptions& options) {
  if (inputs.size() != 1)
    throw InputError(inputs[1], "one JSONL file makes one trace", "import the files one by one");
  LineReader lines(inputs.front(), max_jsonl_line);
  std::string_view line;
  if (!lines.next(line)) throw InputError(inputs.front(), "is empty");
  TraceInfo info = read_header(parse_line(line, lines), lines);
  if (!options.model.empty()) info.model = options.model;
  if (options.model_top_k > 0) info.model_top_k = options.model_top_k;
  if (options.experts > 0)
    for (const TraceLayer& layer : info.layers)
      if (layer.experts != options.experts)
        throw InputError(inputs.front(),
                         "has " + std::to_string(layer.experts) + " experts in a layer, not " +
                             std::to_string(options.experts),
                         "leave the number of experts out");
  // What the recording came from stays; only a file that says nothing gets itself as its source.
  if (info.provenance.empty()) record_provenance(info, inputs, "jsonl");

  TraceWriter writer(output, info, options.overwrite);
  StepParser steps(info, lines);
  Request request;
  while (lines.next(line)) {
    const Json object = parse_line(line, lines);
    if (object.is_object() && object.contains("request")) {
      Fields fields(object, lines, "the request ");
      const auto id = fields.integer("request", 0, std::int64_t{1} << 53);
      if (id != request.id)
        fields.fail("has id " + std::to_string(id) + ", expected " + std::to_string(request.id));
      request.label = fields.text_or_empty("label");
      request.sequences = static_cast<int>(fields.integer_or("sequences", 1, max_step_tokens, 1));
      fields.finish();
      writer.begin_request(request);
      ++request.id;
    } else {
      if (request.id == 0) throw InputError(lines.where(), "a step before the first request");
      writer.add(steps.parse(object, request));
    }
  }
  ImportResult result;
  result.format = "jsonl";
  result.info = writer.commit();
  return result;
}

}  // namespace pregate::trace
