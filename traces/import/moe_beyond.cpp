// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// CSV of MoE-Beyond: Layer ID,Batch Number,Token,Activated Expert IDs, one row a token and layer, layer by
// layer; a column Predicted Expert IDs holds what its predictor announced. Token is the token's text; a
// column Token Embedding Vector is not read. A forward pass is one request: the collector runs a prompt once.
#include <algorithm>
#include <filesystem>

#include "models/error.hpp"
#include "traces/import/pass_builder.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

constexpr std::string_view layer_name = "Layer ID", batch_name = "Batch Number", token_name = "Token",
                           ids_name = "Activated Expert IDs", predicted_name = "Predicted Expert IDs",
                           embedding_name = "Token Embedding Vector";
constexpr std::size_t absent = static_cast<std::size_t>(-1);

/// The cells of a line; a cell in quotes may hold commas and quotes written twice.
void split_quoted(const LineReader& lines, std::string_view line, std::vector<std::string>& cells) {
  cells.clear();
  for (std::size_t at = 0;;) {
    std::string& cell = cells.emplace_back();
    if (at < line.size() && line[at] == '"') {
      for (++at;; ++at) {
        if (at >= line.size()) throw InputError(lines.where(), "a quoted cell does not end on its line");
        if (line[at] != '"') {
          cell += line[at];
        } else if (at + 1 < line.size() && line[at + 1] == '"') {
          cell += line[++at];
        } else {
          break;
        }
      }
      ++at;
      if (at < line.size() && line[at] != ',')
        throw InputError(lines.where(), "text after a quoted cell: '" + printable(line.substr(at), 40) + "'");
    } else {
      const std::size_t stop = std::min(line.find(',', at), line.size());
      cell = line.substr(at, stop - at);
      at = stop;
    }
    if (at >= line.size()) return;
    ++at;
  }
}

/// "[8, 26, 56]"
void parse_ids(std::string_view cell, const LineReader& lines, std::vector<std::uint16_t>& ids) {
  ids.clear();
  if (cell.size() < 2 || cell.front() != '[' || cell.back() != ']')
    throw InputError(lines.where(), "'" + printable(cell, 40) + "' where a list [8, 26, 56] belongs");
  cell = cell.substr(1, cell.size() - 2);
  if (cell.find_first_not_of(' ') == std::string_view::npos) return;
  std::vector<std::string_view> numbers;
  split(cell, ',', numbers);
  if (numbers.size() > static_cast<std::size_t>(max_top_k))
    throw InputError(lines.where(), std::to_string(numbers.size()) + " experts in one cell");
  for (std::string_view number : numbers) {
    number.remove_prefix(std::min(number.find_first_not_of(' '), number.size()));
    number = number.substr(0, number.find_last_not_of(' ') + 1);
    ids.push_back(static_cast<std::uint16_t>(parse_integer(number, 0, max_experts - 1, "expert", lines)));
  }
}

struct Columns {
  std::size_t count = 0, layer = absent, batch = absent, token = absent, ids = absent, predicted = absent;
};

Columns read_columns(LineReader& lines) {
  std::string_view line;
  if (!lines.next(line)) throw InputError(lines.path(), "is empty");
  std::vector<std::string> names;
  split_quoted(lines, line, names);
  Columns columns;
  columns.count = names.size();
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == embedding_name) continue;
    std::size_t* const column = names[i] == layer_name       ? &columns.layer
                                : names[i] == batch_name     ? &columns.batch
                                : names[i] == token_name     ? &columns.token
                                : names[i] == ids_name       ? &columns.ids
                                : names[i] == predicted_name ? &columns.predicted
                                                             : nullptr;
    if (column == nullptr || *column != absent)
      throw InputError(lines.where(),
                       "the column '" + printable(names[i], 40) + "' is unknown or occurs twice");
    *column = i;
  }
  if (columns.layer == absent || columns.batch == absent || columns.token == absent || columns.ids == absent)
    throw InputError(lines.where(),
                     "the column names lack one of Layer ID, Batch Number, Token, Activated Expert IDs");
  return columns;
}

/// The rows of a pass: batch after batch within a layer.
class Reader {
 public:
  Reader(const std::string& path, PassBuilder& builder, RecordingSink& sink)
      : lines_(path), builder_(builder), sink_(sink), stack_(builder.stack("decoder")) {}

