// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Predictors of the user's own: objects of Python, or compiled functions.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "models/error.hpp"
#include "python/src/own_parameters.hpp"
#include "python/src/own_parts.hpp"

namespace nb = nanobind;

namespace pregate::python {

namespace {

using sim::ExpertKey;

std::string where_of_predictor(const std::string& name) { return "predictor '" + printable(name) + "'"; }

/// Refuses an expert that is named twice.
class Once {
 public:
  void check(const sim::MoeLayer& layer, std::span<const ExpertKey> keys, const std::string& where) {
    seen_.assign(static_cast<std::size_t>(layer.experts), 0);
    for (const ExpertKey key : keys) {
      std::uint8_t& seen = seen_[key - layer.first_key];
      if (seen != 0)
        throw InputError(where, "predict() named expert " + std::to_string(key - layer.first_key) + " twice",
                         "name each once, the likeliest first");
      seen = 1;
    }
  }

 private:
  std::vector<std::uint8_t> seen_;
};

/// An object of a class of the user's: predict(layer, target), and as it likes begin_run(experts, top_k),
/// begin_pass(phase, first_of_request), observe(layer, experts, tokens) and probabilities().
class PythonPredictor final : public sim::Predictor {
 public:
  PythonPredictor(const std::string& name, const Held& factory, const OwnParameters& parameters,
                  const std::any& values, const sim::ExpertMap& map)
      : where_(where_of_predictor(name)), map_(map) {
    with_python([&] {
      object_ = held((*factory)(**parameters.arguments(values)));
      predict_ = held(object_->attr("predict"));
      begin_pass_ = method_of(*object_, "begin_pass");
      observe_ = method_of(*object_, "observe");
      asks_probabilities_ = method_of(*object_, "probabilities");
      const Held begin_run = method_of(*object_, "begin_run");
      if (!begin_run) return;
      nb::list experts, top_k;
      for (const sim::MoeLayer& layer : map.layers()) {
        experts.append(layer.experts);
        top_k.append(layer.top_k);
      }
      (*begin_run)(experts, top_k);
    });
  }
  void begin_pass(trace::Phase phase, bool first_of_request) override {
    if (!begin_pass_) return;
    with_python([&] { (*begin_pass_)(trace::to_string(phase), first_of_request); });
  }
  void observe(int ordinal, std::span<const ExpertKey> activated,
               std::span<const std::uint32_t> tokens) override {
    if (!observe_) return;
    with_python([&] { (*observe_)(ordinal, experts_of(map_, ordinal, activated), list_of(tokens)); });
  }
  std::span<const ExpertKey> predict(int ordinal, int target) override {
    with_python([&] {
      const nb::object answer = (*predict_)(ordinal, target);
      keys_of(map_, target, answer, where_ + ": what predict() returned", keys_);
      once_.check(map_.layers()[static_cast<std::size_t>(target)], keys_, where_);
      if (asks_probabilities_) ask_probabilities();
    });
    return keys_;
  }
  [[nodiscard]] std::span<const double> probabilities() const override { return probabilities_; }

 private:
  void ask_probabilities() {
    probabilities_.clear();
    for (const nb::handle value : nb::iter((*asks_probabilities_)())) {
      const double probability = PyFloat_AsDouble(value.ptr());
      if (PyErr_Occurred() != nullptr) throw nb::python_error();
      if (!(probability >= 0 && probability <= 1))
        throw InputError(where_, "probabilities() returned one that is not from 0 to 1");
      probabilities_.push_back(probability);
    }
    if (!probabilities_.empty() && probabilities_.size() != keys_.size()) {
      throw InputError(where_,
                       "probabilities() returned " + std::to_string(probabilities_.size()) + " of " +
                           std::to_string(keys_.size()) + " experts",
                       "one for each that predict() named last, in their order; or none");
    }
  }

