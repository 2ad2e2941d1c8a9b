// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Prefetchers of the user's own: objects of Python.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

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

/// Layers of the pass that are still to come.
class AheadView {
 public:
  void lend(const sim::LayersAhead& ahead) { at_ = &ahead; }
  void take_back() { at_ = nullptr; }
  [[nodiscard]] const sim::LayersAhead& get() const {
    if (at_ == nullptr) fail_after_call("ahead");
    return *at_;
  }
  [[nodiscard]] bool has(int target) const { return target > get().ordinal && at_->has(target); }
  [[nodiscard]] std::vector<int> layers(int reach) const {
    std::vector<int> all;
    sim::each_ahead(get(), reach, [&](int target) {
      all.push_back(target);
      return true;
    });
    return all;
  }

 private:
  const sim::LayersAhead* at_ = nullptr;
};

/// The policy's predictor, of layers that are still to come.
class PredictorView {
 public:
  void lend(const sim::LayersAhead& ahead, sim::Predictor& predictor) {
    ahead_ = &ahead;
    predictor_ = &predictor;
  }
  void take_back() { predictor_ = nullptr; }
  [[nodiscard]] nb::list predict(int target) const {
    if (predictor_ == nullptr) fail_after_call("predictor");
    if (target <= ahead_->ordinal || target >= ahead_->end) {
      throw InputError(
          "predictor.predict", "layer " + std::to_string(target) + " is not ahead in this pass",
          "from " + std::to_string(ahead_->ordinal + 1) + " to " + std::to_string(ahead_->end - 1));
    }
    return experts_of(*ahead_->map, target, predictor_->predict(ahead_->ordinal, target));
  }
  [[nodiscard]] nb::list probabilities() const {
    if (predictor_ == nullptr) fail_after_call("predictor");
    return list_of(predictor_->probabilities());
  }

 private:
  const sim::LayersAhead* ahead_ = nullptr;
  sim::Predictor* predictor_ = nullptr;
};

/// What may be announced, and what became of it.
struct Bounds {
  int first = 0, last = -1;  ///< layers for which experts may be wanted
  bool has_clock = false;
  std::string where;
};

class AnnouncedView {
 public:
  void lend(sim::Announcements& announced, const sim::ExpertMap& map, const Bounds& bounds) {
    at_ = &announced;
    map_ = &map;
    bounds_ = &bounds;
  }
  void take_back() { at_ = nullptr; }
  void want(int target, const nb::object& experts) {
    check(target);
    if (target < bounds_->first || target > bounds_->last) {
      const bool none = bounds_->last < bounds_->first;
      throw InputError(bounds_->where,
                       "wants experts of layer " + std::to_string(target) +
                           (none ? ", and nothing can be announced here"
                                 : ", and may of " + std::to_string(bounds_->first) + " to " +
                                       std::to_string(bounds_->last)),
                       none ? "announce in look_ahead" : "register it with a larger reach");
    }
    keys_of(*map_, target, experts, bounds_->where, keys_);
    at_->want(target, keys_);
  }
  [[nodiscard]] nb::list fetched(int target) const {
    check(target);
    return experts_of(*map_, target, at_->fetched(target));
  }
  [[nodiscard]] bool is_brought(int target, const nb::object& expert) const {
    check(target);
    return at_->is_brought(key_of(*map_, target, expert, bounds_->where));
  }
  [[nodiscard]] bool has_arrived(int target, const nb::object& expert) const {
    check_clock(target);
    return at_->has_arrived(key_of(*map_, target, expert, bounds_->where));
  }
  bool drop(int target, const nb::object& expert) {
    check_clock(target);
    return at_->drop(target, key_of(*map_, target, expert, bounds_->where));
  }

 private:
  void check(int target) const {
    if (at_ == nullptr) fail_after_call("announced");
    if (target < 0 || target >= static_cast<int>(map_->layers().size()))
      throw InputError(bounds_->where, std::to_string(target) + " is no MoE layer");
  }
  void check_clock(int target) const {
    check(target);
    if (!bounds_->has_clock)
      throw InputError(bounds_->where, "this part asks the clock", "register it with needs_clock=True");
  }

  sim::Announcements* at_ = nullptr;
  const sim::ExpertMap* map_ = nullptr;
  const Bounds* bounds_ = nullptr;
  std::vector<ExpertKey> keys_;
};

