// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// SGLang's expert distribution recorder in mode per_token (expert_distribution_recorder_<time>_<rank>.pt): a
// dictionary of `records`, one a forward pass, and `last_physical_to_logical_map` [layers, physical experts].
// A record holds forward_mode (1 extend, 2 decode, 3 both, 4 idle), the tokens' positions, extend_seq_lens of
// an extend, and topk_ids_of_layer [layers, tokens, k] of physical experts, -1 where there is none. It does
// not name requests.
#include <algorithm>
#include <limits>

#include "models/error.hpp"
#include "traces/import/byte_input.hpp"
#include "traces/import/sequence_writer.hpp"
#include "traces/import/torch_file.hpp"

namespace pregate::trace {

namespace {

constexpr const char* how = "record with --expert-distribution-recorder-mode per_token (docs/recording.md)";
constexpr std::int64_t most_position = 1'000'000'000;
constexpr std::size_t most_record_keys = 64;

/// Tokens of one sequence in a pass.
struct Piece {
  std::int64_t position = 0, tokens = 0;
};

class RecorderFile {
 public:
  RecorderFile(std::string_view bytes, const std::string& path, RecordingFacts& facts, RecordingSink& sink)
      : path_(path), size_(bytes.size()), file_(bytes, path), facts_(facts), sink_(sink), stack_(facts) {}

  void read() {
    const Pickle& pickle = file_.pickle();
    Pickle::Value records = 0;
    if (pickle.kind(pickle.root()) != Pickle::Kind::dictionary || !find(pickle.root(), "records", records)) {
      Pickle::Value counts = 0;
      const bool is_count = pickle.kind(pickle.root()) == Pickle::Kind::dictionary &&
                            find(pickle.root(), "logical_count", counts);
      throw InputError(path_,
                       is_count ? "holds only how often each expert was chosen, not by which token"
                                : "holds no records of SGLang's expert distribution recorder",
                       how);
    }
    if (pickle.kind(records) != Pickle::Kind::list || pickle.items(records).empty())
      throw InputError(path_, "its records are " + pickle.describe(records), how);
    read_map();
    for (std::size_t r = 0; r < pickle.items(records).size(); ++r)
      read_record(pickle.items(records)[r], path_ + ": record " + std::to_string(r));
    if (facts_.stacks.empty()) throw InputError(path_, "holds no routing decisions");
    finish();
  }

 private:
  bool find(Pickle::Value dictionary, std::string_view key, Pickle::Value& found) const {
    if (file_.pickle().items(dictionary).size() > 2 * most_record_keys)
      throw InputError(path_, "holds a dictionary of over " + std::to_string(most_record_keys) + " keys");
    return file_.pickle().find(dictionary, key, found);
  }
  Pickle::Value require(Pickle::Value record, const char* key, const std::string& where) const {
    Pickle::Value found = 0;
    if (find(record, key, found) && file_.pickle().kind(found) != Pickle::Kind::none) return found;
    std::string keys;
    const std::vector<Pickle::Value>& entries = file_.pickle().items(record);
    for (std::size_t i = 0; i < entries.size(); i += 2)
      keys += (keys.empty() ? "" : ", ") + printable(file_.pickle().text(entries[i]));
    throw InputError(where, std::string("has no ") + key + "; it has " + keys, how);
  }
  std::int64_t number(Pickle::Value record, const char* key, const std::string& where) const {
    const Pickle::Value value = require(record, key, where);
    if (file_.pickle().kind(value) != Pickle::Kind::integer || file_.pickle().integer(value) < 0)
      throw InputError(where, std::string(key) + " is " + file_.pickle().describe(value));
    return file_.pickle().integer(value);
  }

  void read_map() {
    Pickle::Value map = 0;
    const char* const key = "last_physical_to_logical_map";
    if (!find(file_.pickle().root(), key, map) || file_.pickle().kind(map) == Pickle::Kind::none) {
      facts_.notes.emplace_back(
          "the recording has no map of physical to logical experts: ids are taken as logical");
      return;
    }
    map_ = file_.numbers(map, 2, path_ + ": " + key);
    if (map_.shape[0] > max_layers || map_.shape[1] < 1)
      throw InputError(path_, std::string(key) + " has " + std::to_string(map_.shape[0]) + " layers of " +
                                  std::to_string(map_.shape[1]) + " experts");
    for (const std::int64_t expert : map_.values) {
      if (expert < 0 || expert >= max_experts)
        throw InputError(path_, std::string(key) + " names the expert " + std::to_string(expert));
      experts_ = std::max(experts_, static_cast<int>(expert) + 1);
    }
    if (map_.shape[1] > experts_)
      facts_.notes.push_back("experts have copies (" + std::to_string(map_.shape[1]) + " physical, " +
                             std::to_string(experts_) +
                             " logical): the trace is of logical experts, by the map that "
                             "was last in use");
  }

