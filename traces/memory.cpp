// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "models/error.hpp"
#include "traces/layout.hpp"
#include "traces/reader.hpp"

namespace pregate::trace {

namespace {

/// Keeps ids as compactly as the database does and widens them a step at a time: half the memory traffic.
class MemorySource final : public StepSource {
 public:
  explicit MemorySource(StepSource& source) : info_(source.info()), layouts_(layouts(info_)) {
    source.rewind();
    std::vector<std::uint8_t> blob;
    Step step;
    while (source.next(step)) {
      const int width = layouts_[static_cast<std::size_t>(step.stack)].width;
      const auto keep = [&](std::span<const std::uint16_t> ids) {
        if (ids.empty()) return;
        encode_ids(ids, width, blob);
        ids_.insert(ids_.end(), blob.begin(), blob.end());
      };
      widest_ = std::max(widest_, step.experts.size());
      widest_predicted_ = std::max(widest_predicted_, step.predicted.size());
      records_.push_back({step, ids_.size(), weights_.size(), step.experts.size(), step.predicted.size(),
                          !step.weights.empty()});
      keep(step.experts);
      keep(step.predicted);
      weights_.insert(weights_.end(), step.weights.begin(), step.weights.end());
    }
    experts_.resize(widest_);
    predicted_.resize(widest_predicted_);
    source.rewind();
  }

  [[nodiscard]] const TraceInfo& info() const override { return info_; }

  bool next(Step& step) override {
    if (position_ == records_.size()) return false;
    const Record& record = records_[position_++];
    step = record.step;
    const int width = layouts_[static_cast<std::size_t>(step.stack)].width;
    const std::uint8_t* const bytes = ids_.data() + record.first_id;
    const std::span<std::uint16_t> experts(experts_.data(), record.entries);
    decode_ids(bytes, width, experts);
    step.experts = experts;
    if (record.predicted > 0) {
      const std::span<std::uint16_t> predicted(predicted_.data(), record.predicted);
      decode_ids(bytes + record.entries * static_cast<std::size_t>(width), width, predicted);
      step.predicted = predicted;
    }
    if (record.has_weights)
      step.weights = std::span<const float>(weights_).subspan(record.first_weight, record.entries);
    return true;
  }

  void rewind() override { position_ = 0; }

 private:
  struct Record {
    Record(const Step& given, std::size_t id, std::size_t weight, std::size_t count, std::size_t predictions,
           bool weighted)
        : step(given),
          first_id(id),
          first_weight(weight),
          entries(count),
          predicted(predictions),
          has_weights(weighted) {
      step.experts = step.predicted = {};
      step.weights = {};
      step.parts = {};  // not kept: then not known
    }
    Step step;
    std::size_t first_id, first_weight, entries, predicted;
    bool has_weights;
  };

  TraceInfo info_;
  std::vector<StackLayout> layouts_;
  std::vector<Record> records_;
  std::vector<std::uint8_t> ids_;
  std::vector<float> weights_;
  std::vector<std::uint16_t> experts_, predicted_;
  std::size_t widest_ = 0, widest_predicted_ = 0, position_ = 0;
};

/// Plays a source several times over; requests go on counting.
class Repetition final : public StepSource {
 public:
  Repetition(StepSource& source, int times) : source_(source), info_(source.info()), times_(times) {
    if (std::max(info_.tokens, info_.routed_entries) > std::numeric_limits<std::int64_t>::max() / times)
      throw InputError("repeat",
                       std::to_string(times) + " repetitions make more entries than can be counted");
    info_.requests *= times;
    info_.steps *= times;
    info_.tokens *= times;
    info_.routed_entries *= times;
    source_.rewind();
  }

  [[nodiscard]] const TraceInfo& info() const override { return info_; }

  bool next(Step& step) override {
    while (!source_.next(step)) {
      if (++round_ >= times_) {
        round_ = times_;
        return false;
      }
      source_.rewind();
    }
    step.request += round_ * source_.info().requests;
    return true;
  }

  void rewind() override {
    round_ = 0;
    source_.rewind();
  }

 private:
  StepSource& source_;
  TraceInfo info_;
  std::int64_t round_ = 0;
  std::int64_t times_;
};

}  // namespace

std::unique_ptr<StepSource> load_into_memory(StepSource& source) {
  return std::make_unique<MemorySource>(source);
}

std::unique_ptr<StepSource> repeat(StepSource& source, int times) {
  if (times < 1) throw InputError("repeat", std::to_string(times) + " repetitions", "repeat at least once");
  return std::make_unique<Repetition>(source, times);
}

}  // namespace pregate::trace
