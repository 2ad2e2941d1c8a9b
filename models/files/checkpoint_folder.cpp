// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/files/checkpoint_folder.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "models/files/safetensors.hpp"

namespace pregate {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_files = 10'000;
/// The index of a model of 400 experts has 30 MB.
constexpr Bytes largest_index{128 << 20};

/// How many tensors each file of a model.safetensors.index.json should hold. Read piece by piece, as it names
/// each tensor.
class IndexReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit IndexReader(std::string where) : where_(std::move(where)) {}

  std::map<std::string, std::size_t> take() { return std::move(files_); }

  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool number_integer(number_integer_t) override { return other(); }
  bool number_unsigned(number_unsigned_t) override { return other(); }
  bool number_float(number_float_t, const string_t&) override { return other(); }
  bool binary(binary_t&) override { return other(); }
  bool string(string_t& text) override {
    if (!in_map()) return true;
    if (text.empty() || text.size() > 255 || text.find('/') != std::string::npos ||
        !text.ends_with(".safetensors"))
      refuse("names '" + printable(text) + "', which is no .safetensors file of this folder");
    if (files_.size() >= most_files && !files_.contains(text)) refuse("names absurdly many files");
    ++files_[text];
    return true;
  }
  bool start_object(std::size_t) override {
    if (in_map()) refuse("weight_map holds something else than names of files");
    if (++depth_ > 32) refuse("is nested too deeply");
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 1) is_map_ = name == "weight_map";
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override {
    if (in_map()) refuse("weight_map holds something else than names of files");
    if (++depth_ > 32) refuse("is nested too deeply");
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    refuse("is not JSON (byte " + std::to_string(position) + ")");
  }

 private:
  [[nodiscard]] bool in_map() const { return is_map_ && depth_ == 2; }
  bool other() {
    if (in_map()) refuse("weight_map holds something else than names of files");
    return true;
  }
  [[noreturn]] void refuse(const std::string& problem) const {
    throw InputError(where_, problem, "download it again");
  }

  std::string where_;
  std::map<std::string, std::size_t> files_;
  int depth_ = 0;
  bool is_map_ = false;
};

/// Of "model-00002-of-00005.safetensors": 5; 0 for other names.
std::size_t parts_in_name(std::string_view name) {
  constexpr std::string_view ending = ".safetensors";
  const std::size_t of = name.rfind("-of-");
  if (of == std::string_view::npos || !name.ends_with(ending)) return 0;
  const std::string_view digits = name.substr(of + 4, name.size() - ending.size() - of - 4);
  std::size_t parts = 0;
  const auto [at, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), parts);
  return fault == std::errc{} && at == digits.data() + digits.size() ? parts : 0;
}

/// The .safetensors files of the folder, by name, and how many tensors each should hold (0: not said).
std::map<std::string, std::size_t> files_of(const fs::path& folder, const std::string& where) {
  const fs::path index = folder / "model.safetensors.index.json";
  std::error_code fault;
  if (fs::exists(index, fault)) {
    const std::string text = read_text_file(index.string(), largest_index);
    IndexReader reader(printable(index.string(), 200));
    nlohmann::json::sax_parse(text, &reader);
    return reader.take();
  }
  std::map<std::string, std::size_t> files;
  std::size_t promised = 0;
  fs::directory_iterator entries(folder, fault);
  if (fault) throw InputError(where, "cannot be listed: " + fault.message());
  for (std::size_t seen = 0; entries != fs::directory_iterator(); entries.increment(fault)) {
    if (fault || ++seen > 100'000) throw InputError(where, "cannot be listed, or holds absurdly many files");
    const std::string name = entries->path().filename().string();
    // What adapters and the originals of converted models are called.
    if (!name.ends_with(".safetensors") || name.starts_with("adapter_") || name.starts_with("consolidated"))
      continue;
    promised = std::max(promised, parts_in_name(name));
    files.emplace(name, 0);
  }
  if (promised > files.size()) {
    throw InputError(
        where,
        "has " + std::to_string(files.size()) + " of " + std::to_string(promised) + " .safetensors files",
        "download the others into it");
  }
  return files;
}

}  // namespace

std::optional<std::string> quantization_beside(const std::string& config) {
  const fs::path path(config);
  const fs::path beside = path.filename() == "config.json"
                              ? path.parent_path() / "hf_quant_config.json"
                              : fs::path(path).replace_extension("hf_quant_config.json");
  std::error_code fault;
  if (!fs::is_regular_file(beside, fault)) return std::nullopt;
  return beside.string();
}

CheckpointFolder read_checkpoint_folder(const std::string& path) {
  const std::string where = printable(path, 200);
  const fs::path folder(path);
  CheckpointFolder read;
  read.path = path;
  read.config = (folder / "config.json").string();
  std::error_code fault;
  if (!fs::is_regular_file(read.config, fault)) {
    throw InputError(where, "is a folder without a config.json",
                     "name the folder of a checkpoint, or the .gguf file itself");
  }
  std::unordered_set<std::string> names;
  for (const auto& [name, promised] : files_of(folder, where)) {
    const std::string file = (folder / name).string();
    if (!fs::is_regular_file(file, fault))
      throw InputError(where, "lacks " + printable(name, 200) + ", which its index names",
                       "download it into the folder");
    const SafetensorsFile opened(file);
    if (promised != 0 && opened.tensors().size() != promised) {
      throw InputError(printable(file, 200),
                       "holds " + std::to_string(opened.tensors().size()) + " tensors, not the " +
                           std::to_string(promised) + " that the index names in it",
                       "file and index may be of different downloads");
    }
    for (const StoredTensor& tensor : opened.tensors()) {
      if (!names.insert(tensor.name).second)
        throw InputError(printable(file, 200),
                         "has tensor '" + printable(tensor.name) + "', as has another file");
      read.tensors.push_back(tensor);
    }
    read.files.push_back(name);
  }
  return read;
}

}  // namespace pregate
