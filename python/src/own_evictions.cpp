// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Eviction policies of the user's own: objects of Python, called with the interpreter's lock, or compiled
// functions (numba's @cfunc, ctypes), called as they are.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/error.hpp"
#include "python/src/bindings.hpp"
#include "python/src/own_parameters.hpp"
#include "python/src/running.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/policy/policy_fields.hpp"

namespace nb = nanobind;

namespace pregate::python {

namespace {

using cache::CacheGeometry;
using cache::Evictable;
using cache::ExpertKey;

/// A key as (MoE layer counted from 0, expert of it).
class Places {
 public:
  explicit Places(const CacheGeometry& geometry) : layers_(geometry.keys()), experts_(geometry.keys()) {
    std::vector<ExpertKey> first;
    for (const cache::CachedLayer& layer : geometry.layers) first.push_back(layer.first_key);
    if (first.empty()) first.assign(geometry.first_key.begin(), geometry.first_key.end() - 1);
    std::size_t layer = 0;
    for (ExpertKey key = 0; key < geometry.keys(); ++key) {
      while (layer + 1 < first.size() && key >= first[layer + 1]) ++layer;
      layers_[key] = static_cast<std::uint32_t>(layer);
      experts_[key] = key - first[layer];
    }
    layer_count_ = static_cast<std::uint32_t>(first.size());
  }
  [[nodiscard]] std::uint32_t layer(ExpertKey key) const { return layers_[key]; }
  [[nodiscard]] std::uint32_t expert(ExpertKey key) const { return experts_[key]; }
  [[nodiscard]] std::uint32_t layers() const { return layer_count_; }

 private:
  std::vector<std::uint32_t> layers_, experts_;
  std::uint32_t layer_count_ = 0;
};

/// The residents of each domain, the one that was admitted first in front.
class Residents {
 public:
  explicit Residents(const CacheGeometry& geometry) : of_domain_(geometry.domains) {}
  void insert(std::uint32_t domain, ExpertKey key) { of_domain_[domain].push_back(key); }
  void evict(std::uint32_t domain, ExpertKey key) {
    std::vector<ExpertKey>& keys = of_domain_[domain];
    keys.erase(std::find(keys.begin(), keys.end(), key));
  }
  /// Those that may leave; valid until the next call.
  const std::vector<ExpertKey>& candidates(std::uint32_t domain, const Evictable& evictable) {
    const std::vector<ExpertKey>& residents = of_domain_[domain];
    candidates_.resize(residents.size());
    std::size_t count = 0;
    for (const ExpertKey key : residents) {  // who may not leave is overwritten
      candidates_[count] = key;
      count += static_cast<std::size_t>(evictable(key));
    }
    candidates_.resize(count);
    return candidates_;
  }

 private:
  std::vector<std::vector<ExpertKey>> of_domain_;
  std::vector<ExpertKey> candidates_;
};

/// An object of a class of the user's: victim(layer, candidates), and as it likes hit(layer, expert),
/// miss(layer, expert) and end_batch(layer, experts).
class PythonEviction {
 public:
  PythonEviction(const CacheGeometry& geometry, const std::string& name, const Held& factory,
                 const OwnParameters& parameters)
      : name_(name),
        is_global_(geometry.domains == 1 && geometry.layers.size() > 1),
        places_(geometry),
        residents_(geometry) {
    with_python([&] {
      object_ = held((*factory)(**parameters.arguments(geometry.parameters)));
      hit_ = method_of(*object_, "hit");
      miss_ = method_of(*object_, "miss");
      end_batch_ = method_of(*object_, "end_batch");
      victim_ = held(object_->attr("victim"));
    });
  }
  void hit(std::uint32_t, ExpertKey key) { tell(hit_, key); }
  void miss(std::uint32_t, ExpertKey key) { tell(miss_, key); }
  void end_batch(std::uint32_t, std::span<const ExpertKey> activated, const std::vector<std::uint8_t>&) {
    if (!end_batch_ || activated.empty()) return;
    with_python([&] {
      nb::list experts;
      for (const ExpertKey key : activated) experts.append(nb::int_(places_.expert(key)));
      (*end_batch_)(places_.layer(activated.front()), experts);
    });
  }
  void insert(std::uint32_t domain, ExpertKey key) { residents_.insert(domain, key); }
  void evict(std::uint32_t domain, ExpertKey key) { residents_.evict(domain, key); }
  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) {
    const std::vector<ExpertKey>& candidates = residents_.candidates(domain, evictable);
    if (candidates.empty()) return cache::no_key;
    ExpertKey leaving = cache::no_key;
    with_python([&] {
      nb::list offered;
      for (const ExpertKey key : candidates) offered.append(shown(key));
      const nb::object answer = (*victim_)(places_.layer(incoming), offered);
      if (answer.is_none()) {
        leaving = incoming;
        return;
      }
      for (const ExpertKey key : candidates) {
        if (answer.equal(shown(key))) leaving = key;
      }
      if (leaving == cache::no_key) {
        const std::string said = nb::repr(answer).c_str();
        throw InputError("eviction '" + name_ + "'",
                         "victim() returned " + printable(said) + ", which is no candidate",
                         "return one of the candidates, or None to leave the new expert out");
      }
    });
    return leaving;
  }

