// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/served_load.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "models/error.hpp"
#include "traces/locality.hpp"

namespace pregate::validation {

namespace {

constexpr int pool_requests = 32, pool_tokens = 64;  // decode tokens of each

class Load final : public trace::StepSource {
 public:
  Load(std::shared_ptr<const ServedPool> pool, const ServedLoad& load)
      : info_(pool->shape), pool_(std::move(pool)) {
    for (const trace::TraceLayer& layer : info_.layers) entries_ += static_cast<std::size_t>(layer.top_k);
    top_k_ = static_cast<std::size_t>(info_.layers.front().top_k);
    pooled_ = pool_->experts.size() / entries_;
    // The generator's numbers are the standard's; a distribution's are not.
    std::mt19937_64 random(load.seed);
    const auto length = [&](int longest) {
      const int least = std::max(1, static_cast<int>(std::floor(longest * load.shortest)));
      return least + static_cast<int>(random() % static_cast<std::uint64_t>(longest - least + 1));
    };
    info_.requests = load.requests;
    info_.steps = info_.tokens = info_.routed_entries = 0;
    for (int i = 0; i < load.requests; ++i) {
      const int input = length(load.input);
      const int output = length(load.output);
      requests_.push_back({input, output, static_cast<std::size_t>(random() % pooled_)});
      info_.steps += output;
      info_.tokens += input + output - 1;
    }
    info_.routed_entries = info_.tokens * static_cast<std::int64_t>(entries_);
    info_.content_hash.clear();
  }

  [[nodiscard]] const trace::TraceInfo& info() const override { return info_; }
  void rewind() override { request_ = step_ = 0; }

  /// The prompt's pass brings the first token of the output.
  bool next(trace::Step& step) override {
    if (request_ == requests_.size()) return false;
    const Request& request = requests_[request_];
    step = {};
    step.request = static_cast<std::int64_t>(request_);
    step.index = static_cast<std::int64_t>(step_);
    step.phase = step_ == 0 ? trace::Phase::prefill : trace::Phase::decode;
    step.tokens = step_ == 0 ? request.input : 1;
    step.position = step_ == 0 ? 0 : request.input + static_cast<int>(step_) - 1;
    step.first_of_request = step_ == 0;
    fill(request.first + static_cast<std::size_t>(step.position), static_cast<std::size_t>(step.tokens));
    step.experts = experts_;
    if (++step_ == static_cast<std::size_t>(request.output)) ++request_, step_ = 0;
    return true;
  }

 private:
  struct Request {
    int input = 1, output = 1;
    std::size_t first = 0;  ///< token of the pool
  };

  void fill(std::size_t first, std::size_t tokens) {
    experts_.resize(tokens * entries_);
    for (std::size_t token = 0; token < tokens; ++token) {
      const std::uint16_t* from = &pool_->experts[(first + token) % pooled_ * entries_];
      for (std::size_t layer = 0; layer * top_k_ < entries_; ++layer)
        std::copy_n(from + layer * top_k_, top_k_, &experts_[(layer * tokens + token) * top_k_]);
    }
  }

  trace::TraceInfo info_;
  std::shared_ptr<const ServedPool> pool_;
  std::vector<std::uint16_t> experts_;
  std::size_t entries_ = 0, top_k_ = 0, pooled_ = 0;
  std::vector<Request> requests_;
  std::size_t request_ = 0, step_ = 0;
};

}  // namespace

std::shared_ptr<const ServedPool> served_pool(const ModelSpec& model, std::uint64_t seed) {
  require_uniform_moe(model, "a served load");
  if (model.stacks.size() != 1) throw InputError("served load", model.name + " has an encoder");
  const auto generated =
      trace::generate(trace::shaped_profile(model, trace::load_locality("typical"),
                                            {.prompt_tokens = 1, .output_tokens = pool_tokens}),
                      pool_requests, seed);
  auto pool = std::make_shared<ServedPool>();
  pool->shape = generated->info();
  for (trace::Step step; generated->next(step);) {
    if (step.phase == trace::Phase::decode)
      pool->experts.insert(pool->experts.end(), step.experts.begin(), step.experts.end());
  }
  return pool;
}

std::unique_ptr<trace::StepSource> served_load(std::shared_ptr<const ServedPool> pool,
                                               const ServedLoad& load) {
  return std::make_unique<Load>(std::move(pool), load);
}

}  // namespace pregate::validation