  std::string where_;
  const sim::ExpertMap& map_;
  Held object_, predict_, begin_pass_, observe_, asks_probabilities_;
  Once once_;
  std::vector<ExpertKey> keys_;
  std::vector<double> probabilities_;
};

/// Compiled functions, and the numbers that they keep: `state` of each expert, zero at first, in one array of
/// doubles [layers, experts of the widest layer, state].
struct PredictorFunctions {
  using BeginPass = void (*)(double* state, std::int64_t width, std::int64_t phase, std::int64_t first);
  using Observe = void (*)(double* state, std::int64_t width, std::int64_t layer, const std::int64_t* experts,
                           const std::int64_t* tokens, std::int64_t count);
  /// Writes experts of layer `target` to `chosen`, which has room for all of them; returns how many.
  using Predict = std::int64_t (*)(double* state, std::int64_t width, std::int64_t layer, std::int64_t target,
                                   std::int64_t* chosen);
  std::string name;
  BeginPass begin_pass = nullptr;  // null: not wanted
  Observe observe = nullptr;       // null: not wanted
  Predict predict = nullptr;
  std::size_t state = 1;
};

class CompiledPredictor final : public sim::Predictor {
 public:
  CompiledPredictor(const PredictorFunctions& functions, const sim::ExpertMap& map)
      : functions_(functions), map_(map) {
    for (const sim::MoeLayer& layer : map.layers()) width_ = std::max<std::int64_t>(width_, layer.experts);
    state_.assign(static_cast<std::size_t>(width_) * map.layers().size() * functions.state, 0);
    chosen_.resize(static_cast<std::size_t>(width_));
  }
  void begin_pass(trace::Phase phase, bool first_of_request) override {
    if (functions_.begin_pass != nullptr)
      functions_.begin_pass(state_.data(), width_, static_cast<std::int64_t>(phase),
                            first_of_request ? 1 : 0);
  }
  void observe(int ordinal, std::span<const ExpertKey> activated,
               std::span<const std::uint32_t> tokens) override {
    if (functions_.observe == nullptr) return;
    const ExpertKey first = map_.layers()[static_cast<std::size_t>(ordinal)].first_key;
    experts_.clear();
    for (const ExpertKey key : activated) experts_.push_back(key - first);
    tokens_.assign(tokens.begin(), tokens.end());
    functions_.observe(state_.data(), width_, ordinal, experts_.data(), tokens_.data(),
                       static_cast<std::int64_t>(experts_.size()));
  }
  std::span<const ExpertKey> predict(int ordinal, int target) override {
    const sim::MoeLayer& layer = map_.layers()[static_cast<std::size_t>(target)];
    const std::int64_t count = functions_.predict(state_.data(), width_, ordinal, target, chosen_.data());
    if (count < 0 || count > layer.experts) {
      throw InputError(
          where_of_predictor(functions_.name),
          "predict returned " + std::to_string(count) + " of " + std::to_string(layer.experts) + " experts");
    }
    keys_.clear();
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t expert = chosen_[static_cast<std::size_t>(i)];
      if (expert < 0 || expert >= layer.experts)
        throw InputError(where_of_predictor(functions_.name),
                         "predict named expert " + std::to_string(expert) + ", which is none");
      keys_.push_back(layer.first_key + static_cast<ExpertKey>(expert));
    }
    once_.check(layer, keys_, where_of_predictor(functions_.name));
    return keys_;
  }

 private:
  PredictorFunctions functions_;
  const sim::ExpertMap& map_;
  std::int64_t width_ = 0;
  std::vector<double> state_;
  std::vector<std::int64_t> experts_, tokens_, chosen_;
  Once once_;
  std::vector<ExpertKey> keys_;
};

/// `guesses`: the most experts that it names for a layer, for which there will be room; 0: as many as a layer
/// activates.
sim::PredictorEntry predictor_entry(const std::string& name, const std::string& description, int guesses,
                                    bool knows_pass) {
  check_own_name(where_of_predictor(name), name);
  if (guesses < 0 || guesses > 65536)
    throw InputError(where_of_predictor(name), "guesses is not from 0 to 65536",
                     "0: as many as a layer activates");
  sim::PredictorEntry entry;
  entry.name = name;
  entry.help = description;
  entry.mechanism = name + " prefetch";
  entry.knows_pass = knows_pass;
  if (guesses > 0)
    entry.most_guesses = [guesses](const std::any&, const sim::ExpertMap&, const sim::TraceScan&) {
      return guesses;
    };
  return entry;
}

void add_python_predictor(const std::string& name, const std::string& description, nb::object factory,
                          nb::list described, int guesses, bool knows_pass) {
  sim::PredictorEntry entry = predictor_entry(name, description, guesses, knows_pass);
  const OwnParameters parameters(where_of_predictor(name), std::move(described));
  parameters.check_keys("lookahead", name, sim::built_in_parts().predictors.entries());
  entry.parameters = parameters.described();
  entry.make = [name, parameters, kept = held(std::move(factory))](const std::any& values,
                                                                   const sim::ExpertMap& map) {
    return std::make_unique<PythonPredictor>(name, kept, parameters, values, map);
  };
  add_part(std::move(entry));
}

void add_compiled_predictor(const std::string& name, const std::string& description,
                            std::uintptr_t begin_pass, std::uintptr_t observe, std::uintptr_t predict,
                            std::int64_t state, int guesses, bool knows_pass) {
  sim::PredictorEntry entry = predictor_entry(name, description, guesses, knows_pass);
  if (predict == 0)
    throw InputError(where_of_predictor(name), "predict has address 0", "give a cfunc, or its .address");
  if (state < 1 || state > 1024)
    throw InputError(where_of_predictor(name), "state is not from 1 to 1024", "numbers an expert");
  const PredictorFunctions functions{name, reinterpret_cast<PredictorFunctions::BeginPass>(begin_pass),
                                     reinterpret_cast<PredictorFunctions::Observe>(observe),
                                     reinterpret_cast<PredictorFunctions::Predict>(predict),
                                     static_cast<std::size_t>(state)};
  entry.make = [functions](const std::any&, const sim::ExpertMap& map) {
    return std::make_unique<CompiledPredictor>(functions, map);
  };
  add_part(std::move(entry));
}

}  // namespace

void bind_predictors(nb::module_& module) {
  module.def(
      "add_predictor", &add_python_predictor, nb::arg("name"), nb::arg("description"), nb::arg("factory"),
      nb::arg("parameters"), nb::arg("guesses"), nb::arg("knows_pass"),
      nb::sig("def add_predictor(name: str, description: str, factory: object, parameters: "
              "collections.abc.Sequence[tuple[object, ...]], guesses: int, knows_pass: bool) -> None"));
  module.def("add_compiled_predictor", &add_compiled_predictor, nb::arg("name"), nb::arg("description"),
             nb::arg("begin_pass"), nb::arg("observe"), nb::arg("predict"), nb::arg("state"),
             nb::arg("guesses"), nb::arg("knows_pass"));
}

}  // namespace pregate::python
