// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/weight_files.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "kernels/element.hpp"
#include "models/error.hpp"
#include "runtime/with_element.hpp"

namespace pregate::runtime {

namespace {

std::string quoted(const std::string& tensor) { return "tensor '" + printable(tensor, 120) + "'"; }

std::optional<ElementType> type_of(const StoredTensor& tensor) {
  if (tensor.dtype == "F32") return ElementType::f32;
  if (tensor.dtype == "F16") return ElementType::f16;
  if (tensor.dtype == "BF16") return ElementType::bf16;
  return {};
}

std::string in_brackets(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) text += (text.size() > 1 ? " x " : "") + std::to_string(size);
  return text + "]";
}

/// Elements as the file has them to elements as the run has them; the first that is or becomes infinite or
/// NaN, or `count`. Alignment is not assumed.
template <class From, class To>
std::size_t convert(const std::byte* from, std::byte* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    From read;
    std::memcpy(&read, from + i * sizeof read, sizeof read);
    const To written = kernels::from_float<To>(kernels::to_float(read));
    if (!std::isfinite(kernels::to_float(written))) return i;
    std::memcpy(to + i * sizeof written, &written, sizeof written);
  }
  return count;
}

}  // namespace

WeightFiles::WeightFiles(const std::vector<std::string>& paths, const ModelSpec& model,
                         const sim::ExpertMap& map)
    : model_(model), map_(map), experts_(map.keys()), layer_of_(map.keys()) {
  for (const sim::MoeLayer& layer : map.layers())
    std::fill_n(layer_of_.begin() + static_cast<std::ptrdiff_t>(layer.first_key), layer.experts, &layer);
  for (const std::string& path : paths) {
    const int file = static_cast<int>(files_.size());
    const std::vector<StoredTensor>& tensors = files_.emplace_back(path).tensors();
    tensors_used_.push_back(0);
    for (std::size_t i = 0; i < tensors.size(); ++i) use(file, i);
    if (tensors_used_.back() > 0) continue;
    throw InputError(
        path,
        "none of its " + std::to_string(tensors.size()) + " tensors is an expert's of " + model.name +
            (tensors.empty() ? std::string() : ", e.g. '" + printable(tensors.front().name, 120) + "'"),
        "expected names are those of Hugging Face's checkpoints, e.g. "
        "model.layers.0.mlp.experts.0.gate_proj.weight; name the shards that hold experts");
  }
  count();
}

std::size_t WeightFiles::index_of(ExpertMatrix::Part part) {
  switch (part) {
    case ExpertMatrix::Part::gate:
    case ExpertMatrix::Part::in:
      return 0;
    case ExpertMatrix::Part::up:
      return 1;
    case ExpertMatrix::Part::out:
      return 2;
  }
  return 0;
}

WeightFiles::MatrixShape WeightFiles::shape_of(const Stack& stack, std::size_t matrix) const {
  if (matrix == index_of(ExpertMatrix::Part::out)) return {model_.d_model, stack.first_moe().ffn_dim};
  return {stack.first_moe().ffn_dim, model_.d_model};
}

/// Null when the model or the trace ends before that layer, or has no such stack.
const sim::MoeLayer* WeightFiles::layer_of(const ExpertMatrix& matrix, const std::string& name,
                                           const std::string& path) const {
  const int stack = model_.stack_index(matrix.stack);
  if (stack < 0) return nullptr;
  const Stack& described = model_.stacks[static_cast<std::size_t>(stack)];
  // DeepSeek-V3's checkpoint has a further layer that predicts several tokens.
  if (static_cast<std::size_t>(matrix.layer) >= described.layers.size()) return nullptr;
  if (!described.is_moe(matrix.layer)) {
    throw InputError(path,
                     quoted(name) + " is an expert's, but layer " + std::to_string(matrix.layer) + " of " +
                         model_.name + " has none",
                     "is it another model's? --model");
  }
  const auto found = std::find_if(
      map_.layers().begin(), map_.layers().end(),
      [&](const sim::MoeLayer& layer) { return layer.model_stack == stack && layer.layer == matrix.layer; });
  return found == map_.layers().end() ? nullptr : &*found;
}

void WeightFiles::use(int file, std::size_t tensor) {
  const SafetensorsFile& in = files_[static_cast<std::size_t>(file)];
  const StoredTensor& stored = in.tensors()[tensor];
  const std::optional<ExpertMatrix> matrix = expert_matrix(stored.name);
  if (!matrix) return;
  const sim::MoeLayer* const layer = layer_of(*matrix, stored.name, in.path());
  if (layer == nullptr) {
    ++tensors_left_out_;
    return;
  }
  const std::string another = "is it another model's? --model";
  if (matrix->expert >= layer->experts) {
    throw InputError(in.path(),
                     quoted(stored.name) + ": " + model_.name + " has " + std::to_string(layer->experts) +
                         " experts a layer",
                     another);
  }
  const Stack& stack = model_.stacks[static_cast<std::size_t>(layer->model_stack)];
  const bool is_gates = matrix->part == ExpertMatrix::Part::gate || matrix->part == ExpertMatrix::Part::up;
  if ((is_gates && !stack.first_moe().gated) ||
      (matrix->part == ExpertMatrix::Part::in && stack.first_moe().gated)) {
    throw InputError(in.path(),
                     quoted(stored.name) + " is of an expert with " + (is_gates ? "three" : "two") +
                         " matrices; those of " + model_.name + " have " + (is_gates ? "two" : "three"),
                     another);
  }
  const std::size_t index = index_of(matrix->part);
  const auto [rows, columns] = shape_of(stack, index);
  const std::int64_t wanted[] = {rows, columns};
  if (!std::ranges::equal(stored.shape, wanted)) {
    throw InputError(in.path(),
                     quoted(stored.name) + " is " + in_brackets(stored.shape) + ", but " + model_.name +
                         " needs " + in_brackets(wanted),
                     another);
  }
  if (!type_of(stored)) {
    throw InputError(
        in.path(), quoted(stored.name) + " is stored as " + stored.dtype + "; F32, F16 and BF16 can be used",
        "convert the checkpoint first");
  }
  Place& place = experts_[layer->first_key + static_cast<std::size_t>(matrix->expert)].matrices[index];
  if (place.file >= 0) {
    const SafetensorsFile& other = files_[static_cast<std::size_t>(place.file)];
    throw InputError(in.path(),
                     quoted(stored.name) + " is also in " + other.path() + ", as '" +
                         printable(other.tensors()[place.tensor].name, 120) + "'",
                     "give each part of one checkpoint once");
  }
  place = {file, tensor};
  ++tensors_used_.back();
}