  TorchFile::Numbers read_numbers(Pickle::Value record, const char* key, std::size_t dimensions,
                                  const std::string& where) {
    TorchFile::Numbers numbers = file_.numbers(require(record, key, where), dimensions, where + ": " + key);
    // Every number is in the file once: one whose lists are used again and again is none of the recorder.
    entries_ += numbers.values.size();
    if (entries_ > size_) throw InputError(where, "its tensors share what they hold", "is the file damaged?");
    return numbers;
  }

  /// Sequences of a pass, in the order of its tokens.
  std::vector<Piece> pieces_of(Pickle::Value record, std::int64_t mode, std::int64_t tokens,
                               const std::string& where) {
    const TorchFile::Numbers positions = read_numbers(record, "positions", 1, where);
    if (positions.shape[0] != tokens)
      throw InputError(where, std::to_string(tokens) + " tokens, but " + std::to_string(positions.shape[0]) +
                                  " positions");
    for (const std::int64_t position : positions.values)
      if (position < 0 || position > most_position)
        throw InputError(where, "the position " + std::to_string(position));
    std::vector<Piece> pieces;
    if (mode == decode_mode) {
      for (const std::int64_t position : positions.values)
        pieces.push_back({.position = position, .tokens = 1});
      return pieces;
    }
    const TorchFile::Numbers lengths = read_numbers(record, "extend_seq_lens", 1, where);
    std::int64_t at = 0;
    for (const std::int64_t length : lengths.values) {
      if (length < 0 || length > tokens - at) throw InputError(where, "extend_seq_lens exceed its tokens");
      if (length == 0) continue;
      for (std::int64_t i = 1; i < length; ++i)
        if (positions.values[static_cast<std::size_t>(at + i)] !=
            positions.values[static_cast<std::size_t>(at)] + i)
          throw InputError(where, "the positions of a sequence do not follow each other");
      pieces.push_back({.position = positions.values[static_cast<std::size_t>(at)], .tokens = length});
      at += length;
    }
    if (at != tokens)
      throw InputError(where,
                       "extend_seq_lens are " + std::to_string(at) + " tokens of " + std::to_string(tokens));
    return pieces;
  }

  void read_record(Pickle::Value record, const std::string& where) {
    if (file_.pickle().kind(record) != Pickle::Kind::dictionary)
      throw InputError(where, "is " + file_.pickle().describe(record) + ", not a dictionary");
    const std::int64_t pass = number(record, "forward_pass_id", where);
    if (pass <= last_pass_)
      throw InputError(where,
                       "forward_pass_id " + std::to_string(pass) + " after " + std::to_string(last_pass_));
    last_pass_ = pass;
    const std::int64_t mode = number(record, "forward_mode", where);
    if (mode == idle_mode) {
      ++idle_;
      return;
    }
    if (mode < extend_mode || mode > idle_mode)
      throw InputError(where,
                       "forward_mode " + std::to_string(mode) + ", which is no plain prefill or decode",
                       "record without speculative decoding");
    const TorchFile::Numbers ids = read_numbers(record, "topk_ids_of_layer", 3, where);
    if (ids.values.empty()) {
      ++idle_;
      return;
    }
    write_pass(ids, pieces_of(record, mode, ids.shape[1], where), mode, where);
  }

