// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/files/gguf.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <unordered_set>

#include "models/error.hpp"
#include "models/files/gguf_reader.hpp"

namespace pregate {
namespace {

constexpr std::string_view magic = "GGUF";
constexpr std::uint64_t longest_key = 65'535;   // of the format
constexpr std::uint64_t longest_name = 1024;    // of a tensor; ggml takes 63
constexpr std::uint64_t longest_text = 1024;    // that is kept
constexpr std::uint64_t longest_list = 16'384;  // that is kept: one number a layer, not one a word
// Texts of a list and lists in lists are passed one by one: a vocabulary with its merges, many times over.
constexpr std::uint64_t most_passed = 1 << 24;
constexpr std::uint64_t most_keys = 65'536, most_tensors = 1 << 20;
constexpr int deepest = 4;  // lists in lists
constexpr int most_parts = 9999;
constexpr std::int64_t largest_file = std::int64_t{1} << 50;

/// The types of values (gguf.h, enum gguf_type).
enum class Type : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  text,
  list,
  u64,
  i64,
  f64,
  count
};

constexpr std::array<std::uint64_t, 13> sizes{1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};  // at least, of one

/// A number as it is kept.
std::variant<std::int64_t, double> read_number(GgufReader& in, Type type) {
  switch (type) {
    case Type::u8:
      return std::int64_t{in.number<std::uint8_t>()};
    case Type::i8:
      return std::int64_t{in.number<std::int8_t>()};
    case Type::u16:
      return std::int64_t{in.number<std::uint16_t>()};
    case Type::i16:
      return std::int64_t{in.number<std::int16_t>()};
    case Type::u32:
      return std::int64_t{in.number<std::uint32_t>()};
    case Type::i32:
      return std::int64_t{in.number<std::int32_t>()};
    case Type::f32:
      return static_cast<double>(in.number<float>());
    case Type::boolean: {
      const auto value = in.number<std::uint8_t>();
      if (value > 1) in.refuse("a truth value is neither 0 nor 1");
      return std::int64_t{value};
    }
    case Type::u64: {
      const auto value = in.number<std::uint64_t>();
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return static_cast<double>(value);
      return static_cast<std::int64_t>(value);
    }
    case Type::i64:
      return in.number<std::int64_t>();
    case Type::f64:
      return in.number<double>();
    default:
      in.refuse("a list says that its elements are no numbers");
  }
}

Type read_type(GgufReader& in, const std::string& of) {
  const auto type = in.number<std::uint32_t>();
  if (type >= static_cast<std::uint32_t>(Type::count))
    in.refuse(of + " has a type " + std::to_string(type) + ", which the format does not know");
  return static_cast<Type>(type);
}

/// `passed` counts what the file had passed one by one.
GgufValue read_list(GgufReader& in, const std::string& of, int depth, std::uint64_t& passed) {
  if (depth >= deepest) in.refuse(of + " is nested too deeply");
  const Type type = read_type(in, of);
  const auto count = in.number<std::uint64_t>();
  const std::uint64_t size = sizes.at(static_cast<std::size_t>(type));
  in.expect(count, size, "elements in " + of);
  if (type == Type::text || type == Type::list) {
    if (count > most_passed - passed)
      in.refuse(of + " brings the texts and lists in lists to more than " + std::to_string(most_passed));
    passed += count;
  }
  if (type == Type::text) {
    for (std::uint64_t i = 0; i < count; ++i) in.skip(in.number<std::uint64_t>(), 1, "bytes in " + of);
    return SkippedList{count};
  }
  if (type == Type::list) {
    for (std::uint64_t i = 0; i < count; ++i) read_list(in, of, depth + 1, passed);
    return SkippedList{count};
  }
  if (count > longest_list) {
    in.skip(count, size, "elements in " + of);
    return SkippedList{count};
  }
  std::vector<std::int64_t> whole;
  std::vector<double> real;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto number = read_number(in, type);
    if (const auto* integer = std::get_if<std::int64_t>(&number)) {
      whole.push_back(*integer);
    } else {
      real.push_back(std::get<double>(number));
    }
  }
  if (real.empty()) return whole;
  if (!whole.empty()) return SkippedList{count};  // some above 2^63
  return real;
}

GgufValue read_value(GgufReader& in, const std::string& of, std::uint64_t& passed) {
  const Type type = read_type(in, of);
  if (type == Type::list) return read_list(in, of, 0, passed);
  if (type != Type::text)
    return std::visit([](auto number) -> GgufValue { return number; }, read_number(in, type));
  const auto length = in.number<std::uint64_t>();
  if (length > longest_text) {
    in.skip(length, 1, "bytes in " + of);
    return SkippedList{length};
  }
  in.expect(length, 1, "bytes in " + of);
  std::string text;
  for (std::uint64_t i = 0; i < length; ++i) text += static_cast<char>(in.number<std::uint8_t>());
  return text;
}

