// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>

#include "models/error.hpp"
#include "python/src/bindings.hpp"
#include "python/src/running.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/run/replay.hpp"
#include "traces/reader.hpp"
#include "traces/statistics.hpp"
#include "traces/writer.hpp"

namespace nb = nanobind;

namespace pregate::python {

namespace {

template <class Value>
nb::object array_of(std::vector<Value> values, std::initializer_list<std::size_t> shape) {
  auto kept = std::make_unique<std::vector<Value>>(std::move(values));
  Value* const data = kept->data();
  const nb::capsule owner(kept.release(),
                          [](void* held) noexcept { delete static_cast<std::vector<Value>*>(held); });
  return nb::cast(nb::ndarray<nb::numpy, Value>(data, shape, owner));
}

nb::dict info_of(const trace::TraceInfo& info) {
  nb::dict all;
  all["model"] = info.model;
  all["stacks"] = info.stacks;
  nb::list layers;
  for (const trace::TraceLayer& layer : info.layers) {
    nb::dict one;
    one["stack"] = info.stacks.at(static_cast<std::size_t>(layer.stack));
    one["layer"] = layer.layer;
    one["experts"] = layer.experts;
    one["top_k"] = layer.top_k;
    one["expert_bytes"] = layer.expert_bytes.count;
    layers.append(one);
  }
  all["layers"] = layers;
  all["model_top_k"] = info.model_top_k;
  all["has_weights"] = info.has_weights;
  all["has_predictions"] = info.has_predictions;
  all["prediction_distances"] = info.prediction_distances();
  all["predicted_by"] = info.predicted_by;
  all["content_hash"] = info.content_hash;
  all["requests"] = info.requests;
  all["steps"] = info.steps;
  all["tokens"] = info.tokens;
  all["routed_entries"] = info.routed_entries;
  nb::dict provenance;
  for (const auto& [key, value] : info.provenance) provenance[key.c_str()] = value;
  all["provenance"] = provenance;
  return all;
}

/// Of each layer of a step, the place of its first id, and the ids that a token has in it.
struct Slice {
  std::size_t begin = 0, top_k = 0;
};

Slice slice_of(const trace::TraceInfo& info, const trace::Step& step, int layer) {
  Slice slice;
  for (const int each : info.layers_of(step.stack)) {
    slice.top_k = static_cast<std::size_t>(info.layers[static_cast<std::size_t>(each)].top_k);
    if (each == layer) return slice;
    slice.begin += slice.top_k * static_cast<std::size_t>(step.tokens);
  }
  throw nb::index_error("the step's stack does not have this layer");
}

bool is_wanted(const trace::Step& step, const std::string& phase) {
  return phase == "all" || phase == trace::to_string(step.phase);
}

/// Where in Step::predicted the predictions of that distance are, in steps of Step::experts.
std::size_t place_of_distance(const trace::TraceInfo& info, int distance) {
  const std::vector<int> all = info.prediction_distances();
  const auto found = std::find(all.begin(), all.end(), distance);
  if (found != all.end()) return static_cast<std::size_t>(found - all.begin());
  std::string known;
  for (const int each : all) known += (known.empty() ? "" : ", ") + std::to_string(each);
  throw InputError("distance", "the trace predicts nothing " + std::to_string(distance) + " MoE layers ahead",
                   all.empty() ? "it has no predictions" : "it has those of: " + known);
}

/// ids (uint16, tokens x top_k) and, where the trace has them, gate weights of one MoE layer; and of each
/// token its request and its step. With a `distance` above 0 the ids that were predicted so far ahead.
nb::tuple routing(const std::string& path, int layer, const std::string& phase, int distance) {
  std::vector<std::uint16_t> ids;
  std::vector<float> weights;
  std::vector<std::int64_t> requests, steps;
  std::size_t top_k = 1;
  bool has_weights = false;
  run_unlocked([&] {
    const auto source = trace::open_trace(path);
    const trace::TraceInfo& info = source->info();
    if (layer < 0 || layer >= static_cast<int>(info.layers.size())) {
      throw InputError("layer", std::to_string(layer) + " is none of the trace's MoE layers",
                       "0 to " + std::to_string(info.layers.size() - 1));
    }
    if (phase != "all" && phase != "encoder" && phase != "prefill" && phase != "decode")
      throw InputError("phase", "'" + printable(phase) + "' is no phase", "all, encoder, prefill, decode");
    top_k = static_cast<std::size_t>(info.layers[static_cast<std::size_t>(layer)].top_k);
    has_weights = info.has_weights && distance == 0;
    const std::size_t place = distance == 0 ? 0 : place_of_distance(info, distance);
    trace::Step step;
    while (source->next(step)) {
      check_interrupt();
      if (step.stack != info.layers[static_cast<std::size_t>(layer)].stack || !is_wanted(step, phase))
        continue;
      const Slice slice = slice_of(info, step, layer);
      const std::size_t count = slice.top_k * static_cast<std::size_t>(step.tokens);
      const auto all = distance == 0
                           ? step.experts
                           : step.predicted.subspan(place * step.experts.size(), step.experts.size());
      const auto of_layer = all.subspan(slice.begin, count);
      ids.insert(ids.end(), of_layer.begin(), of_layer.end());
      if (has_weights) {
        const auto its = step.weights.subspan(slice.begin, count);
        weights.insert(weights.end(), its.begin(), its.end());
      }
      requests.insert(requests.end(), static_cast<std::size_t>(step.tokens), step.request);
      steps.insert(steps.end(), static_cast<std::size_t>(step.tokens), step.index);
    }
  });
  const std::size_t tokens = requests.size();
  const nb::object weight_array =
      has_weights ? array_of(std::move(weights), {tokens, top_k}) : nb::object(nb::none());
  return nb::make_tuple(array_of(std::move(ids), {tokens, top_k}), weight_array,
                        array_of(std::move(requests), {tokens}), array_of(std::move(steps), {tokens}));
}

using Ids = nb::ndarray<const std::uint16_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Weights = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

/// Writes a trace, step by step; a step's ids are layer after layer, within a layer token after token.
class Writer {
 public:
  Writer(const std::string& path, const std::string& model,
         const std::vector<std::tuple<std::string, int, int, int>>& layers, int model_top_k, bool has_weights,
         const std::vector<int>& prediction_distances, const std::string& predicted_by,
         const std::vector<std::pair<std::string, std::string>>& provenance, bool overwrite) {
    trace::TraceInfo info;
    info.model = model;
    for (const auto& [stack, layer, experts, top_k] : layers) {
      if (info.stacks.empty() || info.stacks.back() != stack) info.stacks.push_back(stack);
      info.layers.push_back({.stack = static_cast<int>(info.stacks.size()) - 1,
                             .layer = layer,
                             .experts = experts,
                             .top_k = top_k,
                             .expert_bytes = {}});
    }
    info.model_top_k = model_top_k;
    info.has_weights = has_weights;
    info.has_predictions = !prediction_distances.empty();
    if (info.has_predictions) {
      info.prediction_distance = prediction_distances.front();
      info.further_distances.assign(prediction_distances.begin() + 1, prediction_distances.end());
    }
    info.predicted_by = predicted_by;
    for (const auto& [key, value] : provenance) info.provenance[key] = value;
    writer_ = std::make_unique<trace::TraceWriter>(path, info, overwrite);
    stacks_ = info.stacks;
  }
  void begin_request(const std::string& label, int sequences) {
    writer().begin_request({.id = 0, .label = label, .sequences = sequences});
  }
  void add(const std::string& phase, const std::string& stack, int sequences, int tokens, int position,
           const Ids& ids, const std::optional<Weights>& weights, const std::optional<Ids>& predicted,
           const std::vector<int>& tokens_of_sequences) {
    trace::Step step;
    if (phase == "encoder") {
      step.phase = trace::Phase::encoder;
    } else if (phase == "prefill") {
      step.phase = trace::Phase::prefill;
    } else if (phase != "decode") {
      throw InputError("phase", "'" + printable(phase) + "' is no phase", "encoder, prefill, decode");
    }
    const auto found = std::find(stacks_.begin(), stacks_.end(), stack);
    if (found == stacks_.end())
      throw InputError("stack", "'" + printable(stack) + "' is none of the trace's", "name it in layers");
    step.stack = static_cast<int>(found - stacks_.begin());
    step.sequences = sequences;
    step.tokens = tokens;
    step.position = position;
    step.experts = {ids.data(), ids.size()};
    if (weights) step.weights = {weights->data(), weights->size()};
    if (predicted) step.predicted = {predicted->data(), predicted->size()};
    std::vector<trace::SequencePart> parts;
    for (const int count : tokens_of_sequences) parts.push_back({.tokens = count, .position = position});
    step.parts = parts;
    writer().add(step);
  }
  nb::dict commit() {
    const trace::TraceInfo info = writer().commit();
    writer_.reset();
    return info_of(info);
  }
  void discard() { writer_.reset(); }

