// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Hugging Face's router_logits (output_router_logits=True), saved by safetensors: a tensor [tokens, experts]
// or [batch, tokens, experts] for every layer, with the layer's number in its name, or one [layers, tokens,
// experts].
#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>

#include "models/error.hpp"
#include "models/files/safetensors_header.hpp"
#include "traces/import/byte_input.hpp"
#include "traces/import/sequence_writer.hpp"

namespace pregate::trace {

namespace {

constexpr std::uint64_t longest_safetensors_header = std::uint64_t{16} << 20U;

/// Logits of a layer, over the data that is in memory.
struct LayerLogits {
  int layer = 0;
  std::string dtype;
  std::string_view data;  ///< batch x tokens x experts
  std::string name;

  [[nodiscard]] float at(std::int64_t index) const {
    const auto place = static_cast<std::size_t>(index);
    if (dtype == "F32") return std::bit_cast<float>(static_cast<std::uint32_t>(bits(place, 4)));
    if (dtype == "BF16") return std::bit_cast<float>(static_cast<std::uint32_t>(bits(place, 2)) << 16U);
    if (dtype == "F64") return static_cast<float>(std::bit_cast<double>(bits(place, 8)));
    return half(static_cast<std::uint32_t>(bits(place, 2)));
  }

 private:
  [[nodiscard]] std::uint64_t bits(std::size_t place, std::size_t size) const {
    return little_endian(data.substr(place * size, size));
  }
  static float half(std::uint32_t bits) {
    const auto exponent = static_cast<int>(bits >> 10U & 0x1FU);
    const auto fraction = static_cast<float>(bits & 0x3FFU);
    float value = 0;
    if (exponent == 0x1F) {
      value =
          fraction == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
    } else {
      value = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    }
    return (bits & 0x8000U) != 0 ? -value : value;
  }
};

struct Logits {
  std::int64_t batch = 1, tokens = 0, experts = 0;
  std::vector<LayerLogits> layers;  ///< ascending
};

/// The one number that stands by itself in a tensor's name, as 12 in "model.layers.12.mlp.router_logits".
std::optional<int> layer_of(const std::string& name, const std::string& where) {
  std::optional<int> found;
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t stop = std::min(name.find_first_of("._/-", at), name.size());
    int number = 0;
    const auto [end, error] = std::from_chars(name.data() + at, name.data() + stop, number);
    if (error == std::errc{} && end == name.data() + stop && number >= 0) {
      if (found)
        throw InputError(where, "tensor '" + printable(name) + "' has two numbers in its name",
                         "name the tensors router_logits.<layer>");
      found = number;
    }
    at = stop + 1;
  }
  return found;
}

void refuse_other_tensor(const StoredTensor& tensor, const std::string& where) {
  const std::string& name = tensor.name;
  const auto ends = [&](std::string_view end) { return std::string_view(name).ends_with(end); };
  if (ends(".weight") || ends(".bias"))
    throw InputError(where, "tensor '" + printable(name) + "': these are weights of a model, not a recording",
                     "router logits of a forward pass are meant (docs/recording.md)");
  if (name.find("logits") == std::string::npos && name.find("router") == std::string::npos)
    throw InputError(where, "tensor '" + printable(name) + "' is not known as router logits",
                     "name the tensors router_logits.<layer>, and save no others with them");
  static const std::vector<std::string> floats = {"F32", "F16", "BF16", "F64"};
  if (std::find(floats.begin(), floats.end(), tensor.dtype) == floats.end())
    throw InputError(where, "tensor '" + printable(name) + "' is of type " + tensor.dtype +
                                "; logits are F32, F16, BF16 or F64");
}

Logits read_logits(std::string_view bytes, const std::string& where) {
  ByteReader reader(bytes, where);
  const std::uint64_t length = reader.u64();
  if (length > longest_safetensors_header)
    reader.fail("has a header of " + std::to_string(length) + " bytes");
  const std::vector<StoredTensor> tensors = parse_safetensors_header(reader.take(length), where);
  const std::string_view data = reader.take(reader.left());
  if (tensors.empty()) throw InputError(where, "holds no tensors");

  Logits logits;
  std::int64_t used = 0;
  for (const StoredTensor& tensor : tensors) {
    refuse_other_tensor(tensor, where);
    const std::string named = "tensor '" + printable(tensor.name) + "' ";
    if (logits.layers.size() == static_cast<std::size_t>(max_layers))
      throw InputError(where, "has over " + std::to_string(max_layers) + " tensors");
    if (static_cast<std::uint64_t>(tensor.end) > data.size())
      throw InputError(where,
                       named + "ends at byte " + std::to_string(tensor.end) + " of the data, which has " +
                           std::to_string(data.size()),
                       "is the file truncated?");
    used += tensor.end - tensor.begin;
    const std::optional<int> layer = layer_of(tensor.name, where);
    std::vector<std::int64_t> shape = tensor.shape;
    if (shape.size() != 3 && (shape.size() != 2 || !layer))
      throw InputError(where, named + "has " + std::to_string(shape.size()) + " dimensions",
                       "a layer's logits are [tokens, experts], or all layers' [layers, tokens, experts]");
    if (shape.size() == 2) shape.insert(shape.begin(), 1);
    const auto count = static_cast<std::int64_t>(std::count(shape.begin(), shape.end(), 0));
    if (count > 0 || shape[2] > max_experts || (!layer && (tensors.size() > 1 || shape[0] > max_layers)))
      throw InputError(where, named + "has a shape that no router logits have",
                       "at most " + std::to_string(max_experts) + " experts and " +
                           std::to_string(max_layers) + " layers; name the tensors router_logits.<layer>");
    const std::string_view own = data.substr(static_cast<std::size_t>(tensor.begin),
                                             static_cast<std::size_t>(tensor.end - tensor.begin));
    const std::int64_t batch = layer ? shape[0] : 1;
    if (!logits.layers.empty() &&
        (batch != logits.batch || shape[1] != logits.tokens || shape[2] != logits.experts))
      throw InputError(where, named + "has another shape than the layers before it");
    logits.batch = batch;
    logits.tokens = shape[1];
    logits.experts = shape[2];
    for (std::int64_t l = 0; l < (layer ? 1 : shape[0]); ++l) {
      const std::size_t size = own.size() / static_cast<std::size_t>(layer ? 1 : shape[0]);
      logits.layers.push_back({.layer = layer ? *layer : static_cast<int>(l),
                               .dtype = tensor.dtype,
                               .data = own.substr(static_cast<std::size_t>(l) * size, size),
                               .name = tensor.name});
    }
  }
  if (static_cast<std::uint64_t>(used) != data.size())
    throw InputError(
        where, std::to_string(data.size()) + " bytes of data, but the tensors have " + std::to_string(used),
        "is it a whole .safetensors file?");
  std::sort(logits.layers.begin(), logits.layers.end(),
            [](const LayerLogits& a, const LayerLogits& b) { return a.layer < b.layer; });
  for (std::size_t l = 1; l < logits.layers.size(); ++l)
    if (logits.layers[l].layer == logits.layers[l - 1].layer)
      throw InputError(where, "two tensors of layer " + std::to_string(logits.layers[l].layer));
  return logits;
}

/// Indices in the stack: as named, or, where the names count the layers with experts alone, the model's.
std::vector<int> indices(const Logits& logits, const ImportOptions& known, const std::string& where) {
  std::vector<int> named;
  for (const LayerLogits& layer : logits.layers) named.push_back(layer.layer);
  if (known.model_layers == 0) return named;
  const std::vector<int>& moe = known.model_moe_layers;
  if (std::includes(moe.begin(), moe.end(), named.begin(), named.end())) return named;
  if (named.size() == moe.size() && named.front() == 0 && named.back() + 1 == static_cast<int>(named.size()))
    return moe;
  throw InputError(where,
                   "has logits of layers that have no experts in " + printable(known.model) + ", such as " +
                       std::to_string(*std::find_if(
                           named.begin(), named.end(),
                           [&](int layer) { return !std::binary_search(moe.begin(), moe.end(), layer); })),
                   "is this a recording of another model?");
}

/// The `width` experts with the highest logits of a token, highest first; of equal ones the lower index.
void choose(const LayerLogits& layer, std::int64_t first, std::int64_t experts, int width,
            std::vector<std::pair<float, std::uint16_t>>& order, std::vector<std::uint16_t>& ids,
            const std::string& where) {
  order.clear();
  for (std::int64_t e = 0; e < experts; ++e) {
    const float logit = layer.at(first + e);
    if (std::isnan(logit) || logit == std::numeric_limits<float>::infinity())
      throw InputError(where,
                       "the logit of expert " + std::to_string(e) + " in layer " +
                           std::to_string(layer.layer) + " is " + (std::isnan(logit) ? "NaN" : "infinite"),
                       "the recorded forward pass went wrong: record it again");
    order.emplace_back(-logit, static_cast<std::uint16_t>(e));
  }
  std::partial_sort(order.begin(), order.begin() + width, order.end());
  for (int r = 0; r < width; ++r) {
    const auto& [negative, expert] = order[static_cast<std::size_t>(r)];
    if (std::isinf(negative))
      throw InputError(where, "fewer than " + std::to_string(width) + " experts in layer " +
                                  std::to_string(layer.layer) + " have a finite logit");
    ids.push_back(expert);
  }
}

}  // namespace

