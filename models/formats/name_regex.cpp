// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Thompson's construction: the expression becomes states, of which all that can be reached are kept.
#include "models/formats/name_regex.hpp"

#include <algorithm>
#include <utility>

#include "models/error.hpp"

namespace pregate {

/// Builds states from the end: each piece is told what follows it.
class NameRegex::Parser {
 public:
  Parser(std::string_view text, std::string where, std::vector<State>& states)
      : text_(text), where_(std::move(where)), states_(states) {}

  int parse() {
    if (text_.size() > 512) refuse("is longer than 512 characters");
    if (peek('^')) ++at_;
    const Fragment all = alternatives(0);
    if (at_ != text_.size()) refuse("has a ')' without its '('");
    const int accept = add({.kind = State::Kind::accept});
    join(all, accept);
    return all.start;
  }

 private:
  /// A piece whose open ends still lead nowhere.
  struct Fragment {
    int start = -1;
    std::vector<std::pair<int, bool>> ends;  ///< of a state: its `other` rather than its `next`
  };

  [[noreturn]] void refuse(const std::string& problem) const {
    throw InputError(where_, "the expression '" + printable(text_) + "' " + problem,
                     "choose the formats with --weights and --dense-weights");
  }
  [[nodiscard]] bool peek(char c) const { return at_ < text_.size() && text_[at_] == c; }
  int add(State state) {
    states_.push_back(std::move(state));
    return static_cast<int>(states_.size()) - 1;
  }
  State& state(int i) { return states_[static_cast<std::size_t>(i)]; }
  void join(const Fragment& piece, int to) {
    for (const auto& [end, other] : piece.ends) (other ? state(end).other : state(end).next) = to;
  }
  Fragment one(State taken) {
    const int i = add(std::move(taken));
    return {i, {{i, false}}};
  }

  Fragment alternatives(int depth) {
    if (depth > 16) refuse("is nested too deeply");
    Fragment all = sequence(depth);
    while (peek('|')) {
      ++at_;
      Fragment next = sequence(depth);
      const int split = add({.kind = State::Kind::split, .next = all.start, .other = next.start});
      all.start = split;
      all.ends.insert(all.ends.end(), next.ends.begin(), next.ends.end());
    }
    return all;
  }
  Fragment sequence(int depth) {
    // A split of one way is the empty piece.
    Fragment all = one({.kind = State::Kind::split});
    while (at_ < text_.size() && !peek('|') && !peek(')')) {
      const Fragment next = repeated(depth);
      join(all, next.start);
      all.ends = next.ends;
    }
    return all;
  }
  Fragment repeated(int depth) {
    Fragment piece = atom(depth);
    while (peek('*') || peek('+') || peek('?')) {
      const char how = text_[at_++];
      const int split = add({.kind = State::Kind::split, .next = piece.start});
      if (how == '?') {
        piece.ends.emplace_back(split, true);
        piece.start = split;
      } else {
        join(piece, split);
        piece = {how == '*' ? split : piece.start, {{split, true}}};
      }
    }
    if (peek('{')) refuse("has a '{', which is not understood here");
    return piece;
  }
  Fragment atom(int depth) {
    const char c = text_[at_++];
    switch (c) {
      case '(': {
        if (peek('?')) {
          if (text_.substr(at_, 2) != "?:") refuse("looks ahead or behind, which is not understood here");
          at_ += 2;
        }
        Fragment inner = alternatives(depth + 1);
        if (!peek(')')) refuse("has a '(' without its ')'");
        ++at_;
        return inner;
      }
      case '.':
        return one({.kind = State::Kind::any});
      case '$':
        return one({.kind = State::Kind::end});
      case '[':
        return one(set());
      case '\\':
        return one(escaped());
      case '*':
      case '+':
      case '?':
      case '^':
        refuse(std::string("has a '") + c + "' where it means nothing");
      default:
        return one({.kind = State::Kind::character, .character = c});
    }
  }
  State escaped() {
    if (at_ == text_.size()) refuse("ends in a '\\'");
    const char c = text_[at_++];
    switch (c) {
      case 'd':
        return {.kind = State::Kind::set, .set = "09"};
      case 'w':
        return {.kind = State::Kind::set, .set = "azAZ09__"};
      case 's':
        return {.kind = State::Kind::set, .set = "  \t\r"};
      default:
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
          refuse(std::string("has a '\\") + c + "', which is not understood here");
        return {.kind = State::Kind::character, .character = c};
    }
  }
  State set() {
    State taken{.kind = State::Kind::set};
    if (peek('^')) {
      taken.negated = true;
      ++at_;
    }
    for (bool first = true; first || !peek(']'); first = false) {
      if (at_ == text_.size()) refuse("has a '[' without its ']'");
      char from = text_[at_++];
      if (from == '\\') {
        const State inner = escaped();
        if (inner.kind == State::Kind::set) {
          taken.set += inner.set;
          continue;
        }
        from = inner.character;
      }
      char to = from;
      if (peek('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        to = text_[at_ + 1];
        at_ += 2;
      }
      taken.set += {from, to};
    }
    ++at_;
    return taken;
  }

  std::string_view text_;
  std::string where_;
  std::vector<State>& states_;
  std::size_t at_ = 0;
};

NameRegex::NameRegex(std::string_view text, const std::string& where) {
  start_ = Parser(text, where, states_).parse();
}

bool NameRegex::takes(const State& state, char c) {
  switch (state.kind) {
    case State::Kind::character:
      return c == state.character;
    case State::Kind::any:
      return true;
    case State::Kind::set: {
      bool inside = false;
      for (std::size_t i = 0; i + 1 < state.set.size(); i += 2)
        inside = inside || (c >= state.set[i] && c <= state.set[i + 1]);
      return inside != state.negated;
    }
    default:
      return false;
  }
}

bool NameRegex::matches(std::string_view name, std::int64_t& steps) const {
  std::vector<int> now, open{start_};
  std::vector<std::size_t> seen(states_.size(), 0);  // 1 + the place at which a state was reached last
  for (std::size_t at = 0;; ++at) {
    now.clear();
    while (!open.empty()) {
      const int i = open.back();
      open.pop_back();
      ++steps;
      if (i < 0 || seen[static_cast<std::size_t>(i)] == at + 1) continue;
      seen[static_cast<std::size_t>(i)] = at + 1;
      const State& state = states_[static_cast<std::size_t>(i)];
      if (state.kind == State::Kind::accept) return true;
      if (state.kind == State::Kind::split) {
        open.push_back(state.next);
        open.push_back(state.other);
      } else if (state.kind == State::Kind::end) {
        if (at == name.size()) open.push_back(state.next);
      } else {
        now.push_back(i);
      }
    }
    if (at == name.size()) return false;
    for (const int i : now) {
      const State& state = states_[static_cast<std::size_t>(i)];
      if (takes(state, name[at])) open.push_back(state.next);
    }
    if (open.empty()) return false;
  }
}

}  // namespace pregate
