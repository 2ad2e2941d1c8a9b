// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/files/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>
#include <utility>

#include "models/error.hpp"

namespace pregate {

namespace {

/// Bits an element, by the format's names (safetensors/src/tensor.rs, enum Dtype).
constexpr std::array<std::pair<std::string_view, int>, 20> dtypes{
    {{"BOOL", 8}, {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
     {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},
     {"U16", 16}, {"F16", 16},    {"BF16", 16},   {"I32", 32},    {"U32", 32},
     {"F32", 32}, {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}}};

/// Reads the JSON piece by piece: a header may be 100 MB long, and a tree of it many times that. What is not
/// as the format has it ends the reading.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(std::string where) : where_(std::move(where)) {}

  std::vector<StoredTensor> take() { return std::move(tensors_); }

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("true or false"); }
  bool number_integer(number_integer_t) override { unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { unexpected("a fraction or a huge number"); }
  bool binary(binary_t&) override { unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::shape && place_ != Place::offsets) unexpected("a number");
    if (value > static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max()))
      unexpected("a huge number");
    (place_ == Place::shape ? tensors_.back().shape : offsets_).push_back(static_cast<std::int64_t>(value));
    return true;
  }
  bool string(string_t& text) override {
    if (place_ == Place::metadata) return true;
    if (place_ != Place::tensor || field_ != "dtype") unexpected("text");
    tensors_.back().dtype = text;
    has_dtype_ = true;
    return true;
  }
  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::outside:
        place_ = Place::file;
        return true;
      case Place::file:
        place_ = is_metadata_ ? Place::metadata : Place::tensor;
        return true;
      default:
        unexpected("an object");
    }
  }
  bool key(string_t& name) override {
    if (place_ == Place::metadata) {
      if (!metadata_keys_.insert(name).second) refuse("__metadata__ names '" + printable(name) + "' twice");
    } else if (place_ == Place::file) {
      is_metadata_ = name == "__metadata__";
      if (!names_.insert(name).second) refuse("the header names '" + printable(name) + "' twice");
      if (!is_metadata_) begin_tensor(name);
    } else {
      begin_field(name);
    }
    return true;
  }
  bool end_object() override {
    if (place_ == Place::tensor) end_tensor();
    place_ = place_ == Place::file ? Place::outside : Place::file;
    return true;
  }
  bool start_array(std::size_t) override {
    if (place_ != Place::tensor || field_ == "dtype") unexpected("a list");
    (field_ == "shape" ? has_shape_ : has_offsets_) = true;
    place_ = field_ == "shape" ? Place::shape : Place::offsets;
    return true;
  }
  bool end_array() override {
    place_ = Place::tensor;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    refuse("the header is not JSON (byte " + std::to_string(position) + " of it)");
  }

 private:
  enum class Place { outside, file, metadata, tensor, shape, offsets };

  void begin_tensor(const std::string& name) {
    tensors_.push_back({.name = name, .dtype = {}, .shape = {}});
    field_.clear();
    offsets_.clear();
    has_dtype_ = has_shape_ = has_offsets_ = false;
  }
  void begin_field(const std::string& name) {
    const bool seen = (name == "dtype" && has_dtype_) || (name == "shape" && has_shape_) ||
                      (name == "data_offsets" && has_offsets_);
    if (seen) refuse(of_tensor() + " names '" + name + "' twice");
    if (name != "dtype" && name != "shape" && name != "data_offsets")
      refuse(of_tensor() + " has a field '" + printable(name) + "', which the format does not know");
    field_ = name;
  }
  void end_tensor() {
    StoredTensor& tensor = tensors_.back();
    if (!has_dtype_ || !has_shape_ || !has_offsets_)
      refuse(of_tensor() + " lacks its dtype, shape or data_offsets");
    if (offsets_.size() != 2 || offsets_[0] > offsets_[1])
      refuse(of_tensor() + ": its data_offsets are not a begin and an end");
    tensor.begin = offsets_[0];
    tensor.end = offsets_[1];
    if (tensor.end - tensor.begin != bytes_of(tensor)) {
      refuse(of_tensor() + " has " + std::to_string(tensor.end - tensor.begin) +
             " bytes, but its shape and dtype " + tensor.dtype + " make " + std::to_string(bytes_of(tensor)));
    }
  }
  [[nodiscard]] std::int64_t bytes_of(const StoredTensor& tensor) const {
    const auto* const known = std::find_if(dtypes.begin(), dtypes.end(),
                                           [&](const auto& dtype) { return dtype.first == tensor.dtype; });
    if (known == dtypes.end()) refuse(of_tensor() + ": there is no dtype '" + printable(tensor.dtype) + "'");
    std::int64_t bits = known->second;
    // The elements first, as [2^40, 2^40, 0] is no tensor either.
    std::int64_t elements = 1;
    bool overflows = false;
    for (const std::int64_t size : tensor.shape)
      overflows = __builtin_mul_overflow(elements, size, &elements) || overflows;
    overflows = __builtin_mul_overflow(elements, bits, &bits) || overflows;
    if (overflows) refuse(of_tensor() + ": its shape is too large for any file");
    if (bits % 8 != 0) refuse(of_tensor() + " is not a whole number of bytes");
    return bits / 8;
  }

  [[nodiscard]] std::string of_tensor() const { return "tensor '" + printable(tensors_.back().name) + "'"; }
  [[noreturn]] void unexpected(const std::string& what) const {
    const bool inside = place_ != Place::outside && place_ != Place::metadata && !tensors_.empty();
    const std::string of = place_ == Place::metadata ? "__metadata__" : inside ? of_tensor() : "the header";
    refuse(of + " has " + what + " where the format has something else");
  }
  [[noreturn]] void refuse(const std::string& problem) const {
    throw InputError(where_, problem, "it is not a whole .safetensors file: write or download it again");
  }

  std::string where_;
  std::vector<StoredTensor> tensors_;
  std::unordered_set<std::string> names_, metadata_keys_;
  Place place_ = Place::outside;
  bool is_metadata_ = false;
  // of the tensor that is read
  std::string field_;
  std::vector<std::int64_t> offsets_;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
};

}  // namespace

std::vector<StoredTensor> parse_safetensors_header(std::string_view header, const std::string& where) {
  HeaderReader reader(where);
  nlohmann::json::sax_parse(header.begin(), header.end(), &reader);
  return reader.take();
}

}  // namespace pregate
