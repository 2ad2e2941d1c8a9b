// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Our own JSONL: a header line, then for each request a request line and its step lines. See docs/traces.md.

#include "traces/import/jsonl.hpp"
#include "models/error.hpp"
#include "traces/import/json_record.hpp"
#include "traces/import/recording.hpp"
#include "traces/import/text_input.hpp"
#include "traces/layout.hpp"
#include "traces/writer.hpp"

namespace pregate::trace {

namespace {

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
  info.has_arrivals = header.flag("arrivals");
  info.has_accepted = header.flag("accepted");
  info.prediction_distance = static_cast<int>(header.integer_or("prediction_distance", 0, max_layers, 0));
  if (const Json* distances = header.take("further_distances")) {
    if (!distances->is_array() || distances->size() > static_cast<std::size_t>(max_layers))
      header.fail("has 'further_distances' that are not a list of at most " + std::to_string(max_layers));
    for (const Json& distance : *distances) {
      if (!distance.is_number_unsigned() ||
          distance.get<std::uint64_t>() > static_cast<std::uint64_t>(max_layers))
        header.fail("has a distance that is not from 1 to " + std::to_string(max_layers));
      info.further_distances.push_back(distance.get<int>());
    }
  }
  info.predicted_by = header.text_or_empty("predicted_by");
  if (const Json* provenance = header.take("provenance")) {
    if (!provenance->is_object()) header.fail("has a 'provenance' that is not an object");
    for (const auto& [key, value] : provenance->items()) {
      if (!value.is_string()) header.fail("has provenance '" + printable(key, 40) + "' that is not a text");
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
      : info_(info), layouts_(layouts(info)), of_predicted_(prediction_layouts(info)), lines_(lines) {}

  void begin_request() { order_.begin_request(); }

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
      fields.fail("has phase '" + printable(phase, 40) + "'", "encoder, prefill or decode");
    }
    step.stack =
        static_cast<int>(fields.integer_or("stack", 0, static_cast<std::int64_t>(layouts_.size()) - 1, 0));
    step.tokens = static_cast<int>(fields.integer("tokens", 1, max_step_tokens));
    step.sequences = static_cast<int>(fields.integer_or("sequences", 1, max_step_tokens, request.sequences));
    step.position = static_cast<int>(fields.integer("position", 0, 1'000'000'000));
    if (info_.has_accepted && step.phase == Phase::decode)
      step.accepted = static_cast<int>(fields.integer("accepted", 1, max_step_tokens));
    const StackLayout& layout = layouts_[static_cast<std::size_t>(step.stack)];
    read(
        fields, "experts", step, layout,
        [&](std::size_t at, const Json& value) { experts_[at] = to_id(value); }, experts_, no_expert);
    step.experts = experts_;
    if (info_.has_predictions) {
      read(
          fields, "predicted", step, of_predicted_[static_cast<std::size_t>(step.stack)],
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
    if (const std::string fault = order_.next(step); !fault.empty())
      throw InputError(lines_.where(), fault, "steps are missing or out of order");
    if (step.sequences > request.sequences)
      throw InputError(lines_.where(), std::to_string(step.sequences) + " sequences, but the request has " +
                                           std::to_string(request.sequences));
    return step;
  }

 private:
  [[nodiscard]] std::uint16_t to_id(const Json& value) const {
    if (value.is_null()) return no_expert;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= static_cast<std::uint64_t>(max_experts))
      throw InputError(lines_.where(), "expert " + shown(value) + "; an id is 0 to " +
                                           std::to_string(max_experts - 1) + ", or null for none");
    return value.get<std::uint16_t>();
  }

  [[nodiscard]] float to_weight(const Json& value) const {
    if (value.is_null()) return 0.0F;
    const double weight = value.is_number() ? value.get<double>() : -1;
    if (!sane_weight(weight)) throw InputError(lines_.where(), "weight " + shown(value), weight_hint);
    return static_cast<float>(weight);
  }

  static std::string shown(const Json& value) {
    return printable(value.dump(-1, ' ', true, Json::error_handler_t::replace), 40);
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
  std::vector<StackLayout> layouts_, of_predicted_;
  const LineReader& lines_;
  StepOrder order_;
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
  TraceInfo info = with_recording_hint([&] { return read_header(parse_json_line(line, lines), lines); });
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
    const Json object = with_recording_hint([&] { return parse_json_line(line, lines); });
    if (object.is_object() && object.contains("request")) {
      Fields fields(object, lines, "the request ");
      const auto id = fields.integer("request", 0, std::int64_t{1} << 53);
      if (id != request.id)
        fields.fail("has id " + std::to_string(id) + ", expected " + std::to_string(request.id));
      request.label = fields.text_or_empty("label");
      request.sequences = static_cast<int>(fields.integer_or("sequences", 1, max_step_tokens, 1));
      if (info.has_arrivals) request.arrival_ns = fields.integer("arrival_ns", 0, max_arrival_ns);
      fields.finish();
      writer.begin_request(request);
      steps.begin_request();
      ++request.id;
    } else {
      if (request.id == 0) throw InputError(lines.where(), "a step before the first request");
      writer.add(with_recording_hint([&] { return steps.parse(object, request); }));
    }
  }
  ImportResult result;
  result.format = "jsonl";
  result.info = writer.commit();
  return result;
}

}  // namespace pregate::trace
