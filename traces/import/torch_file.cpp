// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/torch_file.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "traces/import/byte_input.hpp"

namespace pregate::trace {

namespace {

constexpr std::int64_t most_numbers = std::int64_t{1} << 26;
constexpr std::string_view pickle_member = "/data.pkl";

/// The archive's folder, after looking at what the file is instead.
std::string folder_of(const ZipArchive& archive, const std::string& where) {
  std::string folder;
  for (const auto& [name, record] : archive.directory()) {
    if (!name.ends_with(pickle_member)) continue;
    const std::string_view found = name.substr(0, name.size() - pickle_member.size());
    if (found.find('/') != std::string_view::npos) continue;
    if (!folder.empty()) throw InputError(where, "holds more than one data.pkl");
    folder = std::string(found) + "/";
  }
  if (folder.empty())
    throw InputError(where, "is a zip archive without data.pkl, so no file of torch.save",
                     "of archives, SGLang's expert_distribution_recorder_*.pt are read (docs/recording.md)");
  if (const std::string order = folder + "byteorder";
      archive.directory().contains(order) && archive.member(order) != "little")
    throw InputError(where, "was saved on a machine with the most significant byte first");
  return folder;
}

std::string_view whole_zip(std::string_view bytes, const std::string& where) {
  if (bytes.substr(0, ZipArchive::magic.size()) != ZipArchive::magic)
    throw InputError(where,
                     bytes.substr(0, 1) == "\x80" ? "is a pickle, or a torch file of before 1.6"
                                                  : "is no file of torch.save",
                     "load it and save it again with torch.save of today");
  return bytes;
}

/// Bytes an element; 0 when the storage holds no whole numbers.
std::size_t storage_integer_size(std::string_view dtype) {
  if (dtype == "Byte" || dtype == "Char") return 1;
  if (dtype == "Short") return 2;
  if (dtype == "Int") return 4;
  return dtype == "Long" ? 8 : 0;
}

}  // namespace

TorchFile::TorchFile(std::string_view bytes, const std::string& where)
    : archive_(whole_zip(bytes, where), where),
      folder_(folder_of(archive_, where)),
      most_values_(std::min(bytes.size(), static_cast<std::size_t>(most_numbers))),
      pickle_(archive_.member(folder_ + std::string(pickle_member.substr(1))), where) {}

TorchFile::Numbers TorchFile::numbers(Pickle::Value value, std::size_t dimensions,
                                      const std::string& where) const {
  Numbers numbers;
  if (pickle_.kind(value) == Pickle::Kind::tensor) {
    const Pickle::Tensor& tensor = pickle_.tensor(value);
    if (tensor.sizes.size() != dimensions)
      throw InputError(where, "a tensor of " + std::to_string(tensor.sizes.size()) + " dimensions, not " +
                                  std::to_string(dimensions));
    return of_tensor(tensor, where);
  }
  numbers.shape.assign(dimensions, -1);
  of_lists(value, 0, numbers, where);
  for (std::int64_t& size : numbers.shape)
    if (size < 0) size = 0;
  return numbers;
}

TorchFile::Numbers TorchFile::of_tensor(const Pickle::Tensor& tensor, const std::string& where) const {
  const std::size_t size = storage_integer_size(tensor.dtype);
  if (size == 0) throw InputError(where, "a tensor of " + printable(tensor.dtype) + ", not of whole numbers");
  const std::string_view data = archive_.member(folder_ + "data/" + std::string(tensor.key));
  if (static_cast<std::uint64_t>(tensor.storage_elements) != data.size() / size || data.size() % size != 0)
    throw InputError(where, "its storage has " + std::to_string(data.size()) + " bytes, not " +
                                std::to_string(tensor.storage_elements) + " numbers of " +
                                std::to_string(size));
  std::int64_t count = 1, highest = tensor.offset;
  bool overflows = false;
  for (std::size_t d = 0; d < tensor.sizes.size(); ++d) {
    overflows = __builtin_mul_overflow(count, tensor.sizes[d], &count) || overflows;
    std::int64_t reach = 0;
    if (tensor.sizes[d] > 0)
      overflows = __builtin_mul_overflow(tensor.sizes[d] - 1, tensor.strides[d], &reach) ||
                  __builtin_add_overflow(highest, reach, &highest) || overflows;
  }
  if (overflows || count > most_numbers || count > tensor.storage_elements ||
      (count > 0 && highest >= tensor.storage_elements))
    throw InputError(where, "a tensor that reaches past its storage", "is the file damaged?");
  Numbers numbers{.shape = tensor.sizes, .values = {}};
  numbers.values.reserve(static_cast<std::size_t>(count));
  std::vector<std::int64_t> index(tensor.sizes.size(), 0);
  std::int64_t place = tensor.offset;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint64_t raw = little_endian(data.substr(static_cast<std::size_t>(place) * size, size));
    const std::uint64_t sign = tensor.dtype == "Byte" ? 0 : std::uint64_t{1} << (8 * size - 1);
    numbers.values.push_back(static_cast<std::int64_t>((raw ^ sign) - sign));
    for (std::size_t d = index.size(); d-- > 0;) {
      place += tensor.strides[d];
      if (++index[d] < tensor.sizes[d]) break;
      place -= index[d] * tensor.strides[d];
      index[d] = 0;
    }
  }
  return numbers;
}

// As deep as there are dimensions, so a list that holds itself ends there.
void TorchFile::of_lists(Pickle::Value value, std::size_t depth, Numbers& numbers,
                         const std::string& where) const {
  if (depth == numbers.shape.size()) {
    if (pickle_.kind(value) != Pickle::Kind::integer)
      throw InputError(where, "holds " + pickle_.describe(value) + ", not a whole number");
    // Every number is in the file: lists that hold the same lists again and again are none of the recorder.
    if (numbers.values.size() == most_values_)
      throw InputError(where, "holds over " + std::to_string(most_values_) + " numbers");
    numbers.values.push_back(pickle_.integer(value));
    return;
  }
  const Pickle::Kind kind = pickle_.kind(value);
  if (kind != Pickle::Kind::list && kind != Pickle::Kind::tuple)
    throw InputError(where, "is " + pickle_.describe(value) + ", not a tensor or lists of " +
                                std::to_string(numbers.shape.size()) + " dimensions");
  const auto size = static_cast<std::int64_t>(pickle_.items(value).size());
  if (numbers.shape[depth] < 0) numbers.shape[depth] = size;
  if (numbers.shape[depth] != size)
    throw InputError(where, "has lists of " + std::to_string(size) + " and of " +
                                std::to_string(numbers.shape[depth]) + " side by side");
  for (const Pickle::Value item : pickle_.items(value)) of_lists(item, depth + 1, numbers, where);
}

}  // namespace pregate::trace
