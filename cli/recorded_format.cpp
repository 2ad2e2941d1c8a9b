// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/recorded_format.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cli/model_of_trace.hpp"
#include "models/formats/weight_format.hpp"
#include "models/units.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::cli {

namespace {

/// The bytes of one expert in each of the trace's layers that records them.
std::vector<std::int64_t> recorded_bytes(const trace::TraceInfo& info) {
  std::vector<std::int64_t> bytes;
  for (const trace::TraceLayer& layer : info.layers)
    if (layer.expert_bytes.count > 0) bytes.push_back(layer.expert_bytes.count);
  return bytes;
}

/// The same of the model.
std::vector<std::int64_t> model_bytes(const trace::TraceInfo& info, const ModelSpec& model) {
  std::vector<std::int64_t> bytes;
  for (const trace::TraceLayer& layer : info.layers) {
    if (layer.expert_bytes.count == 0) continue;
    const int stack = model.stack_index(info.stacks[static_cast<std::size_t>(layer.stack)]);
    const auto profile = model.profile(model.stacks[static_cast<std::size_t>(stack)]);
    bytes.push_back(profile[static_cast<std::size_t>(layer.layer)].expert.count);
  }
  return bytes;
}

void store_experts_as(const WeightFormat& format, ModelSpec& model) {
  model.expert_format = format;
  for (PartFormats& formats : model.formats) formats.experts = format;
  for (Stack& stack : model.stacks)
    for (Layer& layer : stack.layers) layer.stored_expert = {};
}

/// The same of the model, its experts stored in `format`.
std::vector<std::int64_t> model_bytes(const trace::TraceInfo& info, ModelSpec model,
                                      const WeightFormat& format) {
  store_experts_as(format, model);
  return model_bytes(info, model);
}

/// Every recorded layer's experts take what the recording says, to the byte.
void use_recorded_bytes(const trace::TraceInfo& info, const WeightFormat& format, ModelSpec& model) {
  store_experts_as(format, model);
  for (const trace::TraceLayer& layer : info.layers) {
    if (layer.expert_bytes.count == 0) continue;
    const int stack = model.stack_index(info.stacks[static_cast<std::size_t>(layer.stack)]);
    model.stacks[static_cast<std::size_t>(stack)]
        .layers[static_cast<std::size_t>(layer.layer)]
        .stored_expert = layer.expert_bytes;
  }
}

/// Everything else in the format of the file that was recorded.
void store_rest_as(const WeightFormat& format, ModelSpec& model) {
  model.dense_format = format;
  model.embedding_format = model.head_format = {};
  model.formats.clear();
}

/// Formats in the order in which they are tried, as several have the same bits: the one that the recording's
/// name holds; ggml's k-quants, which engines that state sizes run most; the others, types before files.
std::vector<WeightFormat> by_likelihood(const trace::TraceInfo& info) {
  const auto rank = [&](const DescribedFormat& described) {
    const std::string& name = described.format.name;
    if (!catalogue_name_in(info.model, {name}).empty()) return 0;
    if (described.mix) return 3;
    return name.size() == 4 && name[0] == 'q' && name.ends_with("_k") ? 1 : 2;
  };
  std::vector<DescribedFormat> all(described_formats().begin(), described_formats().end());
  std::stable_sort(all.begin(), all.end(),
                   [&](const DescribedFormat& a, const DescribedFormat& b) { return rank(a) < rank(b); });
  std::vector<WeightFormat> formats;
  formats.reserve(all.size());
  for (const DescribedFormat& described : all) formats.push_back(described.format);
  return formats;
}

double sum(const std::vector<std::int64_t>& values) {
  double total = 0;
  for (const std::int64_t value : values) total += static_cast<double>(value);
  return total;
}

std::string sizes(const std::vector<std::int64_t>& bytes) {
  const auto [least, most] = std::minmax_element(bytes.begin(), bytes.end());
  const auto mib = [](std::int64_t value) {
    return sim::three_digits(static_cast<double>(value) / (1 << 20));
  };
  if (*least == *most) return mib(*least) + " MiB";
  return mib(*least) + " to " + mib(*most) + " MiB";
}

}  // namespace

std::string use_recorded_sizes(const trace::TraceInfo& info, FormatChoice choice, ModelSpec& model) {
  const std::vector<std::int64_t> recorded = recorded_bytes(info);
  if (recorded.empty()) return {};
  const std::vector<std::int64_t> described = model_bytes(info, model);
  if (recorded == described) return {};
  const std::string told = "the recording's experts take " + sizes(recorded) + " each";
  const std::string as_described =
      "; priced as " + model.expert_format.name + " experts of " + sizes(described);
  // One part in a thousand over all layers: a mixture's mean over layers is the same format.
  const auto agrees = [&](const std::vector<std::int64_t>& bytes) {
    return std::abs(sum(bytes) / sum(recorded) - 1) < 1e-3;
  };
  if (choice.experts) return agrees(described) ? "" : told + as_described + ", as chosen";
  const std::string priced = told + ", and are priced so: ";
  const std::string advice = " (--weights and --dense-weights choose otherwise)";
  const std::string rest = "; the rest of the model is priced as " + model.dense_format.name;
  for (const WeightFormat& format : by_likelihood(info)) {
    if (!agrees(model_bytes(info, model, format))) continue;
    use_recorded_bytes(info, format, model);
    if (choice.dense || catalogue_name_in(info.model, {format.name}).empty())
      return priced + format.name + rest + advice;
    store_rest_as(format, model);
    return priced + format.name + ", and so is the rest of the model, as the recording names its file" +
           advice;
  }
  // Bytes of parameters and of what does not depend on the format, from two formats of known bits.
  const double wide = sum(model_bytes(info, model, {"", 16, "fp16"}));
  const double half = sum(model_bytes(info, model, {"", 8, "fp16"}));
  const double fixed = 2 * half - wide, bytes_a_bit = (wide - half) / 8;
  const double bits = bytes_a_bit > 0 ? (sum(recorded) - fixed) / bytes_a_bit : 0;
  if (bits < 0.5 || bits > 64)
    return told + as_described + ": no weight format makes them as large; is it another model's recording?";
  use_recorded_bytes(info, {"as-recorded", bits, bits > 16.5 ? "fp32" : "fp16"}, model);
  return priced + sim::three_digits(bits) + " bits a parameter, which is no named format" + rest + advice;
}

}  // namespace pregate::cli