  void write_pass(const TorchFile::Numbers& ids, const std::vector<Piece>& pieces, std::int64_t mode,
                  const std::string& where) {
    const std::int64_t layers = ids.shape[0], tokens = ids.shape[1], width = ids.shape[2];
    if (layers > max_layers || width > max_top_k)
      throw InputError(where,
                       std::to_string(layers) + " layers and " + std::to_string(width) + " experts a token");
    if (!map_.shape.empty() && map_.shape[0] != layers)
      throw InputError(where, std::to_string(layers) + " layers, but the map of experts has " +
                                  std::to_string(map_.shape[0]));
    stack_.begin(decoder_layers(static_cast<int>(layers), facts_.known, path_), static_cast<int>(width),
                 where);
    for (auto& layer : facts_.stacks[0].layers) layer.experts = experts_;
    RecordedStep step;
    step.shape(static_cast<std::size_t>(layers), tokens, static_cast<int>(width), false, where);
    step.phase = mode == decode_mode ? Phase::decode : Phase::prefill;
    step.sequences = static_cast<int>(pieces.size());
    mixed_ += mode == mixed_mode ? 1 : 0;
    begin_request_if_new(pieces, step);
    std::int64_t cached = 0;
    for (const Piece& piece : pieces) cached += piece.position;
    const auto sequences = static_cast<std::int64_t>(pieces.size());
    step.position = static_cast<int>((cached + sequences - 1) / sequences);
    std::vector<std::uint16_t> chosen(static_cast<std::size_t>(width));
    for (std::int64_t t = 0; t < tokens; ++t) {
      const std::string place = where + ": token " + std::to_string(t);
      for (std::int64_t l = 0; l < layers; ++l) {
        for (std::int64_t r = 0; r < width; ++r)
          chosen[static_cast<std::size_t>(r)] =
              logical(l, ids.values[static_cast<std::size_t>((l * tokens + t) * width + r)], place);
        stack_.put(step, static_cast<std::size_t>(l), static_cast<std::size_t>(t), chosen, place);
      }
    }
    sink_.add(step, where);
  }

  std::uint16_t logical(std::int64_t layer, std::int64_t physical, const std::string& where) const {
    if (physical < 0 || map_.shape.empty()) return routed_id(physical, where);
    if (physical >= map_.shape[1])
      throw InputError(where,
                       "physical expert " + std::to_string(physical) + " of " + std::to_string(map_.shape[1]),
                       "was the map of experts changed while the recording ran?");
    return static_cast<std::uint16_t>(
        map_.values[static_cast<std::size_t>(layer * map_.shape[1] + physical)]);
  }

  /// A request goes on as long as the same number of sequences take their next tokens, prefill before decode.
  void begin_request_if_new(const std::vector<Piece>& pieces, const RecordedStep& step) {
    const bool goes_on =
        !next_.empty() && !(step.phase == Phase::prefill && was_decode_) &&
        std::equal(pieces.begin(), pieces.end(), next_.begin(), next_.end(),
                   [](const Piece& piece, std::int64_t next) { return piece.position == next; });
    if (!goes_on) {
      sink_.begin_request("pass " + std::to_string(last_pass_), step.sequences);
      ++requests_;
      batches_ += step.sequences > 1 ? 1 : 0;
    }
    next_.clear();
    for (const Piece& piece : pieces) next_.push_back(piece.position + piece.tokens);
    was_decode_ = step.phase == Phase::decode;
  }

  void finish() {
    stack_.finish();
    if (batches_ > 0)
      facts_.notes.push_back(
          "the recording does not name requests: a run of passes over the same batch is one (" +
          std::to_string(requests_) + ")");
    if (mixed_ > 0)
      facts_.notes.push_back(std::to_string(mixed_) + " passes mix prefill and decode: taken as prefill");
    if (idle_ > 0) facts_.notes.push_back(std::to_string(idle_) + " idle passes left out");
  }

  static constexpr std::int64_t extend_mode = 1, decode_mode = 2, mixed_mode = 3, idle_mode = 4;

  const std::string& path_;
  std::size_t size_;
  TorchFile file_;
  RecordingFacts& facts_;
  RecordingSink& sink_;
  RoutedStack stack_;
  TorchFile::Numbers map_;  ///< layers x physical experts, or without a shape
  int experts_ = 0;
  std::int64_t last_pass_ = -1, requests_ = 0, batches_ = 0, mixed_ = 0, idle_ = 0;
  std::size_t entries_ = 0;
  std::vector<std::int64_t> next_;  ///< position of every sequence of the request
  bool was_decode_ = false;
};

}  // namespace

void parse_sglang_recorder(const std::vector<std::string>& inputs, RecordingFacts& facts,
                           RecordingSink& sink) {
  if (inputs.size() != 1)
    throw InputError(inputs[1], "one file of the recorder makes one trace",
                     "import the files of the ranks one by one: with tensor parallelism they hold the same");
  const std::string bytes = read_bytes(inputs.front());
  RecorderFile(bytes, inputs.front(), facts, sink).read();
}

bool is_sglang_recorder(std::string_view start) { return start.starts_with(ZipArchive::magic); }

}  // namespace pregate::trace