 private:
  [[nodiscard]] nb::object shown(ExpertKey key) const {
    if (is_global_) return nb::make_tuple(places_.layer(key), places_.expert(key));
    return nb::int_(places_.expert(key));
  }
  void tell(const Held& method, ExpertKey key) {
    if (!method) return;
    with_python([&] { (*method)(places_.layer(key), places_.expert(key)); });
  }

  std::string name_;
  bool is_global_;
  Places places_;
  Residents residents_;
  Held object_, hit_, miss_, end_batch_, victim_;
};

/// Compiled functions, and the numbers that they keep: `state` of each expert, zero at first, in one array of
/// doubles [layers, experts of a layer, state]; of layers of unequal size each row is as long as the largest.
struct EvictionFunctions {
  using Tell = void (*)(double* state, std::int64_t width, std::int64_t layer, std::int64_t expert);
  /// Which of `count` candidates leaves, or a negative number: the new expert stays out. `candidates` are
  /// rows of the array, layer x width + expert.
  using Choose = std::int64_t (*)(double* state, std::int64_t width, std::int64_t layer,
                                  const std::int64_t* candidates, std::int64_t count);
  /// The batch's activated experts in router order, as rows of the array.
  using End = void (*)(double* state, std::int64_t width, std::int64_t layer, const std::int64_t* experts,
                       std::int64_t count);
  std::string name;
  Tell hit = nullptr, miss = nullptr;  // null: not wanted
  End end_batch = nullptr;             // null: not wanted
  Choose victim = nullptr;
  std::size_t state = 1;
};

class CompiledEviction {
 public:
  CompiledEviction(const CacheGeometry& geometry, const EvictionFunctions& functions)
      : functions_(functions), places_(geometry), residents_(geometry) {
    for (ExpertKey key = 0; key < geometry.keys(); ++key)
      width_ = std::max<std::int64_t>(width_, places_.expert(key) + 1);
    state_.assign(static_cast<std::size_t>(width_) * places_.layers() * functions.state, 0);
    row_of_.resize(geometry.keys());
    for (ExpertKey key = 0; key < geometry.keys(); ++key)
      row_of_[key] = places_.layer(key) * width_ + places_.expert(key);
  }
  void hit(std::uint32_t, ExpertKey key) {
    if (functions_.hit != nullptr)
      functions_.hit(state_.data(), width_, places_.layer(key), places_.expert(key));
  }
  void miss(std::uint32_t, ExpertKey key) {
    if (functions_.miss != nullptr)
      functions_.miss(state_.data(), width_, places_.layer(key), places_.expert(key));
  }
  void end_batch(std::uint32_t, std::span<const ExpertKey> activated, const std::vector<std::uint8_t>&) {
    if (functions_.end_batch == nullptr || activated.empty()) return;
    set_rows(activated);
    functions_.end_batch(state_.data(), width_, places_.layer(activated.front()), rows_.data(),
                         static_cast<std::int64_t>(rows_.size()));
  }
  void insert(std::uint32_t domain, ExpertKey key) { residents_.insert(domain, key); }
  void evict(std::uint32_t domain, ExpertKey key) { residents_.evict(domain, key); }
  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) {
    const std::vector<ExpertKey>& candidates = residents_.candidates(domain, evictable);
    if (candidates.empty()) return cache::no_key;
    set_rows(candidates);
    const auto count = static_cast<std::int64_t>(rows_.size());
    const std::int64_t chosen =
        functions_.victim(state_.data(), width_, places_.layer(incoming), rows_.data(), count);
    if (chosen < 0) return incoming;
    if (chosen >= count) {
      throw InputError(
          "eviction '" + functions_.name + "'",
          "victim() returned " + std::to_string(chosen) + " of " + std::to_string(count) + " candidates",
          "return an index of candidates, or a negative number to leave the new expert out");
    }
    return candidates[static_cast<std::size_t>(chosen)];
  }

