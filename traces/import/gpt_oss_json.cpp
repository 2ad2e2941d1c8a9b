// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Raw recordings of GPT-OSS-MoE-ExpertFingerprinting: one JSON object a file with
// "router_data": [{"token_P": {"layer_L": {"selected_experts": [...], "selected_probs": [...]}}}, ...].
// Read as events, so that memory does not grow with the file.
#include <charconv>
#include <istream>
#include <nlohmann/json.hpp>

#include "models/error.hpp"
#include "traces/import/recording.hpp"
#include "traces/import/text_input.hpp"
#include "traces/layout.hpp"

namespace pregate::trace {

namespace {

constexpr std::uint64_t max_text = std::uint64_t{4} << 30U;
constexpr std::size_t max_depth = 256;

class RouterEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  RouterEvents(const std::string& path, RecordingFacts& facts, RecordingSink& sink)
      : path_(path), facts_(facts), sink_(sink) {}

  bool null() override { return scalar(); }
  bool boolean(bool value) override { return static_cast<void>(value), scalar(); }
  bool number_integer(number_integer_t value) override { return integer(static_cast<double>(value)); }
  bool number_unsigned(number_unsigned_t value) override { return integer(static_cast<double>(value)); }
  bool number_float(number_float_t value, const string_t& text) override {
    static_cast<void>(text);
    if (state() == State::experts) fail("an expert id is not a whole number");
    if (state() == State::probabilities) return probability(value);
    return scalar();
  }
  bool string(string_t& value) override {
    if (state() == State::top && key_ == "dataset") dataset_ = value;
    if (state() == State::top && key_ == "category") category_ = value;
    return scalar();
  }
  bool binary(binary_t& value) override { return static_cast<void>(value), scalar(); }

  bool start_object(std::size_t size) override {
    static_cast<void>(size);
    switch (state()) {
      case State::outside:
        return enter(State::top);
      case State::top:
        if (key_ == "router_data") fail("router_data is not a list");
        return enter(State::skipped);
      case State::skipped:
        return enter(State::skipped);
      case State::steps:
        return enter(State::step);
      case State::step:
        position_ = number_after("token_");
        experts_.clear();
        probabilities_.clear();
        return enter(State::token);
      case State::token:
        return open_layer();
      default:
        fail("an object where a number belongs");
    }
  }

  bool key(string_t& name) override {
    key_ = name;
    return true;
  }

  bool end_object() override {
    const State left = leave();
    if (left == State::layer && probabilities_[layer_].size() != experts_[layer_].size())
      fail("selected_probs and selected_experts differ in length");
    if (left == State::token) finish_token();
    return true;
  }

  bool start_array(std::size_t size) override {
    static_cast<void>(size);
    switch (state()) {
      case State::top:
        if (key_ != "router_data") return enter(State::skipped);
        if (has_data_) fail("router_data occurs twice");
        has_data_ = true;
        return enter(State::steps);
      case State::skipped:
        return enter(State::skipped);
      case State::layer:
        if (key_ == "selected_experts" && experts_[layer_].empty()) return enter(State::experts);
        if (key_ == "selected_probs" && probabilities_[layer_].empty()) return enter(State::probabilities);
        fail("'" + printable(key_, 40) + "' is not expected here, or occurs twice");
      default:
        fail("a list where none is expected");
    }
  }

  bool end_array() override {
    leave();
    return true;
  }

  bool parse_error(std::size_t at, const std::string& token,
                   const nlohmann::json::exception& error) override {
    static_cast<void>(token);
    static_cast<void>(error);
    throw InputError(path_, "is not valid JSON at byte " + std::to_string(at), "is the file truncated?");
  }

  void finish() {
    if (!has_data_) throw InputError(path_, "holds no router_data", "is this a recording of expert choices?");
    if (!began_) throw InputError(path_, "its router_data is empty");
  }

 private:
  enum class State { outside, top, skipped, steps, step, token, layer, experts, probabilities };

  [[nodiscard]] State state() const { return states_.empty() ? State::outside : states_.back(); }

  bool enter(State next) {
    if (states_.size() >= max_depth) fail("is nested too deeply");
    states_.push_back(next);
    return true;
  }

  State leave() {
    const State left = states_.back();
    states_.pop_back();
    return left;
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw InputError(path_, position_ < 0 ? problem : "token " + std::to_string(position_) + ": " + problem);
  }

