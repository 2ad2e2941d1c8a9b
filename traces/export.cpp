// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "models/error.hpp"
#include "traces/import.hpp"
#include "traces/import/jsonl.hpp"
#include "traces/layout.hpp"
#include "traces/text_output.hpp"
#include "traces/utf8.hpp"

namespace pregate::trace {

namespace {

using OrderedJson = nlohmann::ordered_json;

void require_utf8(const std::string& text, const std::string& where) {
  if (!is_utf8(text)) throw InputError(where, "a name, label or provenance entry is not UTF-8");
}

OrderedJson header(const TraceInfo& info, const std::string& where) {
  require_utf8(info.model, where);
  OrderedJson layers = OrderedJson::array();
  for (const TraceLayer& layer : info.layers)
    layers.push_back({{"stack", layer.stack},
                      {"layer", layer.layer},
                      {"experts", layer.experts},
                      {"top_k", layer.top_k},
                      {"expert_bytes", layer.expert_bytes.count}});
  for (const auto& name : info.stacks) require_utf8(name, where);
  OrderedJson provenance = OrderedJson::object();
  for (const auto& [key, value] : info.provenance) {
    require_utf8(key, where);
    require_utf8(value, where);
    provenance[key] = value;
  }
  OrderedJson header = {{"format", "pregate-trace"},
                        {"version", 1},
                        {"model", info.model},
                        {"model_top_k", info.model_top_k},
                        {"stacks", info.stacks},
                        {"layers", layers},
                        {"weights", info.has_weights},
                        {"predictions", info.has_predictions},
                        {"prediction_distance", info.prediction_distance}};
  if (!info.further_distances.empty()) header["further_distances"] = info.further_distances;
  require_utf8(info.predicted_by, where);
  if (!info.predicted_by.empty()) header["predicted_by"] = info.predicted_by;
  if (info.has_arrivals) header["arrivals"] = true;
  if (info.has_accepted) header["accepted"] = true;
  header["provenance"] = provenance;
  return header;
}

void append_value(std::string& line, std::uint16_t id) {
  if (id == no_expert) {
    line += "null";
  } else {
    append_number(line, std::int64_t{id});
  }
}

// As a double, whose shortest text is exact for every float: reading it back gives the same bits.
void append_value(std::string& line, float weight) { append_number(line, static_cast<double>(weight)); }

/// [layer][token][rank]; ranks at the end of a token without an expert are left out.
template <typename T>
void append_lists(std::string& line, const char* key, std::span<const T> values,
                  std::span<const std::uint16_t> ids, const StackLayout& layout, int tokens) {
  line += std::string(",\"") + key + "\":[";
  std::size_t at = 0;
  for (std::size_t l = 0; l < layout.top_k.size(); ++l) {
    line += l == 0 ? "[" : ",[";
    const auto top_k = static_cast<std::size_t>(layout.top_k[l]);
    for (int t = 0; t < tokens; ++t) {
      line += t == 0 ? "[" : ",[";
      std::size_t last = top_k;
      while (last > 0 && ids[at + last - 1] == no_expert) --last;
      for (std::size_t r = 0; r < last; ++r) {
        if (r > 0) line += ',';
        append_value(line, values[at + r]);
      }
      line += ']';
      at += top_k;
    }
    line += ']';
  }
  line += ']';
}

std::string step_line(const Step& step, const StackLayout& layout, const StackLayout& of_predicted,
                      bool has_accepted) {
  std::string line = std::string(R"({"phase":")") + to_string(step.phase) + "\"";
  const auto field = [&](const char* key, int value) {
    line += std::string(",\"") + key + "\":";
    append_number(line, std::int64_t{value});
  };
  field("stack", step.stack);
  field("sequences", step.sequences);
  field("tokens", step.tokens);
  field("position", step.position);
  if (has_accepted && step.phase == Phase::decode) field("accepted", step.accepted);
  append_lists(line, "experts", step.experts, step.experts, layout, step.tokens);
  if (!step.predicted.empty())
    append_lists(line, "predicted", step.predicted, step.predicted, of_predicted, step.tokens);
  if (!step.weights.empty()) append_lists(line, "weights", step.weights, step.experts, layout, step.tokens);
  return line + "}\n";
}

Request request_of(const Step& step, const std::vector<Request>& requests) {
  const auto id = static_cast<std::size_t>(step.request);
  return id < requests.size() ? requests[id] : Request{step.request, {}, step.sequences};
}

}  // namespace

void export_jsonl(StepSource& source, const std::vector<Request>& requests, const std::string& output) {
  const TraceInfo& info = source.info();
  const std::vector<StackLayout> stacks = layouts(info), of_predicted = prediction_layouts(info);
  TextOutput out(output);
  out.write(header(info, output).dump() + "\n");
  source.rewind();
  Step step;
  while (source.next(step)) {
    if (step.first_of_request) {
      const Request request = request_of(step, requests);
      require_utf8(request.label, output);
      OrderedJson line{{"request", step.request}, {"label", request.label}, {"sequences", request.sequences}};
      if (info.has_arrivals) line["arrival_ns"] = step.arrival_ns;
      out.write(line.dump() + "\n");
    }
    const auto stack = static_cast<std::size_t>(step.stack);
    const std::string line = step_line(step, stacks[stack], of_predicted[stack], info.has_accepted);
    if (line.size() > max_jsonl_line)
      throw InputError(output, "request " + std::to_string(step.request) + ", step " +
                                   std::to_string(step.index) + " makes a line of over " +
                                   std::to_string(max_jsonl_line >> 20U) + " MiB");
    out.write(line);
  }
  out.publish();
}

void export_csv(StepSource& source, const std::vector<Request>& requests, const std::string& output) {
  static_cast<void>(requests);
  const TraceInfo& info = source.info();
  const std::vector<StackLayout> stacks = layouts(info);
  TextOutput out(output);
  out.write(std::string("request,step,phase,stack,position,layer,token,rank,expert") +
            (info.has_weights ? ",weight" : ""));
  for (std::size_t i = 0; i < info.predictions_a_step(); ++i) {
    const bool is_only = info.further_distances.empty();
    out.write(is_only ? ",predicted" : ",predicted_" + std::to_string(info.prediction_distances()[i]));
  }
  out.write("\n");
  source.rewind();
  Step step;
  std::string text, start;
  while (source.next(step)) {
    start = std::to_string(step.request) + "," + std::to_string(step.index) + "," + to_string(step.phase) +
            "," + std::to_string(step.stack) + "," + std::to_string(step.position) + ",";
    const StackLayout& layout = stacks[static_cast<std::size_t>(step.stack)];
    std::size_t at = 0;
    text.clear();
    for (std::size_t l = 0; l < layout.top_k.size(); ++l)
      for (int t = 0; t < step.tokens; ++t)
        for (int r = 0; r < layout.top_k[l]; ++r, ++at) {
          const bool routed = step.experts[at] != no_expert;
          const auto predicted = [&](std::size_t i) {
            return step.predicted.empty() ? no_expert : step.predicted[i * step.experts.size() + at];
          };
          bool any_predicted = false;
          for (std::size_t i = 0; i < info.predictions_a_step(); ++i)
            any_predicted = any_predicted || predicted(i) != no_expert;
          if (!routed && !any_predicted) continue;
          text += start;
          append_number(text, std::int64_t{info.layers[static_cast<std::size_t>(layout.layers[l])].layer});
          text += ',';
          append_number(text, std::int64_t{t});
          text += ',';
          append_number(text, std::int64_t{r});
          text += ',';
          if (routed) append_number(text, std::int64_t{step.experts[at]});
          if (info.has_weights) {
            text += ',';
            if (routed) append_number(text, static_cast<double>(step.weights[at]));
          }
          for (std::size_t i = 0; i < info.predictions_a_step(); ++i) {
            text += ',';
            if (predicted(i) != no_expert) append_number(text, std::int64_t{predicted(i)});
          }
          text += '\n';
          if (text.size() > (1U << 20U)) {
            out.write(text);
            text.clear();
          }
        }
    out.write(text);
  }
  out.publish();
}

}  // namespace pregate::trace