 private:
  void set_rows(std::span<const ExpertKey> keys) {
    rows_.resize(keys.size());
    std::transform(keys.begin(), keys.end(), rows_.begin(), [&](ExpertKey key) { return row_of_[key]; });
  }

  EvictionFunctions functions_;
  Places places_;
  Residents residents_;
  std::int64_t width_ = 0;
  std::vector<double> state_;
  std::vector<std::int64_t> rows_, row_of_;  // of what is handed over; by key
};

std::string where_of_eviction(const std::string& name) { return "eviction '" + printable(name) + "'"; }

void add_eviction(cache::EvictionEntry entry) {
  check_own_name(where_of_eviction(entry.name), entry.name);
  cache::add_own_eviction(std::move(entry));
  describe_own_parts();
}

void add_python_eviction(const std::string& name, const std::string& description, nb::object factory,
                         nb::list described) {
  const OwnParameters parameters(where_of_eviction(name), std::move(described));
  for (const char* table : {"cache", "host_cache"})
    parameters.check_keys(table, name, cache::eviction_registry().entries());
  cache::EvictionEntry entry;
  entry.name = name;
  entry.description = description;
  entry.parameters = parameters.described();
  entry.make_general = [name, parameters, kept = held(std::move(factory))](const CacheGeometry& geometry) {
    return cache::make_cache_with(geometry, PythonEviction(geometry, name, kept, parameters));
  };
  add_eviction(std::move(entry));
}

void add_compiled_eviction(const std::string& name, const std::string& description, std::uintptr_t hit,
                           std::uintptr_t miss, std::uintptr_t end_batch, std::uintptr_t victim,
                           std::int64_t state) {
  if (victim == 0)
    throw InputError(where_of_eviction(name), "victim has address 0", "give a cfunc, or its .address");
  if (state < 1 || state > 1024)
    throw InputError(where_of_eviction(name), "state is not from 1 to 1024", "numbers an expert");
  const EvictionFunctions functions{name,
                                    reinterpret_cast<EvictionFunctions::Tell>(hit),
                                    reinterpret_cast<EvictionFunctions::Tell>(miss),
                                    reinterpret_cast<EvictionFunctions::End>(end_batch),
                                    reinterpret_cast<EvictionFunctions::Choose>(victim),
                                    static_cast<std::size_t>(state)};
  cache::EvictionEntry entry;
  entry.name = name;
  entry.description = description;
  entry.make_general = [functions](const CacheGeometry& geometry) {
    return cache::make_cache_with(geometry, CompiledEviction(geometry, functions));
  };
  add_eviction(std::move(entry));
}

}  // namespace

void bind_evictions(nb::module_& module) {
  module.def("add_eviction", &add_python_eviction, nb::arg("name"), nb::arg("description"),
             nb::arg("factory"), nb::arg("parameters"),
             nb::sig("def add_eviction(name: str, description: str, factory: object, parameters: "
                     "collections.abc.Sequence[tuple[object, ...]]) -> None"));
  module.def("add_compiled_eviction", &add_compiled_eviction, nb::arg("name"), nb::arg("description"),
             nb::arg("hit"), nb::arg("miss"), nb::arg("end_batch"), nb::arg("victim"), nb::arg("state"));
  // What they hold of Python's must go before the interpreter does.
  module.def("forget_evictions", &cache::forget_own_evictions);
  module.def("eviction_names", [] {
    std::vector<std::string> names;
    for (const cache::EvictionEntry& entry : cache::eviction_registry().entries())
      names.push_back(entry.name);
    return names;
  });
}

}  // namespace pregate::python