/// An object of a class of the user's: look_ahead(moment, ahead, predictor, announced), and as it likes
/// begin_pass(), reaches(ahead), gate_known(moment, experts, announced) and pass_begins(ahead, predictor,
/// announced).
class PythonPrefetcher final : public sim::Prefetcher {
 public:
  PythonPrefetcher(const std::string& name, const Held& factory, const OwnParameters& parameters,
                   const std::any& values, int reach, bool needs_clock)
      : reach_(reach), bounds_{.where = "prefetcher '" + name + "'"} {
    bounds_.has_clock = needs_clock;
    with_python([&] {
      object_ = held((*factory)(**parameters.arguments(values)));
      look_ahead_ = held(object_->attr("look_ahead"));
      begin_pass_ = method_of(*object_, "begin_pass");
      reaches_ = method_of(*object_, "reaches");
      gate_known_ = method_of(*object_, "gate_known");
      pass_begins_ = method_of(*object_, "pass_begins");
      moment_.make();
      ahead_.make();
      predictor_.make();
      announced_.make();
    });
  }
  void begin_pass() override {
    if (begin_pass_) with_python([&] { (*begin_pass_)(); });
  }
  void pass_begins(const sim::LayersAhead& ahead, sim::Predictor& predictor,
                   sim::Announcements& announced) override {
    if (!pass_begins_) return;
    with_python([&] {
      const Reaching bounds(*this, ahead);
      const Handed<AheadView>::Lent ahead_lent(ahead_, ahead);
      const Handed<PredictorView>::Lent predictor_lent(predictor_, ahead, predictor);
      const Handed<AnnouncedView>::Lent announced_lent(announced_, announced, *ahead.map, bounds_);
      (*pass_begins_)(ahead_.object(), predictor_.object(), announced_.object());
    });
  }
  [[nodiscard]] bool reaches(const sim::LayersAhead& ahead) const override {
    if (!reaches_) return sim::any_ahead(ahead, reach_);
    bool answer = false;
    with_python([&] {
      const Handed<AheadView>::Lent lent(ahead_, ahead);
      const int truth = PyObject_IsTrue((*reaches_)(ahead_.object()).ptr());
      if (truth < 0) throw nb::python_error();
      answer = truth != 0;
    });
    return answer;
  }
  void gate_known(const sim::Moment& moment, std::span<const ExpertKey> activated,
                  sim::Announcements& announced) override {
    if (!gate_known_) return;
    with_python([&] {
      const Handed<MomentView>::Lent moment_lent(moment_, moment);
      const Handed<AnnouncedView>::Lent announced_lent(announced_, announced, *moment.map, bounds_);
      (*gate_known_)(moment_.object(), experts_of(*moment.map, moment.ordinal, activated),
                     announced_.object());
    });
  }
  void look_ahead(const sim::Moment& moment, const sim::LayersAhead& ahead, sim::Predictor& predictor,
                  sim::Announcements& announced) override {
    with_python([&] {
      const Reaching bounds(*this, ahead);
      const Handed<MomentView>::Lent moment_lent(moment_, moment);
      const Handed<AheadView>::Lent ahead_lent(ahead_, ahead);
      const Handed<PredictorView>::Lent predictor_lent(predictor_, ahead, predictor);
      const Handed<AnnouncedView>::Lent announced_lent(announced_, announced, *ahead.map, bounds_);
      (*look_ahead_)(moment_.object(), ahead_.object(), predictor_.object(), announced_.object());
    });
  }

 private:
  /// While something may be announced.
  class Reaching {
   public:
    Reaching(PythonPrefetcher& of, const sim::LayersAhead& ahead) : of_(of) {
      of.bounds_.first = ahead.ordinal + 1;
      of.bounds_.last = std::min(ahead.end - 1, ahead.ordinal + of.reach_);
    }
    ~Reaching() { of_.bounds_.last = of_.bounds_.first - 1; }
    Reaching(const Reaching&) = delete;
    Reaching& operator=(const Reaching&) = delete;

   private:
    PythonPrefetcher& of_;
  };

  int reach_;
  Bounds bounds_;
  Held object_, look_ahead_, begin_pass_, reaches_, gate_known_, pass_begins_;
  Handed<MomentView> moment_;
  Handed<AheadView> ahead_;
  Handed<PredictorView> predictor_;
  Handed<AnnouncedView> announced_;
};

