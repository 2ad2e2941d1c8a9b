// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/files/gguf_keys.hpp"

#include "models/error.hpp"

namespace pregate {

void GgufKeys::refuse(const std::string& problem, const std::string& hint) const {
  throw InputError(printable(file_->path, 200), problem, hint);
}

std::string GgufKeys::name_of(std::string_view key) const {
  return printable(file_->architecture) + "." + std::string(key);
}

const GgufValue* GgufKeys::find(std::string_view key) const {
  const auto found = file_->metadata.find(file_->architecture + "." + std::string(key));
  return found == file_->metadata.end() ? nullptr : &found->second;
}

bool GgufKeys::is_list(std::string_view key) const {
  const GgufValue* value = find(key);
  return value != nullptr && std::holds_alternative<std::vector<std::int64_t>>(*value);
}

int GgufKeys::of_layer(std::string_view key, int layer, int least, int most) const {
  const GgufValue* value = find(key);
  if (value == nullptr)
    refuse("does not say " + name_of(key),
           "without it the model cannot be priced; convert it with a current llama.cpp");
  std::int64_t number = 0;
  if (const auto* single = std::get_if<std::int64_t>(value)) {
    number = *single;
  } else if (const auto* list = std::get_if<std::vector<std::int64_t>>(value)) {
    if (layer < 0 || static_cast<std::size_t>(layer) >= list->size())
      refuse(name_of(key) + " has " + std::to_string(list->size()) + " numbers, none for layer " +
             std::to_string(layer));
    number = (*list)[static_cast<std::size_t>(layer)];
  } else {
    refuse(name_of(key) + " is not a whole number");
  }
  if (number < least || number > most) {
    refuse(name_of(key) + " is " + std::to_string(number),
           "it must be " + std::to_string(least) + " to " + std::to_string(most));
  }
  return static_cast<int>(number);
}

int GgufKeys::of_layer_or(std::string_view key, int layer, int least, int most, int fallback) const {
  return has(key) ? of_layer(key, layer, least, most) : fallback;
}

int GgufKeys::number(std::string_view key, int least, int most) const {
  return of_layer(key, 0, least, most);
}

int GgufKeys::number_or(std::string_view key, int least, int most, int fallback) const {
  return has(key) ? number(key, least, most) : fallback;
}

}  // namespace pregate
