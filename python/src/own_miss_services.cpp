// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Miss services of the user's own: objects of Python.
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
using sim::Service;
using sim::Serving;

/// What may be done about a miss, as Python names it.
constexpr const char* service_names[] = {"fetch",     "fetch-low", "cpu",  "cpu+copy",
                                         "near-data", "read",      "skip", "substitute"};

/// The experts that a layer misses.
class MissesView {
 public:
  void lend(const sim::Misses& misses, const sim::Moment& moment) {
    at_ = &misses;
    moment_ = &moment;
  }
  void take_back() { at_ = nullptr; }
  [[nodiscard]] const sim::Misses& get() const {
    if (at_ == nullptr) fail_after_call("misses");
    return *at_;
  }
  [[nodiscard]] nb::list experts(std::span<const ExpertKey> keys) const {
    return experts_of(*moment_->map, moment_->ordinal, keys);
  }

 private:
  const sim::Misses* at_ = nullptr;
  const sim::Moment* moment_ = nullptr;
};

/// An object of a class of the user's: decide(moment, misses), which returns what becomes of each.
class PythonMissService final : public sim::MissService {
 public:
  PythonMissService(const std::string& name, const Held& factory, const OwnParameters& parameters,
                    const std::any& values, std::vector<std::string> allowed)
      : where_("miss service '" + name + "'"), allowed_(std::move(allowed)) {
    with_python([&] {
      object_ = held((*factory)(**parameters.arguments(values)));
      decide_ = held(object_->attr("decide"));
      moment_.make();
      misses_.make();
    });
  }
  void decide(const sim::Moment& moment, const sim::Misses& misses, std::span<Serving> of_each) override {
    with_python([&] {
      const Handed<MomentView>::Lent moment_lent(moment_, moment);
      const Handed<MissesView>::Lent misses_lent(misses_, misses, moment);
      const nb::object answer = (*decide_)(moment_.object(), misses_.object());
      if (answer.is_none()) {
        if (of_each.empty()) return;
        fail("decide() returned None");
      }
      std::size_t i = 0;
      for (const nb::handle each : nb::iter(answer)) {
        if (i == of_each.size()) fail("decide() returned more than " + std::to_string(i));
        of_each[i++] = serving_of(each, moment, misses);
      }
      if (i != of_each.size())
        fail("decide() returned " + std::to_string(i) + " of " + std::to_string(of_each.size()));
    });
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw InputError(
        where_, problem,
        "one for each of misses.experts, in their order: " + std::string("'") + allowed_.front() + "', …");
  }
  /// A name, or ("substitute", expert).
  [[nodiscard]] Serving serving_of(nb::handle answer, const sim::Moment& moment,
                                   const sim::Misses& misses) const {
    const bool is_pair = nb::isinstance<nb::tuple>(answer) && nb::len(answer) == 2;
    const nb::object named = is_pair ? answer[0] : nb::borrow(answer);
    const std::string name = nb::isinstance<nb::str>(named) ? nb::cast<std::string>(named) : "";
    if (std::find(allowed_.begin(), allowed_.end(), name) == allowed_.end() ||
        is_pair != (name == "substitute")) {
      const std::string said = nb::repr(answer).c_str();
      std::string known;
      for (const std::string& each : allowed_) known += (known.empty() ? "" : ", ") + each;
      throw InputError(where_, "decide() returned " + printable(said) + ", which it did not say it would",
                       "register it with services=(…): it has " + known +
                           (is_pair ? "" : "; substitute goes with an expert, ('substitute', 3)"));
    }
    if (name == "cpu") return sim::computed_at(moment.cpu);
    if (name == "cpu+copy") return {.service = Service::compute, .place = moment.cpu, .is_copied_too = true};
    if (name == "near-data")
      return sim::computed_at(moment.topology->beside(moment.cpu, sim::PlaceKind::near_data));
    if (name == "read") return {.service = Service::read};
    if (name == "skip") return {.service = Service::skip};
    if (name == "fetch-low") return {.format = sim::low_format};
    if (name == "fetch") return {};
    const nb::object expert = answer[1];
    const ExpertKey instead = key_of(*moment.map, moment.ordinal, expert, where_);
    if (std::find(misses.idle.begin(), misses.idle.end(), instead) == misses.idle.end())
      throw InputError(where_, "decide() substitutes an expert that is not one of misses.idle");
    return {.service = Service::substitute, .instead = instead};
  }

