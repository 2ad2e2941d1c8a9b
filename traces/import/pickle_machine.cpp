// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The operations and their operands: pickletools.py of CPython; what torch.save writes with them: protocol 2,
// storages by persistent id ('storage', class, key, location, elements), tensors by
// torch._utils._rebuild_tensor_v2.
#include "traces/import/pickle.hpp"

#include <algorithm>
#include <optional>

#include "models/error.hpp"
#include "traces/import/byte_input.hpp"

namespace pregate::trace {

namespace {

constexpr std::size_t most_bytes = std::size_t{64} << 20U;
constexpr std::size_t most_values = std::size_t{1} << 25U;
constexpr std::size_t most_containers = std::size_t{1} << 22U;  // lists, tuples, dictionaries, tensors

constexpr std::string_view storage_end = "Storage";

bool is_known(std::string_view module, std::string_view name) {
  if (module == "torch._utils") return name == "_rebuild_tensor_v2";
  if (module == "collections") return name == "OrderedDict";
  if (module != "torch" || !name.ends_with(storage_end)) return false;
  const std::string_view dtype = name.substr(0, name.size() - storage_end.size());
  constexpr std::string_view dtypes[] = {"Byte", "Char",   "Short", "Int",      "Long",
                                         "Half", "Double", "Float", "BFloat16", "Bool"};
  return std::find(std::begin(dtypes), std::end(dtypes), dtype) != std::end(dtypes);
}

}  // namespace

/// Runs the operations over a stack of value numbers. Nothing recurses.
class PickleMachine {
 public:
  PickleMachine(Pickle& pickle, std::string_view bytes, const std::string& where)
      : pickle_(pickle), reader_(bytes, where), bytes_(bytes) {}

  Pickle::Value run() {
    if (reader_.u8() != 0x80 || reader_.u8() < 2) reader_.fail("is no pickle of protocol 2 or later");
    while (reader_.u8() != '.') {
      operation_ = reader_.at() - 1;
      step(static_cast<std::uint8_t>(bytes_[operation_]));
    }
    if (stack_.size() != 1 || !marks_.empty())
      fail("it ends with " + std::to_string(stack_.size()) + " values");
    if (reader_.left() != 0) fail("it goes on after its end");
    return stack_[0];
  }

 private:
  using Kind = Pickle::Kind;
  using Value = Pickle::Value;

  [[noreturn]] void fail(const std::string& problem) const {
    reader_.fail(
        "its pickle is not read: at byte " + std::to_string(operation_) + ", " + problem,
        "a file that torch.save wrote of lists, numbers and tensors is read, and nothing is ever executed");
  }

  void step(std::uint8_t operation) {
    switch (operation) {
      case 0x95:  // FRAME
        if (reader_.u64() > reader_.left()) fail("a frame goes past the end");
        return;
      case 'N':
        return push(Kind::none);
      case 0x88:
      case 0x89:  // NEWTRUE, NEWFALSE
        return push(Kind::boolean, operation == 0x88 ? 1 : 0);
      case 'J':
        return push(Kind::integer, static_cast<std::int32_t>(reader_.u32()));
      case 'K':
        return push(Kind::integer, reader_.u8());
      case 'M':
        return push(Kind::integer, reader_.u16());
      case 0x8a:  // LONG1
        return push_long();
      case 'G':
        reader_.take(8);
        return push(Kind::real);
      case 'X':
        return push_text(Kind::text, reader_.take(reader_.u32()));
      case 0x8c:  // SHORT_BINUNICODE
        return push_text(Kind::text, reader_.take(reader_.u8()));
      case ']':
        return push_container(Kind::list, {});
      case '}':
        return push_container(Kind::dictionary, {});
      case ')':
        return push_container(Kind::tuple, {});
      case 0x85:
      case 0x86:
      case 0x87:  // TUPLE1 to TUPLE3
        return push_container(Kind::tuple, pop_last(operation - 0x84U));
      case 't':
        return push_container(Kind::tuple, pop_to_mark());
      case '(':
        marks_.push_back(stack_.size());
        return;
      case 'a':
        return extend(Kind::list, pop_last(1));
      case 'e':
        return extend(Kind::list, pop_to_mark());
      case 's':
        return extend(Kind::dictionary, pop_last(2));
      case 'u':
        return extend(Kind::dictionary, pop_to_mark());
      case 'q':
        return memorise(reader_.u8());
      case 'r':
        return memorise(reader_.u32());
      case 0x94:  // MEMOIZE
        return memorise(memo_.size());
      case 'h':
        return recall(reader_.u8());
      case 'j':
        return recall(reader_.u32());
      case 'c': {
        const std::string_view module = line();
        return push_name(module, line());
      }
      case 0x93: {  // STACK_GLOBAL
        const std::vector<Value> both = pop_last(2);
        return push_name(text(both[0]), text(both[1]));
      }
      case 'Q':
        return push_storage(pop_last(1)[0]);
      case 'R': {
        const std::vector<Value> both = pop_last(2);
        return call(both[0], both[1]);
      }
      default:
        fail("the operation " + std::to_string(operation) + " is none that such a file needs");
    }
  }

