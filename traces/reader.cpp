// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/reader.hpp"

#include <optional>

#include "models/error.hpp"
#include "traces/content_hash.hpp"
#include "traces/database.hpp"
#include "traces/step_rows.hpp"

namespace pregate::trace {

namespace {

/// The content hash of the steps that a reader hands out, requests with their labels included.
class Verifier {
 public:
  Verifier(const Database& database, const TraceInfo& info)
      : requests_(database, "SELECT label, sequences FROM request ORDER BY id"), hash_(info) {}

  void add(const Step& step) {
    if (step.first_of_request) {
      if (!requests_.step()) throw InputError("trace", "more requests in the steps than in their table");
      const std::int64_t sequences = requests_.integer(1);
      hash_.begin_request({step.request, requests_.text(0),
                           sequences >= 1 && sequences <= max_step_tokens ? static_cast<int>(sequences) : 0,
                           step.arrival_ns});
    }
    hash_.add(step);
  }
  std::string finish() { return hash_.finish(); }

 private:
  Statement requests_;
  ContentHash hash_;
};

class DatabaseSource final : public StepSource {
 public:
  DatabaseSource(const std::string& path, Verify verify)
      : database_(Database::open_untrusted(path)), info_(read_info(database_)), rows_(database_, info_) {
    if (verify == Verify::first_pass) verifier_.emplace(database_, info_);
  }

  [[nodiscard]] const TraceInfo& info() const override { return info_; }

  bool next(Step& step) override {
    switch (rows_.next(step)) {
      case StepRows::Row::step:
        ++steps_;
        tokens_ += step.tokens;
        last_request_ = step.request;
        if (verifier_) verifier_->add(step);
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
    if (verifier_ && verifier_->finish() != info_.content_hash)
      throw InputError(database_.where(), "the routing in it is not what its content hash says",
                       "it was changed after it was made; see 'pregate trace check', and import it again");
    verifier_.reset();
    return false;
  }

  void rewind() override {
    rows_.rewind();
    steps_ = tokens_ = 0;
    last_request_ = -1;
    // A pass that was broken off verifies nothing; the next one starts over.
    if (verifier_) verifier_.emplace(database_, info_);
  }

 private:
  Database database_;
  TraceInfo info_;
  StepRows rows_;
  std::optional<Verifier> verifier_;  ///< until the first pass is through
  std::int64_t steps_ = 0, tokens_ = 0, last_request_ = -1;
};

}  // namespace

std::unique_ptr<StepSource> open_trace(const std::string& path, Verify verify) {
  return std::make_unique<DatabaseSource>(path, verify);
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