  std::string where_;
  std::vector<std::string> allowed_;
  Held object_, decide_;
  Handed<MomentView> moment_;
  Handed<MissesView> misses_;
};

void add_miss_service(const std::string& name, const std::string& description, nb::object factory,
                      nb::list described, const std::vector<std::string>& services, bool needs_clock,
                      bool needs_weights) {
  const std::string where = "miss service '" + printable(name) + "'";
  check_own_name(where, name);
  const auto has = [&](const char* service) {
    return std::find(services.begin(), services.end(), service) != services.end();
  };
  for (const std::string& service : services) {
    if (std::find(std::begin(service_names), std::end(service_names), service) == std::end(service_names)) {
      std::string known;
      for (const char* each : service_names) known += (known.empty() ? "" : ", ") + std::string(each);
      throw InputError(where, "services has '" + printable(service) + "'", "of: " + known);
    }
  }
  if (services.empty()) throw InputError(where, "services is empty", "e.g. services=('fetch', 'cpu')");
  const OwnParameters parameters(where, std::move(described));
  parameters.check_keys("miss", name, sim::built_in_parts().miss_services.entries());
  sim::MissServiceEntry entry;
  entry.name = name;
  entry.help = description;
  entry.mechanism = "misses by " + name;
  entry.fetches = has("fetch") || has("fetch-low");
  entry.uses_cpu = has("cpu") || has("cpu+copy");
  entry.copies_too = has("cpu+copy");
  entry.uses_near_data = has("near-data");
  entry.drops = has("skip");
  entry.uses_low_format = has("fetch-low");
  entry.substitutes = has("substitute");
  entry.needs_clock = needs_clock;
  entry.needs_weights = needs_weights;
  entry.parameters = parameters.described();
  if (has("read")) entry.read_rate = [](const std::any&) { return BytesPerSecond{}; };
  entry.make = [name, services, parameters, kept = held(std::move(factory))](const std::any& values) {
    return std::make_unique<PythonMissService>(name, kept, parameters, values, services);
  };
  add_part(std::move(entry));
}

}  // namespace

void bind_miss_services(nb::module_& module) {
  const auto numbers = [](const MissesView& view, auto member) { return list_of(view.get().*member); };
  nb::class_<MissesView>(module, "Misses", "The experts that a layer misses.")
      .def("__len__", [](const MissesView& view) { return view.get().keys.size(); })
      .def_prop_ro(
          "experts", [](const MissesView& view) { return view.experts(view.get().keys); },
          nb::sig("def experts(self, /) -> list[int]"), "In router order.")
      .def_prop_ro(
          "tokens", [numbers](const MissesView& view) { return numbers(view, &sim::Misses::tokens); },
          nb::sig("def tokens(self, /) -> list[int]"), "Of each.")
      .def_prop_ro(
          "there", [](const MissesView& view) { return view.experts(view.get().there_keys); },
          nb::sig("def there(self, /) -> list[int]"), "Activated experts that are on the GPU.")
      .def_prop_ro(
          "there_tokens",
          [numbers](const MissesView& view) { return numbers(view, &sim::Misses::there_tokens); },
          nb::sig("def there_tokens(self, /) -> list[int]"), "Of each of those.")
      .def_prop_ro(
          "better", [numbers](const MissesView& view) { return numbers(view, &sim::Misses::better); },
          nb::sig("def better(self, /) -> list[float]"),
          "Of services that need weights, by miss: what the router gave to better-ranked experts of the "
          "token "
          "that wants it most, as a share of all that it gave that token.")
      .def_prop_ro(
          "idle", [](const MissesView& view) { return view.experts(view.get().idle); },
          nb::sig("def idle(self, /) -> list[int]"),
          "Of services that substitute: experts of the layer that are on the GPU and that it does not "
          "activate.");
  module.def("add_miss_service", &add_miss_service, nb::arg("name"), nb::arg("description"),
             nb::arg("factory"), nb::arg("parameters"), nb::arg("services"), nb::arg("needs_clock"),
             nb::arg("needs_weights"),
             nb::sig("def add_miss_service(name: str, description: str, factory: object, parameters: "
                     "collections.abc.Sequence[tuple[object, ...]], services: collections.abc.Sequence[str], "
                     "needs_clock: bool, needs_weights: bool) -> None"));
}

}  // namespace pregate::python
