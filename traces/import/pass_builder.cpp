// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/pass_builder.hpp"

#include <algorithm>

#include "models/error.hpp"

namespace pregate::trace {

namespace {

constexpr std::size_t most_records = std::size_t{1} << 22;

}  // namespace

PassBuilder::PassBuilder(RecordingFacts& facts, RecordingSink& sink) : facts_(facts), sink_(sink) {
  if (facts_.stacks.empty()) facts_.stacks = facts_.seen;
  for (std::size_t s = 0; s < facts_.stacks.size(); ++s) {
    slots_.emplace_back();
    for (std::size_t l = 0; l < facts_.stacks[s].layers.size(); ++l) {
      const auto index = static_cast<std::size_t>(facts_.stacks[s].layers[l].index);
      if (slots_[s].size() <= index) slots_[s].resize(index + 1, -1);
      slots_[s][index] = static_cast<int>(l);
    }
  }
}

int PassBuilder::stack(const std::string& name) {
  for (std::size_t s = 0; s < facts_.stacks.size(); ++s)
    if (facts_.stacks[s].name == name) return static_cast<int>(s);
  facts_.stacks.push_back({.name = name, .layers = {}});
  slots_.emplace_back();
  return static_cast<int>(slots_.size()) - 1;
}

std::size_t PassBuilder::slot(int stack, int layer, const std::string& where) {
  auto& slots = slots_[static_cast<std::size_t>(stack)];
  const auto index = static_cast<std::size_t>(layer);
  if (layer < 0 || layer >= max_layers)
    throw InputError(where, "layer " + std::to_string(layer),
                     "a layer is 0 to " + std::to_string(max_layers - 1));
  if (slots.size() <= index) slots.resize(index + 1, -1);
  if (slots[index] < 0) {
    auto& layers = facts_.stacks[static_cast<std::size_t>(stack)].layers;
    slots[index] = static_cast<int>(layers.size());
    layers.push_back({.index = layer});
  }
  return static_cast<std::size_t>(slots[index]);
}

void PassBuilder::add(const Record& record, const std::string& where) {
  if (records_.size() >= most_records)
    throw InputError(where, "a pass of over " + std::to_string(most_records) + " records");
  if (records_.empty()) {
    first_ = last_ = record.token;
    where_ = where;
  }
  const auto declare = [&](bool given, bool& has, const char* what) {
    if (!given || has) return;
    if (begun_) throw InputError(where, std::string("has ") + what + ", which the records before lack");
    has = true;
  };
  declare(!record.weights.empty(), facts_.has_weights, "weights");
  declare(!record.predicted.empty(), facts_.has_predictions, "predicted experts");
  first_ = std::min(first_, record.token);
  last_ = std::max(last_, record.token);
  records_.push_back({record.stack, record.layer, slot(record.stack, record.layer, where), record.token,
                      ids_.size(), weights_.size(), predicted_.size(), record.ids.size(),
                      record.weights.size(), record.predicted.size()});
  ids_.insert(ids_.end(), record.ids.begin(), record.ids.end());
  weights_.insert(weights_.end(), record.weights.begin(), record.weights.end());
  predicted_.insert(predicted_.end(), record.predicted.begin(), record.predicted.end());
}

bool PassBuilder::is_uniform() const {
  std::vector<const Entry*> first(static_cast<std::size_t>(max_layers), nullptr);
  return std::all_of(records_.begin(), records_.end(), [&](const Entry& entry) {
    const Entry*& like = first[entry.slot];
    if (like == nullptr) like = &entry;
    return std::ranges::equal(ids_of(*like), ids_of(entry));
  });
}

std::uint64_t PassBuilder::hash_of_first_row() const {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  const auto mix = [&hash](std::uint64_t value) { hash = (hash ^ value) * 1099511628211ULL; };
  for (const Entry& entry : records_) {
    if (entry.token != first_) continue;
    mix(static_cast<std::uint64_t>(entry.layer));
    for (const std::uint16_t id : ids_of(entry)) mix(id);
  }
  return hash;
}

void PassBuilder::discard() {
  records_.clear();
  ids_.clear();
  weights_.clear();
  predicted_.clear();
}

void PassBuilder::emit(const Pass& pass) {
  if (records_.empty()) return;
  if (tokens() > static_cast<std::int64_t>(records_.size()))
    throw InputError(where_,
                     "a pass from token " + std::to_string(first_) + " to " + std::to_string(last_) +
                         " with only " + std::to_string(records_.size()) + " records",
                     "records are missing or out of order");
  std::vector<const Entry*> entries;
  std::size_t width = 1;
  for (const Entry& entry : records_) {
    entries.push_back(&entry);
    width = std::max({width, entry.count, entry.predicted_count});
    if (facts_.has_weights && entry.weight_count != entry.count)
      throw InputError(where_, "in the pass that starts here, a record has no weights, which others have");
  }
  const auto key = [](const Entry* entry) { return std::pair(entry->token, entry->slot); };
  std::stable_sort(entries.begin(), entries.end(),
                   [&](const Entry* a, const Entry* b) { return key(a) < key(b); });
  std::int64_t expected = first_;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (i > 0 && key(entries[i]) == key(entries[i - 1]))
      throw InputError(where_, "in the pass that starts here, token " + std::to_string(entries[i]->token) +
                                   " occurs twice in layer " + std::to_string(entries[i]->layer));
    if (entries[i]->token > expected)
      throw InputError(where_,
                       "in the pass that starts here, token " + std::to_string(expected) + " has no record",
                       "records are missing or out of order");
    expected = entries[i]->token + 1;
  }
  shape(records_.front().stack, tokens(), width, pass);
  for (const Entry* entry : entries) {
    const std::size_t at = step_.at(entry->slot, static_cast<std::size_t>(entry->token - first_), 0);
    std::copy_n(ids_.data() + entry->ids, entry->count, step_.experts.data() + at);
    if (facts_.has_weights)
      std::copy_n(weights_.data() + entry->weights, entry->weight_count, step_.weights.data() + at);
    if (facts_.has_predictions)
      std::copy_n(predicted_.data() + entry->predicted, entry->predicted_count, step_.predicted.data() + at);
  }
  emitted_records_ += static_cast<std::int64_t>(records_.size());
  sink_.add(step_, where_);
  discard();
}