 private:
  trace::TraceWriter& writer() {
    if (!writer_) throw InputError("trace", "it was written or given up already", "make a new writer");
    return *writer_;
  }

  std::unique_ptr<trace::TraceWriter> writer_;
  std::vector<std::string> stacks_;
};

nb::dict statistics(const std::string& path) {
  trace::TraceStatistics measured;
  run_unlocked([&] { measured = trace::measure(*trace::open_trace(path)); });
  nb::dict all;
  all["distinct_experts"] = measured.distinct_experts;
  all["popularity_entropy"] = measured.popularity_entropy;
  all["top_share"] = measured.top_share;
  all["lag1_overlap"] = measured.lag1_overlap;
  all["distant_overlap"] = measured.distant_overlap;
  all["cross_layer_repeat"] = measured.cross_layer_repeat;
  all["mean_activated"] = measured.mean_activated;
  all["encoder_tokens"] = measured.encoder_tokens;
  all["prefill_tokens"] = measured.prefill_tokens;
  all["decode_tokens"] = measured.decode_tokens;
  return all;
}

nb::dict replay(const std::string& path, const std::string& capacity, const std::string& eviction,
                const std::string& scope, const std::string& admission, std::int64_t expert_bytes,
                const std::vector<std::pair<std::string, std::string>>& set) {
  sim::ReplayResult result;
  run_unlocked([&] {
    const auto source = trace::open_trace(path);
    std::vector<Override> cache = {{"policy.cache.capacity", capacity, "cache"},
                                   {"policy.cache.eviction", eviction, "eviction"},
                                   {"policy.cache.scope", scope, "scope"},
                                   {"policy.cache.admission", admission, "admission"}};
    for (const auto& [key, value] : set) {
      if (!key.starts_with("policy.cache."))
        throw InputError("set", "'" + printable(key) + "' means nothing to a replay",
                         "it has policy.cache.*");
      cache.push_back({key, value, "set " + key});
    }
    const PolicySpec policy = parse_policy_toml("", "replay", cache);
    result = sim::replay(*source, policy, Bytes{expert_bytes});
  });
  nb::dict all;
  all["routed"] = result.routed;
  all["hits"] = result.hits;
  all["accesses"] = result.accesses;
  all["decode_hits"] = result.decode_hits;
  all["decode_accesses"] = result.decode_accesses;
  all["read_bytes"] = result.read.count;
  return all;
}

}  // namespace

void bind_traces(nb::module_& module) {
  module.attr("no_expert") = static_cast<int>(trace::no_expert);
  module.def(
      "trace_info", [](const std::string& path) { return info_of(trace::open_trace(path)->info()); },
      nb::arg("path"), nb::sig("def trace_info(path: str) -> dict[str, object]"));
  module.def(
      "trace_requests",
      [](const std::string& path) {
        std::vector<std::pair<std::string, int>> all;
        for (const trace::Request& request : trace::read_requests(path))
          all.emplace_back(request.label, request.sequences);
        return all;
      },
      nb::arg("path"));
  module.def(
      "trace_check", [](const std::string& path) { return trace::check(path); }, nb::arg("path"));
  module.def(
      "routing", &routing, nb::arg("path"), nb::arg("layer"), nb::arg("phase"), nb::arg("distance"),
      nb::sig(
          "def routing(path: str, layer: int, phase: str, distance: int) -> tuple[object, object, object, "
          "object]"));
  module.def("statistics", &statistics, nb::arg("path"),
             nb::sig("def statistics(path: str) -> dict[str, float]"));
  module.def(
      "replay", &replay, nb::arg("path"), nb::arg("cache"), nb::arg("eviction"), nb::arg("scope"),
      nb::arg("admission"), nb::arg("expert_bytes"), nb::arg("set"),
      nb::sig(
          "def replay(path: str, cache: str, eviction: str, scope: str, admission: str, expert_bytes: int, "
          "set: collections.abc.Sequence[tuple[str, str]]) -> dict[str, int]"));
  nb::class_<Writer>(module, "TraceWriter")
      .def(nb::init<const std::string&, const std::string&,
                    const std::vector<std::tuple<std::string, int, int, int>>&, int, bool,
                    const std::vector<int>&, const std::string&,
                    const std::vector<std::pair<std::string, std::string>>&, bool>(),
           nb::arg("path"), nb::arg("model"), nb::arg("layers"), nb::arg("model_top_k"),
           nb::arg("has_weights"), nb::arg("prediction_distances"), nb::arg("predicted_by"),
           nb::arg("provenance"), nb::arg("overwrite"))
      .def("begin_request", &Writer::begin_request, nb::arg("label"), nb::arg("sequences"))
      .def("add", &Writer::add, nb::arg("phase"), nb::arg("stack"), nb::arg("sequences"), nb::arg("tokens"),
           nb::arg("position"), nb::arg("ids"), nb::arg("weights").none(), nb::arg("predicted").none(),
           nb::arg("tokens_of_sequences"))
      .def("commit", &Writer::commit, nb::sig("def commit(self) -> dict[str, object]"))
      .def("discard", &Writer::discard);
}

}  // namespace pregate::python