bool WeightFiles::is_gated(sim::ExpertKey key) const {
  return model_.stacks[static_cast<std::size_t>(layer_of_[key]->model_stack)].first_moe().gated;
}

bool WeightFiles::has(sim::ExpertKey key) const {
  const auto& matrices = experts_[key].matrices;
  return matrices[0].file >= 0 && matrices[2].file >= 0 && (matrices[1].file >= 0 || !is_gated(key));
}

void WeightFiles::count() {
  experts_touched_.assign(files_.size(), 0);
  for (sim::ExpertKey key = 0; key < map_.keys(); ++key) {
    const auto& matrices = experts_[key].matrices;
    if (!has(key)) {
      partial_experts_ += std::ranges::any_of(matrices, [](const Place& m) { return m.file >= 0; }) ? 1 : 0;
      continue;
    }
    ++whole_experts_;
    for (int file = 0; file < static_cast<int>(files_.size()); ++file) {
      if (std::ranges::any_of(matrices, [&](const Place& m) { return m.file == file; }))
        ++experts_touched_[static_cast<std::size_t>(file)];
    }
  }
  if (whole_experts_ == 0) {
    throw InputError(files_.empty() ? std::string() : files_.front().path(),
                     "no expert has all its matrices in the files given",
                     "give the other shards of the checkpoint as well: --weights-file once for each");
  }
}

void WeightFiles::read(sim::ExpertKey key, ElementType type, std::span<std::byte> to) const {
  const Stack& stack = model_.stacks[static_cast<std::size_t>(layer_of_[key]->model_stack)];
  std::vector<std::byte> chunk;
  const auto element = static_cast<std::size_t>(type == ElementType::f32 ? 4 : 2);
  for (std::size_t m = 0; m < 3; ++m) {
    const Place& place = experts_[key].matrices[m];
    if (place.file < 0) continue;
    const SafetensorsFile& file = files_[static_cast<std::size_t>(place.file)];
    const StoredTensor& stored = file.tensors()[place.tensor];
    const auto [rows, columns] = shape_of(stack, m);
    const auto count = static_cast<std::size_t>(rows * columns);
    if (to.size() < count * element) throw std::invalid_argument("no room for an expert");
    const ElementType stored_type = type_of(stored).value();
    const std::size_t stored_element = stored_type == ElementType::f32 ? 4 : 2;
    constexpr std::size_t most = 1 << 18;
    for (std::size_t done = 0; done < count;) {
      const std::size_t part = std::min(most, count - done);
      chunk.resize(part * stored_element);
      file.read(stored, static_cast<std::int64_t>(done * stored_element), chunk);
      std::size_t good = 0;
      with_element(stored_type, [&](auto from) {
        with_element(type, [&](auto into) {
          good = convert<decltype(from), decltype(into)>(chunk.data(), to.data() + done * element, part);
        });
      });
      if (good < part) {
        throw InputError(file.path(),
                         quoted(stored.name) + ": value " + std::to_string(done + good) +
                             " of it is not finite, or too large for the format that the run computes in",
                         "bf16 and fp32 hold larger values than fp16: --weights, --dense-weights");
      }
      done += part;
    }
    to = to.subspan(count * element);
  }
}

std::vector<std::string> WeightFiles::notes() const {
  std::string text = std::to_string(whole_experts_) + " of " + std::to_string(map_.keys()) +
                     " experts have real weights, from ";
  for (std::size_t file = 0; file < files_.size(); ++file) {
    text +=
        (file > 0 ? ", " : "") + files_[file].path() + " (" + std::to_string(experts_touched_[file]) + ")";
  }
  const bool all = whole_experts_ == static_cast<std::int64_t>(map_.keys());
  std::vector<std::string> notes{
      text + (all ? "; all else is synthetic" : "; the other experts and all else are synthetic")};
  if (partial_experts_ > 0) {
    notes.push_back(std::to_string(partial_experts_) +
                    " experts have only some of their matrices in the files given and are synthetic");
  }
  if (tensors_left_out_ > 0) {
    notes.push_back(std::to_string(tensors_left_out_) +
                    " tensors of the files are of layers that the model or the trace does not have");
  }
  return notes;
}

}  // namespace pregate::runtime
