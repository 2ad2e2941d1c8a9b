// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/error.hpp"
#include "models/files/checkpoint_folder.hpp"
#include "tests/fuzz/scratch_folder.hpp"

/// model.safetensors.index.json of a folder that has one file of tensors, with one tensor.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const pregate::fuzz::ScratchFolder folder;
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  file += header + std::string(4, '\0');
  const auto write = [&](const std::string& name, const std::string& text) {
    folder.write(name, reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  write("config.json", "{}");
  write("model-00001-of-00001.safetensors", file);
  folder.write("model.safetensors.index.json", bytes, size);
  try {
    static_cast<void>(pregate::read_checkpoint_folder(folder.path(".")));
  } catch (const pregate::InputError&) {
  }
  return 0;
}