  void push(Kind kind, std::int64_t number = 0, std::size_t side = 0) {
    if (pickle_.nodes_.size() == most_values)
      fail("there are over " + std::to_string(most_values) + " values");
    stack_.push_back(static_cast<Value>(pickle_.nodes_.size()));
    pickle_.nodes_.push_back({.kind = kind, .side = static_cast<std::uint32_t>(side), .number = number});
  }
  void push_text(Kind kind, std::string_view found) {
    push(kind, found.data() - bytes_.data(), found.size());
  }
  void push_long() {
    const std::string_view digits = reader_.take(reader_.u8());
    if (digits.size() > 8) fail("a number of over 64 bits");
    std::uint64_t value = little_endian(digits);
    if (!digits.empty() && digits.size() < 8 && (static_cast<unsigned char>(digits.back()) & 0x80U) != 0)
      value |= ~std::uint64_t{0} << (8 * digits.size());
    push(Kind::integer, static_cast<std::int64_t>(value));
  }
  void count_container() {
    if (++containers_ > most_containers)
      fail("there are over " + std::to_string(most_containers) + " lists and tensors");
  }
  void push_container(Kind kind, std::vector<Value> items) {
    count_container();
    push(kind, 0, pickle_.lists_.size());
    pickle_.lists_.push_back(std::move(items));
  }
  void push_name(std::string_view module, std::string_view name) {
    if (!is_known(module, name))
      fail("it needs '" + printable(module) + "." + printable(name) + "', which is never called");
    push_text(Kind::name, name);
  }
  void push_storage(Value id) {
    // ('storage', class, key, location, elements)
    const bool is_tuple = pickle_.kind(id) == Kind::tuple && pickle_.items(id).size() == 5;
    if (!is_tuple) fail("a persistent id is no storage");
    const std::vector<Value>& parts = pickle_.items(id);
    const std::int64_t elements = integer(parts[4]);
    if (text(parts[0]) != "storage" || pickle_.kind(parts[1]) != Kind::name || elements < 0)
      fail("a persistent id is no storage");
    const std::string_view name = pickle_.text(parts[1]);
    if (!name.ends_with(storage_end)) fail("a persistent id is no storage");
    count_container();
    push(Kind::storage, 0, pickle_.tensors_.size());
    pickle_.tensors_.push_back({.dtype = name.substr(0, name.size() - storage_end.size()),
                                .key = text(parts[2]),
                                .storage_elements = elements,
                                .offset = 0,
                                .sizes = {},
                                .strides = {}});
  }
  void call(Value function, Value arguments) {
    if (pickle_.kind(function) != Kind::name || pickle_.kind(arguments) != Kind::tuple)
      fail("it calls something without a name");
    const std::string_view name = pickle_.text(function);
    const std::vector<Value>& parts = pickle_.items(arguments);
    if (name == "OrderedDict" && parts.empty()) return push_container(Kind::dictionary, {});
    // storage, offset, sizes, strides, requires_grad, hooks[, metadata]
    if (name != "_rebuild_tensor_v2" || parts.size() < 6 || parts.size() > 7 ||
        pickle_.kind(parts[0]) != Kind::storage)
      fail("it calls " + printable(name) + " otherwise than torch does");
    Pickle::Tensor tensor = pickle_.tensors_[pickle_.nodes_[parts[0]].side];
    tensor.offset = integer(parts[1]);
    tensor.sizes = integers(parts[2]);
    tensor.strides = integers(parts[3]);
    if (tensor.offset < 0 || tensor.sizes.size() != tensor.strides.size()) fail("a tensor without a shape");
    count_container();
    push(Kind::tensor, 0, pickle_.tensors_.size());
    pickle_.tensors_.push_back(std::move(tensor));
  }