void PassBuilder::emit_empty(int stack, std::int64_t position, const std::string& where) {
  where_ = where;
  shape(stack, 1, 1, {.phase = Phase::decode, .sequences = 1, .position = position});
  sink_.add(step_, where_);
}

void PassBuilder::shape(int stack, std::int64_t tokens, std::size_t width, const Pass& pass) {
  const auto s = static_cast<std::size_t>(stack);
  step_.shape(facts_.stacks[s].layers.size(), tokens, static_cast<int>(width), facts_.has_weights, where_,
              facts_.has_predictions);
  step_.stack = stack;
  step_.phase = pass.phase;
  step_.sequences = pass.sequences;
  if (pass.position < 0 || pass.position > 1'000'000'000)
    throw InputError(where_, "position " + std::to_string(pass.position));
  step_.position = static_cast<int>(pass.position);
  if (emitted_tokens_.size() <= s) emitted_tokens_.resize(s + 1, 0);
  emitted_tokens_[s] += tokens;
  begun_ = true;
}

std::string PassBuilder::missing_note() const {
  std::int64_t full = 0;
  for (std::size_t s = 0; s < emitted_tokens_.size(); ++s)
    full += emitted_tokens_[s] * static_cast<std::int64_t>(facts_.stacks[s].layers.size());
  if (full <= emitted_records_) return {};
  return std::to_string(full - emitted_records_) + " of " + std::to_string(full) +
         " records (a token in a layer) are missing; they are places without an expert, which move and "
         "compute nothing";
}

}  // namespace pregate::trace