  void read() {
    const Columns columns = read_columns(lines_);
    std::string_view line;
    std::vector<std::string> cells;
    std::vector<std::uint16_t> ids, predicted;
    while (lines_.next(line)) {
      if (line.empty()) continue;
      split_quoted(lines_, line, cells);
      if (cells.size() != columns.count)
        throw InputError(lines_.where(), std::to_string(cells.size()) + " fields instead of " +
                                             std::to_string(columns.count));
      const auto layer =
          static_cast<int>(parse_integer(cells[columns.layer], 0, max_layers - 1, "Layer ID", lines_));
      const auto batch = parse_integer(cells[columns.batch], 0, max_step_tokens - 1, "Batch Number", lines_);
      parse_ids(cells[columns.ids], lines_, ids);
      predicted.clear();
      if (columns.predicted != absent) parse_ids(cells[columns.predicted], lines_, predicted);
      place(layer, batch);
      builder_.add({.stack = stack_, .layer = layer, .token = row_++, .ids = ids, .predicted = predicted},
                   lines_.where());
    }
    flush();
  }

 private:
  void place(int layer, std::int64_t batch) {
    if (!builder_.empty() && layer < builder_.last_layer()) flush();
    if (builder_.empty() || layer != builder_.last_layer()) {
      if (!builder_.empty()) end_layer();
      row_ = in_batch_ = 0;
      batch_ = 0;
    }
    if (batch != batch_) {
      if (batch != batch_ + 1 || (length_ >= 0 && in_batch_ != length_) || in_batch_ == 0)
        throw InputError(lines_.where(),
                         "batch " + std::to_string(batch) + " after batch " + std::to_string(batch_) +
                             ", which has " + std::to_string(in_batch_) + " tokens",
                         "rows are missing or out of order");
      length_ = in_batch_;
      in_batch_ = 0;
      batch_ = batch;
    }
    ++in_batch_;
  }

  void end_layer() {
    if (length_ >= 0 && in_batch_ != length_)
      throw InputError(lines_.where(), "the last batch of layer " + std::to_string(builder_.last_layer()) +
                                           " has " + std::to_string(in_batch_) + " tokens, the others " +
                                           std::to_string(length_));
    if (rows_ >= 0 && row_ != rows_)
      throw InputError(lines_.where(),
                       "layer " + std::to_string(builder_.last_layer()) + " has " + std::to_string(row_) +
                           " rows, the layers before " + std::to_string(rows_),
                       "rows are missing or out of order");
    rows_ = row_;
    batches_ = std::max(batches_, batch_ + 1);
  }

  void flush() {
    if (builder_.empty()) return;
    end_layer();
    // A pass of one row goes on with the sequence before it.
    const bool decode = rows_ == 1 && next_ >= 0;
    const auto sequences = static_cast<int>(batches_);
    if (!decode) {
      sink_.begin_request("pass " + std::to_string(passes_), sequences);
      next_ = 0;
    }
    ++passes_;
    const std::int64_t position = next_;
    next_ += rows_ / sequences;
    builder_.emit(
        {.phase = decode ? Phase::decode : Phase::prefill, .sequences = sequences, .position = position});
    rows_ = length_ = -1;
    batches_ = 0;
  }

  LineReader lines_;
  PassBuilder& builder_;
  RecordingSink& sink_;
  int stack_;
  std::int64_t row_ = 0, batch_ = 0, in_batch_ = 0;     ///< of the open layer
  std::int64_t rows_ = -1, length_ = -1, batches_ = 0;  ///< of the open pass; -1 = not known yet
  std::int64_t passes_ = 0, next_ = -1;
};

}  // namespace

bool is_moe_beyond(std::string_view start) {
  return start.substr(0, layer_name.size() + 1) == std::string(layer_name) + "," &&
         start.substr(0, start.find('\n')).find(ids_name) != std::string_view::npos;
}

void parse_moe_beyond(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink) {
  PassBuilder builder(facts, sink);
  for (const std::string& input : inputs) Reader(input, builder, sink).read();
  if (facts.has_predictions)
    facts.notes.emplace_back("predicted experts: how far ahead they were known is not recorded");
}

}  // namespace pregate::trace
