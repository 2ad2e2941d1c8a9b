// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What the miss service says of each miss of a layer, and who that leaves to be copied or computed.
#include <algorithm>

#include "sim/planner/layer_planner.hpp"

namespace pregate::sim {

void LayerPlanner::decide_misses(const StepRouting& routing) {
  demanded_.clear();
  copied_too_.clear();
  served_.assign(missing_.keys().size(), Serving{});
  Misses misses{missing_.keys(), missing_.tokens(), on_gpu_.keys(), on_gpu_.tokens()};
  misses.begun_ahead = begun_ahead_;
  if (!plan_.marked.empty()) {
    marked_.clear();
    for (const ExpertKey key : missing_.keys()) marked_.push_back(plan_.marked[key]);
    misses.marked = marked_;
  }
  if (asks_weights_) {
    shares_.load(gates_.outcome(ordinal_, routing));
    better_.clear();
    for (const std::uint32_t place : missing_place_) better_.push_back(shares_.better(place));
    misses.better = better_;
  }
  if (plan_.policy.miss.service->substitutes) {
    find_idle(routing.activated(ordinal_));
    misses.idle = idle_;
  }
  if (service_) service_->decide(moment(), misses, served_);
  for (std::size_t i = 0; i < served_.size(); ++i) {
    const ExpertKey key = missing_.keys()[i];
    const std::uint32_t tokens = missing_.tokens()[i];
    if (low_ && serve_in_low_format(served_[i], key, tokens)) continue;
    switch (served_[i].service) {
      case Service::fetch:
        on_gpu_.add(key, tokens);
        demanded_.push_back(key);
        break;
      case Service::compute:
        remote_.add(served_[i].place, key, tokens);
        if (served_[i].is_copied_too) copied_too_.push_back(key);
        break;
      case Service::read:
        read_.add(key, tokens);
        ++counts_now_->read_through;
        break;
      case Service::skip:
        ++counts_now_->dropped;
        break;
      case Service::substitute:
        take_in_place(served_[i], tokens);
        ++counts_now_->substituted;
        break;
    }
  }
}

/// Into cacheable_, as the cache sees them where every miss is fetched: in router order. Stand-ins come last.
void LayerPlanner::put_demanded_in_order(std::span<const ExpertKey> activated) {
  in_order_.clear();
  std::size_t hit = 0, demanded = 0;
  for (const ExpertKey key : activated) {
    if (demanded < demanded_.size() && demanded_[demanded] == key) {
      in_order_.push_back(key);
      ++demanded;
    } else if (hit < cacheable_.size() && cacheable_[hit] == key) {
      in_order_.push_back(key);
      ++hit;
    }
  }
  in_order_.insert(in_order_.end(), cacheable_.begin() + static_cast<std::ptrdiff_t>(hit), cacheable_.end());
  cacheable_.swap(in_order_);
}

/// Of the pool of the second format: what is asked for in it, and what it has and nobody need copy.
bool LayerPlanner::serve_in_low_format(const Serving& serving, ExpertKey key, std::uint32_t tokens) {
  const bool asked = serving.service == Service::fetch && serving.format == low_format;
  const bool is_there = low_->holds(key);
  const bool serves =
      serving.service == Service::skip || (serving.service == Service::fetch && plan_.policy.formats.degrade);
  if (!asked && !(is_there && serves)) return false;
  low_->use(key, tokens);
  ++(is_there ? counts_now_->low_hits : counts_now_->low_fetched);
  found_low_ += is_there ? 1U : 0U;
  return true;
}

/// Who is computed was used, as the cache sees it.
void LayerPlanner::take_in_place(const Serving& serving, std::uint32_t tokens) {
  if (on_gpu_.add_tokens(serving.instead, tokens)) return;
  on_gpu_.add(serving.instead, tokens);
  if (plan_.resident[serving.instead] == 0) cacheable_.push_back(serving.instead);
}

/// Experts of the layer that the GPU has and the pass does not activate.
void LayerPlanner::find_idle(std::span<const ExpertKey> activated) {
  idle_.clear();
  const MoeLayer& layer = map_.layers()[static_cast<std::size_t>(ordinal_)];
  for (int i = 0; i < layer.experts; ++i) {
    const ExpertKey key = layer.first_key + static_cast<ExpertKey>(i);
    const bool is_there =
        plan_.resident[key] != 0 || (cache_ && cache_->is_resident(key) && slots_.holds(key));
    if (is_there && std::find(activated.begin(), activated.end(), key) == activated.end())
      idle_.push_back(key);
  }
}

}  // namespace pregate::sim