struct Placed {
  GgufTensor tensor;
  std::uint64_t offset = 0;  ///< from the beginning of the data
};

Placed read_tensor(GgufReader& in) {
  Placed placed;
  GgufTensor& tensor = placed.tensor;
  tensor.name = in.text(longest_name, "the name of a tensor");
  const std::string of = "tensor '" + printable(tensor.name) + "'";
  const auto dims = in.number<std::uint32_t>();
  if (dims > 4) in.refuse(of + " has " + std::to_string(dims) + " dimensions; 4 is the most");
  std::int64_t values = 1;
  for (std::uint32_t i = 0; i < dims; ++i) {
    const auto size = in.number<std::uint64_t>();
    if (size == 0) in.refuse(of + " has a dimension of 0");
    // Bits must fit as well.
    if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / 64) ||
        __builtin_mul_overflow(values, static_cast<std::int64_t>(size), &values) ||
        values > std::numeric_limits<std::int64_t>::max() / 64)
      in.refuse(of + " is too large for any file");
    tensor.dims.push_back(static_cast<std::int64_t>(size));
  }
  const auto type = in.number<std::uint32_t>();
  tensor.type = ggml_type(type);
  if (tensor.type == nullptr)
    in.refuse(
        of + " is of type " + std::to_string(type) + " of ggml, which is not known here",
        "pregate list formats shows the known ones; types 4, 5, 31 to 33 and 36 to 38 are no longer of ggml");
  const std::int64_t row = tensor.dims.empty() ? 1 : tensor.dims.front();
  if (row % tensor.type->values != 0)
    in.refuse(of + ": its rows of " + std::to_string(row) + " are no whole blocks of " +
              std::string(tensor.type->name));
  tensor.bytes = Bytes{values / tensor.type->values * tensor.type->bytes};
  placed.offset = in.number<std::uint64_t>();
  return placed;
}

std::uint64_t alignment_of(const GgufReader& in, const GgufFile& file) {
  const auto found = file.metadata.find("general.alignment");
  if (found == file.metadata.end()) return 32;
  const auto* value = std::get_if<std::int64_t>(&found->second);
  if (value == nullptr || *value < 1 || *value > (1 << 30) || (*value & (*value - 1)) != 0)
    in.refuse("general.alignment is not a power of two");
  return static_cast<std::uint64_t>(*value);
}

/// Each tensor begins where the alignment has it, ends inside the file and lies on no other.
void check_places(const GgufReader& in, std::vector<Placed>& placed, std::uint64_t alignment) {
  const auto position = static_cast<std::uint64_t>(in.position());
  const std::uint64_t begin = (position + alignment - 1) / alignment * alignment;
  const auto size = static_cast<std::uint64_t>(in.size());
  std::vector<const Placed*> order;
  order.reserve(placed.size());
  for (const Placed& one : placed) order.push_back(&one);
  std::sort(order.begin(), order.end(),
            [](const Placed* a, const Placed* b) { return a->offset < b->offset; });
  std::uint64_t at = 0;
  for (const Placed* one : order) {
    const std::string of = "tensor '" + printable(one->tensor.name) + "'";
    const auto bytes = static_cast<std::uint64_t>(one->tensor.bytes.count);
    if (one->offset % alignment != 0)
      in.refuse(of + " does not begin at a multiple of " + std::to_string(alignment));
    if (one->offset < at) in.refuse(of + " lies on another one");
    if (one->offset > std::numeric_limits<std::uint64_t>::max() - begin - bytes)
      in.refuse(of + " lies beyond any file");
    at = one->offset + bytes;
    if (begin + at > size) {
      in.refuse("ends inside " + of + ": the file has " + std::to_string(size) +
                " bytes, the tensor ends at " + std::to_string(begin + at));
    }
  }
}

/// One file, alone.
GgufFile read_part(const std::string& path) {
  GgufReader in(path);
  GgufFile file;
  file.path = path;
  file.bytes = Bytes{in.size()};
  // Sums of sizes cannot overflow below this.
  if (in.size() > largest_file) in.refuse("is larger than 1 PiB", "no model is");
  std::array<char, 4> first{};
  for (char& byte : first) byte = static_cast<char>(in.number<std::uint8_t>());
  if (std::string_view(first.data(), 4) != magic) in.refuse("does not begin with GGUF", "name a .gguf file");
  const auto version = in.number<std::uint32_t>();
  if (version > 0 && (version & 0xFFFFU) == 0)
    in.refuse("is big-endian; only little-endian .gguf files are read",
              "convert it with gguf-py's gguf_convert_endian");
  if (version != 2 && version != 3)
    in.refuse("is of version " + std::to_string(version) + " of the format; 2 and 3 are read",
              "convert it again with a current llama.cpp");
  const auto tensors = in.number<std::uint64_t>();
  const auto keys = in.number<std::uint64_t>();
  in.expect(tensors, 8 + 4 + 4 + 8, "tensors");
  in.expect(keys, 8 + 4 + 1, "keys");
  if (tensors > most_tensors || keys > most_keys)
    in.refuse("says that it has an absurd number of tensors or keys");
  std::uint64_t passed = 0;
  for (std::uint64_t i = 0; i < keys; ++i) {
    const std::string key = in.text(longest_key, "a key");
    const std::string of = "key '" + printable(key) + "'";
    if (!file.metadata.emplace(key, read_value(in, of, passed)).second) in.refuse("has " + of + " twice");
  }
  std::vector<Placed> placed;
  std::unordered_set<std::string> names;
  for (std::uint64_t i = 0; i < tensors; ++i) {
    placed.push_back(read_tensor(in));
    if (!names.insert(placed.back().tensor.name).second)
      in.refuse("has tensor '" + printable(placed.back().tensor.name) + "' twice");
  }
  check_places(in, placed, alignment_of(in, file));
  for (Placed& one : placed) file.tensors.push_back(std::move(one.tensor));
  return file;
}

