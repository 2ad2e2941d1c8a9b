// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/reader.hpp"

#include "models/error.hpp"
#include "traces/database.hpp"
#include "traces/step_rows.hpp"

namespace pregate::trace {

namespace {

class DatabaseSource final : public StepSource {
 public:
  explicit DatabaseSource(const std::string& path)
      : database_(Database::open_untrusted(path)), info_(read_info(database_)), rows_(database_, info_) {}

  [[nodiscard]] const TraceInfo& info() const override { return info_; }

  bool next(Step& step) override {
    switch (rows_.next(step)) {
      case StepRows::Row::step:
        ++steps_;
        tokens_ += step.tokens;
        last_request_ = step.request;
        return true;
      case StepRows::Row::fault:
        throw InputError(database_.where(), rows_.fault(), "see 'pregate trace check'");
      case StepRows::Row::end:
        break;
    }
    if (steps_ != info_.steps || tokens_ != info_.tokens || last_request_ + 1 != info_.requests)
      throw InputError(database_.where(),
                       "claims " + std::to_string(info_.requests) + " requests, " +
                           std::to_string(info_.steps) + " steps and " + std::to_string(info_.tokens) +
                           " tokens, but holds " + std::to_string(last_request_ + 1) + ", " +
                           std::to_string(steps_) + " and " + std::to_string(tokens_),
                       "see 'pregate trace check'");
    return false;
  }

  void rewind() override {
    rows_.rewind();
    steps_ = tokens_ = 0;
    last_request_ = -1;
  }

 private:
  Database database_;
  TraceInfo info_;
  StepRows rows_;
  std::int64_t steps_ = 0, tokens_ = 0, last_request_ = -1;
};

}  // namespace

std::unique_ptr<StepSource> open_trace(const std::string& path) {
  return std::make_unique<DatabaseSource>(path);
}

std::vector<Request> read_requests(const std::string& path) {
  const Database database = Database::open_untrusted(path);
  std::vector<Request> requests;
  Statement rows(database, "SELECT id, label, sequences FROM request ORDER BY id");
  while (rows.step()) {
    const std::int64_t sequences = rows.integer(2);
    if (rows.integer(0) != static_cast<std::int64_t>(requests.size()) || sequences < 1 ||
        sequences > max_step_tokens)
      throw InputError(path, "request " + std::to_string(rows.integer(0)) + " is out of order or has " +
                                 std::to_string(sequences) + " sequences");
    requests.push_back({rows.integer(0), rows.text(1), static_cast<int>(sequences)});
  }
  return requests;
}

}  // namespace pregate::trace