  std::vector<Value> pop_last(std::size_t count) {
    const std::size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() < floor + count) fail("the stack is empty");
    std::vector<Value> popped(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return popped;
  }
  std::vector<Value> pop_to_mark() {
    if (marks_.empty()) fail("there is no mark");
    std::vector<Value> popped = pop_last(stack_.size() - marks_.back());
    marks_.pop_back();
    return popped;
  }
  Value top() const {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("the stack is empty");
    return stack_.back();
  }
  void extend(Kind kind, const std::vector<Value>& added) {
    const Value target = top();
    if (pickle_.kind(target) != kind || (kind == Kind::dictionary && added.size() % 2 != 0))
      fail("it puts values into " + pickle_.describe(target));
    auto& items = pickle_.lists_[pickle_.nodes_[target].side];
    items.insert(items.end(), added.begin(), added.end());
  }
  // torch numbers what it remembers from 0 without gaps.
  void memorise(std::size_t number) {
    const Value value = top();
    if (number > memo_.size()) fail("it remembers a value under a number out of turn");
    if (number == memo_.size()) memo_.push_back(value);
    memo_[number] = value;
  }
  void recall(std::size_t number) {
    if (number >= memo_.size()) fail("it recalls a value that it did not remember");
    if (stack_.size() >= most_values) fail("the stack is too deep");
    stack_.push_back(memo_[number]);
  }

  std::string_view line() {
    const std::string_view rest = bytes_.substr(reader_.at());
    const std::size_t stop = rest.substr(0, 1000).find('\n');
    if (stop == std::string_view::npos) fail("a name without an end");
    return reader_.take(stop + 1).substr(0, stop);
  }
  std::string_view text(Value value) const {
    if (pickle_.kind(value) != Kind::text) fail("a text is due, not " + pickle_.describe(value));
    return pickle_.text(value);
  }
  std::int64_t integer(Value value) const {
    if (pickle_.kind(value) != Kind::integer) fail("a number is due, not " + pickle_.describe(value));
    return pickle_.integer(value);
  }
  std::vector<std::int64_t> integers(Value value) const {
    if (pickle_.kind(value) != Kind::tuple) fail("a tuple is due, not " + pickle_.describe(value));
    if (pickle_.items(value).size() > 16) fail("a tensor of over 16 dimensions");
    std::vector<std::int64_t> numbers;
    for (const Value item : pickle_.items(value)) {
      numbers.push_back(integer(item));
      if (numbers.back() < 0) fail("a negative size");
    }
    return numbers;
  }

  Pickle& pickle_;
  ByteReader reader_;
  std::string_view bytes_;
  std::size_t operation_ = 0, containers_ = 0;
  std::vector<Value> stack_, memo_;
  std::vector<std::size_t> marks_;  ///< sizes of the stack
};

Pickle::Pickle(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {
  if (bytes.size() > most_bytes)
    throw InputError(where, "holds a pickle of over " + std::to_string(most_bytes >> 20U) + " MiB",
                     "record for a shorter time");
  root_ = PickleMachine(*this, bytes, where).run();
}

}  // namespace pregate::trace