  /// The number in a key such as token_160.
  int number_after(std::string_view prefix) const {
    int value = -1;
    const std::string_view text = key_;
    if (text.substr(0, prefix.size()) == prefix) {
      const auto [stop, error] =
          std::from_chars(text.data() + prefix.size(), text.data() + text.size(), value);
      if (error == std::errc{} && stop == text.data() + text.size() && value >= 0) return value;
    }
    fail("'" + printable(key_, 40) + "' where " + std::string(prefix) + "<number> belongs");
  }

  bool open_layer() {
    const int layer = number_after("layer_");
    if (layer >= max_layers) fail("layer " + std::to_string(layer));
    layer_ = static_cast<std::size_t>(layer);
    if (experts_.size() <= layer_) {
      experts_.resize(layer_ + 1);
      probabilities_.resize(layer_ + 1);
    }
    if (!experts_[layer_].empty()) fail("layer " + std::to_string(layer) + " occurs twice");
    return enter(State::layer);
  }

  bool scalar() const {
    if (state() != State::top && state() != State::skipped && state() != State::outside)
      fail("a value where none is expected");
    if (state() == State::outside) fail("is not a JSON object");
    return true;
  }

  bool integer(double value) {
    if (state() == State::probabilities) return probability(value);
    if (state() != State::experts) return scalar();
    if (value < 0 || value >= max_experts) fail("expert " + std::to_string(value));
    if (experts_[layer_].size() >= static_cast<std::size_t>(max_top_k)) fail("too many experts in one layer");
    experts_[layer_].push_back(static_cast<std::uint16_t>(value));
    return true;
  }

  bool probability(double value) {
    if (!sane_weight(value)) fail("a probability out of range");
    const auto weight = static_cast<float>(value);
    if (probabilities_[layer_].size() >= static_cast<std::size_t>(max_top_k)) fail("too many probabilities");
    probabilities_[layer_].push_back(weight);
    return true;
  }

  void finish_token() {
    if (facts_.stacks.empty()) {
      facts_.model = experts_.size() == 24 ? "gpt-oss-20b" : experts_.size() == 36 ? "gpt-oss-120b" : "";
      facts_.has_weights = true;
      facts_.notes.emplace_back("the recording holds decoded tokens only: no prefill is simulated");
      RecordingFacts::Stack stack{.name = "decoder", .layers = {}};
      for (std::size_t l = 0; l < experts_.size(); ++l)
        stack.layers.push_back({.index = static_cast<int>(l)});
      facts_.stacks.push_back(std::move(stack));
    }
    const std::size_t layers = facts_.stacks[0].layers.size();
    if (layers == 0 || experts_.size() > layers)
      fail(std::to_string(experts_.size()) + " layers, but the first token has " + std::to_string(layers));
    if (!began_) {
      const std::string label = dataset_ + "/" + category_;
      sink_.begin_request(label.size() == 1 ? std::string() : label, 1);
      began_ = true;
    } else if (position_ != last_position_ + 1) {
      fail("follows token " + std::to_string(last_position_));
    }
    last_position_ = position_;
    std::size_t width = 1;
    for (const auto& ids : experts_) width = std::max(width, ids.size());
    step_.shape(layers, 1, static_cast<int>(width), true, path_);
    step_.position = position_;
    for (std::size_t l = 0; l < experts_.size(); ++l)
      for (std::size_t r = 0; r < experts_[l].size(); ++r) {
        step_.experts[step_.at(l, 0, r)] = experts_[l][r];
        step_.weights[step_.at(l, 0, r)] = probabilities_[l][r];
      }
    sink_.add(step_, path_);
  }

  const std::string& path_;
  RecordingFacts& facts_;
  RecordingSink& sink_;
  std::vector<State> states_;
  std::string key_, dataset_, category_;
  int position_ = -1, last_position_ = -1;
  std::size_t layer_ = 0;
  bool began_ = false, has_data_ = false;
  std::vector<std::vector<std::uint16_t>> experts_;
  std::vector<std::vector<float>> probabilities_;
  RecordedStep step_;
};

}  // namespace

void parse_gpt_oss_json(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink) {
  for (const std::string& input : inputs) {
    TextStreamBuffer buffer(input, max_text);
    std::istream stream(&buffer);
    RouterEvents events(input, facts, sink);
    nlohmann::json::sax_parse(stream, &events);
    events.finish();
  }
}

}  // namespace pregate::trace