void parse_router_logits(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink) {
  const int width = facts.known.top_k > 0 ? facts.known.top_k : facts.known.model_top_k;
  if (width == 0)
    throw InputError(
        inputs.front(), "logits do not say how many experts a token uses",
        "name the recorded model with --model NAME (pregate list models), or the number with --top-k");
  facts.notes.emplace_back(
      "the " + std::to_string(width) +
      " highest logits of each token are taken as its experts: a router that adds a bias or "
      "limits groups of experts chooses otherwise");
  SequenceWriter writer(facts, sink);
  for (const std::string& input : inputs) {
    const std::string bytes = read_bytes(input);
    const Logits logits = read_logits(bytes, input);
    if (logits.experts < width)
      throw InputError(input,
                       std::to_string(logits.experts) + " experts a layer, fewer than the " +
                           std::to_string(width) + " that a token uses",
                       "is this a recording of another model?");
    if (facts.known.model_experts > 0 && logits.experts != facts.known.model_experts)
      throw InputError(input,
                       std::to_string(logits.experts) + " experts a layer, but " +
                           printable(facts.known.model) + " has " + std::to_string(facts.known.model_experts),
                       "is this a recording of another model?");
    if (!facts.stacks.empty() && facts.stacks[0].layers[0].experts != logits.experts)
      throw InputError(input, std::to_string(logits.experts) +
                                  " experts a layer, but the files before have " +
                                  std::to_string(facts.stacks[0].layers[0].experts));
    const std::vector<int> layers = indices(logits, facts.known, input);
    std::vector<std::pair<float, std::uint16_t>> order;
    for (std::int64_t b = 0; b < logits.batch; ++b) {
      const std::string where = input + (logits.batch > 1 ? ": sequence " + std::to_string(b) : "");
      RoutedTokens routed{.tokens = logits.tokens,
                          .layers = static_cast<int>(logits.layers.size()),
                          .width = width,
                          .ids = {}};
      for (std::int64_t t = 0; t < logits.tokens; ++t)
        for (const LayerLogits& layer : logits.layers)
          choose(layer, (b * logits.tokens + t) * logits.experts, logits.experts, width, order, routed.ids,
                 where + ": token " + std::to_string(t));
      writer.add(routed, layers,
                 {.label = std::filesystem::path(input).stem().string() +
                           (logits.batch > 1 ? "/" + std::to_string(b) : ""),
                  .where = where});
    }
    for (auto& layer : facts.stacks[0].layers) layer.experts = static_cast<int>(logits.experts);
  }
  writer.finish();
}

// Eight bytes that say how long a JSON object is, then the object: no text begins like this.
bool is_router_logits(std::string_view start) {
  return start.size() > 8 && start[8] == '{' &&
         little_endian(start.substr(0, 8)) <= longest_safetensors_header;
}

}  // namespace pregate::trace