/// `reach`: how many layers ahead something may be announced; 0: lookahead.distance.
void add_prefetcher(const std::string& name, const std::string& description, nb::object factory,
                    nb::list described, int reach, bool needs_clock, bool before_passes) {
  const std::string where = "prefetcher '" + printable(name) + "'";
  check_own_name(where, name);
  if (reach < 0 || reach > 10'000)
    throw InputError(where, "reach is not from 0 to 10000", "0: as far as lookahead.distance");
  const OwnParameters parameters(where, std::move(described));
  parameters.check_keys("prefetch", name, sim::built_in_parts().prefetchers.entries());
  sim::PrefetcherEntry entry;
  entry.name = name;
  entry.help = description;
  entry.mechanism = name;
  entry.needs_clock = needs_clock;
  entry.before_passes = before_passes;
  entry.parameters = parameters.described();
  entry.in_flight = [reach](const std::any&, int distance, int layers) {
    return std::min(layers, reach > 0 ? reach : distance);
  };
  entry.make = [name, parameters, reach, needs_clock, kept = held(std::move(factory))](const std::any& values,
                                                                                       int distance) {
    return std::make_unique<PythonPrefetcher>(name, kept, parameters, values, reach > 0 ? reach : distance,
                                              needs_clock);
  };
  add_part(std::move(entry));
}

}  // namespace

void bind_prefetchers(nb::module_& module) {
  nb::class_<AheadView>(module, "Ahead", "Layers of the pass behind the one whose ids are known.")
      .def_prop_ro(
          "layer", [](const AheadView& view) { return view.get().ordinal; },
          "Whose ids are known; before a pass the one before its first.")
      .def_prop_ro(
          "end", [](const AheadView& view) { return view.get().end; }, "The layer behind the pass's last.")
      .def("has", &AheadView::has, nb::arg("layer"),
           "Whether it is ahead, and some of its experts are not resident for the run.")
      .def("layers", &AheadView::layers, nb::arg("reach"),
           "Those of the next `reach` layers for which has().");
  nb::class_<PredictorView>(module, "Predictions", "The policy's predictor.")
      .def("predict", &PredictorView::predict, nb::arg("layer"),
           nb::sig("def predict(self, layer: int) -> list[int]"),
           "Experts of a layer ahead that it names now, the likeliest first.")
      .def("probabilities", &PredictorView::probabilities, nb::sig("def probabilities(self) -> list[float]"),
           "Of those that predict() named last; empty where it does not say.");
  nb::class_<AnnouncedView>(module, "Announced", "What has been announced for layers to come.")
      .def("want", &AnnouncedView::want, nb::arg("layer"), nb::arg("experts"),
           nb::sig("def want(self, layer: int, experts: collections.abc.Iterable[int]) -> None"),
           "Brings these experts in, in this order, or keeps those that are there; without a free slot an "
           "expert is left to its layer's gate.")
      .def("fetched", &AnnouncedView::fetched, nb::arg("layer"),
           nb::sig("def fetched(self, layer: int) -> list[int]"),
           "Copied early for the layer and not dropped since; the copies may not have ended.")
      .def("is_brought", &AnnouncedView::is_brought, nb::arg("layer"), nb::arg("expert"),
           nb::sig("def is_brought(self, layer: int, expert: int) -> bool"),
           "On the GPU already, or its copy is issued.")
      .def("has_arrived", &AnnouncedView::has_arrived, nb::arg("layer"), nb::arg("expert"),
           nb::sig("def has_arrived(self, layer: int, expert: int) -> bool"),
           "Whether the copy of one of fetched() has ended; of parts that need the clock.")
      .def("drop", &AnnouncedView::drop, nb::arg("layer"), nb::arg("expert"),
           nb::sig("def drop(self, layer: int, expert: int) -> bool"),
           "Takes the copy of one of fetched() back, as much of it as has not started. False: it stays. Of "
           "parts "
           "that need the clock.");
  module.def(
      "add_prefetcher", &add_prefetcher, nb::arg("name"), nb::arg("description"), nb::arg("factory"),
      nb::arg("parameters"), nb::arg("reach"), nb::arg("needs_clock"), nb::arg("before_passes"),
      nb::sig("def add_prefetcher(name: str, description: str, factory: object, parameters: "
              "collections.abc.Sequence[tuple[object, ...]], reach: int, needs_clock: bool, before_passes: "
              "bool) -> None"));
}

}  // namespace pregate::python