/// A number of the keys of split files; `fallback` when it is absent.
std::int64_t split_number(const GgufFile& file, const char* key, std::int64_t fallback) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) return fallback;
  const auto* value = std::get_if<std::int64_t>(&found->second);
  if (value == nullptr)
    throw InputError(printable(file.path, 200), std::string(key) + " is not a whole number");
  return *value;
}

std::string five_digits(std::int64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
}

/// `path` of one part to that of another: gguf-split names them `<prefix>-00001-of-00003.gguf`.
std::string path_of_part(const GgufFile& file, std::int64_t part, std::int64_t parts) {
  const std::string ending =
      "-" + five_digits(split_number(file, "split.no", 0) + 1) + "-of-" + five_digits(parts) + ".gguf";
  if (!file.path.ends_with(ending)) {
    throw InputError(printable(file.path, 200),
                     "is part " + std::to_string(split_number(file, "split.no", 0) + 1) + " of " +
                         std::to_string(parts) + ", but is not named so, and the others cannot be found",
                     "name it <model>" + ending + " and put the others beside it");
  }
  return file.path.substr(0, file.path.size() - ending.size()) + "-" + five_digits(part + 1) + "-of-" +
         five_digits(parts) + ".gguf";
}

}  // namespace

GgufFile read_gguf(const std::string& path) {
  GgufFile named = read_part(path);
  const std::int64_t parts = split_number(named, "split.count", 1);
  if (parts < 0 || parts > most_parts)
    throw InputError(printable(path, 200), "split.count is " + std::to_string(parts),
                     "1 to 9999 parts are read");
  GgufFile whole;
  if (parts <= 1) {
    whole = std::move(named);
  } else {
    std::unordered_set<std::string> names;
    for (std::int64_t part = 0; part < parts; ++part) {
      const std::string beside = path_of_part(named, part, parts);
      std::error_code fault;
      if (!std::filesystem::exists(beside, fault)) {
        throw InputError(printable(path, 200),
                         "part " + std::to_string(part + 1) + " of " + std::to_string(parts) + " is missing",
                         "put " + printable(beside, 200) + " beside it");
      }
      GgufFile one = read_part(beside);
      if (split_number(one, "split.no", -1) != part || split_number(one, "split.count", -1) != parts) {
        throw InputError(
            printable(beside, 200),
            "does not say that it is part " + std::to_string(part + 1) + " of " + std::to_string(parts),
            "its name says so: it may be of another model");
      }
      for (GgufTensor& tensor : one.tensors) {
        if (!names.insert(tensor.name).second)
          throw InputError(printable(beside, 200),
                           "has tensor '" + printable(tensor.name) + "', as has another part");
        whole.tensors.push_back(std::move(tensor));
      }
      whole.bytes += one.bytes;
      if (part == 0) whole.metadata = std::move(one.metadata);
    }
    whole.path = path;
    whole.parts = static_cast<int>(parts);
    const auto total = static_cast<std::int64_t>(whole.tensors.size());
    const std::int64_t said = split_number(whole, "split.tensors.count", total);
    if (said != total) {
      throw InputError(printable(path, 200), "its parts have " + std::to_string(total) +
                                                 " tensors together, not the " + std::to_string(said) +
                                                 " that split.tensors.count says");
    }
  }
  const auto architecture = whole.metadata.find("general.architecture");
  if (architecture == whole.metadata.end() || !std::holds_alternative<std::string>(architecture->second))
    throw InputError(printable(path, 200), "does not say its architecture (general.architecture)");
  whole.architecture = std::get<std::string>(architecture->second);
  return whole;
}

bool begins_as_gguf(const std::string& path) {
  try {
    const InputFile file(path, {});
    std::array<char, 4> first{};
    if (file.size() < 4) return false;
    file.read_at(0, std::as_writable_bytes(std::span(first)));
    return std::string_view(first.data(), 4) == magic;
  } catch (const InputError&) {
    return false;
  }
}

}  // namespace pregate
