// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/api_answer.hpp"

#include <istream>
#include <nlohmann/json.hpp>
#include <utility>

#include "models/error.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

constexpr std::uint64_t longest_answers = std::uint64_t{1} << 30U;
constexpr std::size_t deepest_answer = 256;
constexpr std::size_t most_choices = 4096;
constexpr std::int64_t most_tokens = 1'000'000'000;

class AnswerEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  AnswerEvents(const std::string& path, const std::function<void(ApiAnswer&&)>& take)
      : path_(path), take_(take) {}

  bool null() override { return scalar("null"); }
  bool boolean(bool) override { return scalar("true or false"); }
  bool number_float(number_float_t, const string_t&) override { return scalar("a fraction"); }
  bool binary(binary_t&) override { return scalar("binary data"); }
  bool number_integer(number_integer_t value) override {
    return place() == Place::ids ? id(value) : scalar("a negative number");
  }
  bool number_unsigned(number_unsigned_t value) override {
    const auto number = static_cast<std::int64_t>(std::min<number_unsigned_t>(value, most_tokens + 1));
    if (place() == Place::ids) return id(number);
    std::int64_t* const count = wanted_count();
    if (count == nullptr) return scalar("a number");
    if (*count >= 0) fail("'" + key_ + "' twice");
    if (number > most_tokens) fail("'" + key_ + "' is " + std::to_string(value));
    *count = number;
    return true;
  }
  bool string(string_t& text) override {
    if (AnswerRouting* const routing = wanted_routing()) {
      if (!routing->is_absent()) fail("routing twice");
      if (text.empty()) fail("'" + key_ + "' is empty");
      routing->base64 = std::move(text);
      return true;
    }
    if ((place() == Place::answer || place() == Place::meta) && key_ == "id" && answer_.id.empty())
      answer_.id = text.substr(0, 200);
    return scalar("a text");
  }

  bool start_object(std::size_t) override {
    switch (place()) {
      case Place::outside:
      case Place::batch:
        answer_ = {};
        ++answers_;
        answer_.where =
            path_ +
            (answers_ == 1 && place() == Place::outside ? "" : ": answer " + std::to_string(answers_));
        in_choice_ = false;
        return enter(Place::answer);
      case Place::choices:
        if (answer_.choices.size() == most_choices) fail("over " + std::to_string(most_choices) + " choices");
        answer_.choices.emplace_back();
        in_choice_ = true;
        return enter(Place::choice);
      case Place::answer:
        if (key_ == "usage") return enter(Place::usage);
        [[fallthrough]];
      case Place::choice:
        if (key_ == "meta_info") return enter(Place::meta);
        if (key_ == "sglext") return enter(Place::extension);
        [[fallthrough]];
      case Place::meta:
      case Place::extension:
      case Place::usage:
        if (wanted_routing() != nullptr) fail("'" + key_ + "' is an object");
        [[fallthrough]];
      case Place::skipped:
        return enter(Place::skipped);
      default:
        fail("an object where " + expected() + " belongs");
    }
  }
  bool key(string_t& name) override {
    key_ = name;
    return true;
  }
  bool end_object() override {
    switch (leave()) {
      case Place::answer:
        take_(std::move(answer_));
        break;
      case Place::choice:
        in_choice_ = false;
        break;
      default:
        break;
    }
    return true;
  }

  bool start_array(std::size_t) override {
    switch (place()) {
      case Place::outside:
        return enter(Place::batch);
      case Place::tokens:
        layers_ = 0;
        return enter(Place::layers);
      case Place::layers:
        width_ = 0;
        return enter(Place::ids);
      case Place::batch:
      case Place::choices:
      case Place::ids:
        fail("a list where " + expected() + " belongs");
      default:
        break;
    }
    if (place() == Place::answer && (key_ == "choices" || key_ == "outputs")) return enter(Place::choices);
    routing_ = wanted_routing();
    if (routing_ == nullptr) return enter(Place::skipped);
    if (!routing_->is_absent()) fail("routing twice");
    return enter(Place::tokens);
  }
  bool end_array() override {
    RoutedTokens* const lists = routing_ == nullptr ? nullptr : &routing_->lists;
    switch (leave()) {
      case Place::ids:
        if (lists->width == 0) lists->width = width_;
        if (width_ == 0 || width_ != lists->width) uneven("experts", width_, lists->width);
        ++layers_;
        break;
      case Place::layers:
        if (lists->layers == 0) lists->layers = layers_;
        if (layers_ == 0 || layers_ != lists->layers) uneven("layers", layers_, lists->layers);
        ++lists->tokens;
        break;
      default:
        break;
    }
    return true;
  }

  bool parse_error(std::size_t at, const std::string&, const nlohmann::json::exception&) override {
    throw InputError(path_,
                     "is not valid JSON at byte " + std::to_string(at) +
                         (answers_ > 1 ? " of answer " + std::to_string(answers_) : ""),
                     "is the file truncated?");
  }

  [[nodiscard]] bool is_empty() const { return answers_ == 0; }

 private:
  enum class Place {
    outside,
    batch,
    answer,
    choices,
    choice,
    meta,
    usage,
    extension,
    skipped,
    tokens,
    layers,
    ids
  };

  [[nodiscard]] Place place() const { return places_.empty() ? Place::outside : places_.back(); }

  bool enter(Place next) {
    if (places_.size() >= deepest_answer) fail("is nested too deeply");
    places_.push_back(next);
    return true;
  }
  Place leave() {
    const Place left = places_.back();
    places_.pop_back();
    return left;
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw InputError(answers_ == 0 ? path_ : answer_.where, printable(problem, 200));
  }
  [[noreturn]] void uneven(const char* what, int here, int before) const {
    fail("token " + std::to_string(routing_->lists.tokens) + " of the routing has " + std::to_string(here) +
         " " + what + " in its list, where " + std::to_string(before) + " are due");
  }
  [[nodiscard]] std::string expected() const {
    switch (place()) {
      case Place::outside:
      case Place::batch:
        return "an answer (an object)";
      case Place::choices:
        return "a choice (an object)";
      case Place::tokens:
        return "the list of a token's layers";
      case Place::layers:
        return "the list of a layer's experts";
      default:
        return "an expert's number";
    }
  }

  bool scalar(const std::string& what) const {
    switch (place()) {
      case Place::outside:
      case Place::batch:
      case Place::choices:
      case Place::tokens:
      case Place::layers:
      case Place::ids:
        fail(what + " where " + expected() + " belongs");
      default:
        return true;
    }
  }

  bool id(std::int64_t value) {
    RoutedTokens& lists = routing_->lists;
    if (width_ == max_top_k) fail("over " + std::to_string(max_top_k) + " experts in a list");
    if (layers_ == max_layers) fail("over " + std::to_string(max_layers) + " layers in a list");
    const bool is_id = value >= -1 && value < max_experts;
    lists.ids.push_back(is_id ? static_cast<std::uint16_t>(value)
                              : routed_id(value, answer_.where + ": token " + std::to_string(lists.tokens)));
    ++width_;
    return true;
  }

  /// Where the value of the key that was read belongs; nullptr when it does not matter.
  std::int64_t* wanted_count() {
    if (place() != Place::meta && place() != Place::usage) return nullptr;
    auto& counts = in_choice_ ? answer_.choices.back().counts : answer_.counts;
    if (key_ == "prompt_tokens") return &counts.prompt_tokens;
    if (key_ == "completion_tokens") return &counts.completion_tokens;
    if (key_ == "routed_experts_start_len") return &counts.first_token;
    return nullptr;
  }
  AnswerRouting* wanted_routing() {
    if (place() == Place::answer && key_ == "prompt_routed_experts") return &answer_.prompt;
    if (key_ != "routed_experts") return nullptr;
    switch (place()) {
      case Place::answer:
      case Place::choice:
      case Place::meta:
      case Place::extension:
        return in_choice_ ? &answer_.choices.back().routing : &answer_.whole;
      default:
        return nullptr;
    }
  }

  const std::string& path_;
  const std::function<void(ApiAnswer&&)>& take_;
  std::vector<Place> places_;
  std::string key_;
  ApiAnswer answer_;
  std::int64_t answers_ = 0;
  bool in_choice_ = false;
  // of the routing that is read
  AnswerRouting* routing_ = nullptr;
  int layers_ = 0, width_ = 0;
};

}  // namespace

void read_answers(const std::string& path, const std::function<void(ApiAnswer&&)>& take) {
  TextStreamBuffer buffer(path, longest_answers);
  std::istream stream(&buffer);
  AnswerEvents events(path, take);
  while (!(stream >> std::ws).eof())
    nlohmann::json::sax_parse(stream, &events, nlohmann::json::input_format_t::json, false);
  if (events.is_empty()) throw InputError(path, "holds no answer");
}

}  // namespace pregate::trace
