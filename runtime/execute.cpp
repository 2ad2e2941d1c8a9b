// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/execute.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "models/error.hpp"
#include "runtime/live_executor.hpp"
#include "sim/cost/low_format.hpp"
#include "sim/cost/price.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/program/copy_plan.hpp"
#include "sim/run/drive.hpp"
#include "sim/run/layer_run.hpp"

namespace pregate::runtime {

namespace {

/// A source that ends early when the user interrupts: the run is then complete up to the last pass.
class Interruptible final : public trace::StepSource {
 public:
  Interruptible(trace::StepSource& source, const std::function<bool()>& interrupted)
      : source_(source), interrupted_(interrupted) {}
  [[nodiscard]] const trace::TraceInfo& info() const override { return source_.info(); }
  bool next(trace::Step& step) override {
    ended_early_ = ended_early_ || (interrupted_ && interrupted_());
    return !ended_early_ && source_.next(step);
  }
  void rewind() override { source_.rewind(); }
  [[nodiscard]] bool ended_early() const { return ended_early_; }

 private:
  trace::StepSource& source_;
  const std::function<bool()>& interrupted_;
  bool ended_early_ = false;
};

/// Declared after the memory that streams work on: when an exception passes, nothing is freed under their
/// hands.
class QuietStreams {
 public:
  explicit QuietStreams(std::vector<Stream*> streams) : streams_(std::move(streams)) {}
  ~QuietStreams() {
    if (std::uncaught_exceptions() == exceptions_) return;  // the last pass was waited for
    for (Stream* stream : streams_) {
      try {
        stream->synchronize();
      } catch (...) {  // another failure is on its way already
      }
    }
  }
  QuietStreams(const QuietStreams&) = delete;
  QuietStreams& operator=(const QuietStreams&) = delete;

 private:
  std::vector<Stream*> streams_;
  int exceptions_ = std::uncaught_exceptions();
};

/// Where nothing says how long work takes: for parts that do not ask.
class NoEstimates final : public sim::Estimates {
 public:
  explicit NoEstimates(std::string policy) : policy_(std::move(policy)) {}
  [[nodiscard]] Picoseconds fetch() const override { refuse(); }
  [[nodiscard]] Picoseconds on_cpu(int, std::int64_t, std::uint32_t) const override { refuse(); }
  [[nodiscard]] Picoseconds near_data(int, std::int64_t, std::uint32_t) const override { refuse(); }
  [[nodiscard]] Picoseconds on_gpu(int, std::uint32_t) const override { refuse(); }
  [[nodiscard]] Picoseconds between_gates(int, std::uint32_t, std::uint32_t) const override { refuse(); }

 private:
  [[noreturn]] void refuse() const {
    throw InputError("policy " + policy_, "decides by the time that work takes, which nothing says here",
                     "name the file that pregate calibrate wrote on this machine: --machine FILE");
  }
  std::string policy_;
};

/// Held back only where something may be taken back or overtaken: that costs the host more.
CopyOrder copy_order(const sim::Plan& plan) {
  if (!plan.policy.transfer.queue->in_order()) return CopyOrder::by_priority;
  return plan.needs_clock() ? CopyOrder::held_back : CopyOrder::at_once;
}

/// Experts in host memory that its tier does not count: of what one layer asks for and announces.
std::int64_t most_on_the_way(const sim::Plan& plan, const sim::TraceScan& scan) {
  const int most =
      std::max({scan.most_activated, scan.most_activated_prefill, scan.most_activated_encoder, 1});
  return 2 * (std::int64_t{most} + plan.buffer_slots) + plan.prefill_slots;
}

std::int64_t working_buffers(const sim::Plan& plan, const sim::TraceScan& scan, const sim::ExpertMap& map) {
  if (plan.policy.transfer.staging_copies == 0) return 0;
  int most = std::max({scan.most_activated, scan.most_activated_prefill, scan.most_activated_encoder, 1});
  if (plan.policy.lookahead.predictor->is_whole_layer) {
    for (const sim::MoeLayer& layer : map.layers()) most = std::max(most, layer.experts);
  }
  // Those that the layer reads, those that it announces, and those that an earlier layer may still read.
  const auto& prefetcher = plan.policy.prefetch.prefetcher;
  const int distance = plan.policy.lookahead.distance;
  const int ahead =
      prefetcher->in_flight(prefetcher.parameters(), distance, static_cast<int>(map.layers().size()));
  return std::int64_t{most} * (std::max(distance, ahead) + 2);
}

void note_attention(const ModelSpec& model, const ModelShape& shape, sim::SimulationResult& result) {
  std::string note = "attention over a KV cache is executed, in " + std::string(to_string(shape.type));
  if (model.kv_format.name != to_string(shape.type))
    note += "; the memory that is planned for it is of " + model.kv_format.name;
  result.notes.push_back(note + "; positions are not encoded");
}

void run(Device& device, const ModelSpec& model, const sim::PreparedTrace& prepared,
         trace::StepSource& source, const ExecuteOptions& options, const sim::Plan& planned,
         Execution& execution) {
  std::optional<ModelSpec> low;
  if (planned.low) low = sim::in_low_format(model, planned.policy);
  const ModelShape shape = model_shape(model, device, low ? &*low : nullptr, options.attention);
  const bool attends = options.attention == Attention::kv_cache;
  const bool has_drive = static_cast<bool>(planned.make_host_tier);
  std::optional<ExpertStore> made, made_low;
  StoreOptions experts = options.experts;
  if (options.store == nullptr) {
    experts.through_host = has_drive;
    if (low) experts.also_wanted = ExpertStore::size_of(shape, sim::low_format, prepared.map(), experts);
    made.emplace(device, shape, prepared.map(), experts, options.seed, options.files);
  }
  const ExpertStore& store = options.store != nullptr ? *options.store : *made;
  execution.distinct_experts = store.buffers();
  if (low) {
    experts.also_wanted = {};
    experts.distinct_experts = store.buffers();  // the same ones in both formats
    made_low.emplace(device, shape, prepared.map(), experts, options.seed, options.files, sim::low_format);
  }
  if (!options.experts.directory.empty()) {
    execution.result.notes.push_back("experts are fetched from a file in '" +
                                     printable(options.experts.directory, 200) +
                                     "', past the page cache, by " + DirectReader().method());
  }
  const auto compute = device.make_stream("compute"), h2d = device.make_stream("h2d"),
             d2h = device.make_stream("d2h");
  const bool uses_cpu = planned.computes_on_cpu() && planned.offloads();
  const auto cpu = uses_cpu ? device.make_stream("cpu") : nullptr;
  std::optional<HostSlots> host_slots;
  sim::Plan plan = planned;
  if (has_drive) {
    host_slots.emplace(device, store, shape, prepared.map().keys(),
                       planned.host_slots + most_on_the_way(planned, prepared.scan()));
    plan.make_host_tier = host_slots->watched(planned.make_host_tier);
  } else if (uses_cpu && !store.in_host_memory()) {
    throw InputError("--experts-on-ssd",
                     "the CPU computes experts from host memory, and these are on a drive",
                     "leave it out, or choose another miss.service");
  }
  const auto drive = has_drive ? device.make_stream("ssd") : nullptr;
  LayerRunner layers(device, *compute, shape, prepared.map(), prepared.scan(), options.seed,
                     attends ? std::optional(cache_room(source)) : std::nullopt);
  if (attends) note_attention(model, shape, execution.result);
  const ExpertArena arena(device, *h2d, store, shape, plan,
                          working_buffers(plan, prepared.scan(), prepared.map()));
  std::optional<HostExperts> on_cpu;
  if (uses_cpu) on_cpu.emplace(device, *compute, layers, shape, prepared.map(), prepared.scan());
  execution.device_memory = layers.resident() + arena.size() + (on_cpu ? on_cpu->size() : Bytes{});

  const sim::CopyPlan copies = sim::copy_plan(model, plan.policy.transfer.chunk);
  std::array<FormatSource, 2> formats{FormatSource{&store, copies}};
  if (low) {
    const PolicySpec of_low = sim::policy_of_low_format(plan.policy, model, *low);
    formats[1] = {&*made_low, sim::copy_plan(*low, of_low.transfer.chunk)};
  }
  LiveOptions live{.recorded_steps = options.recorded_steps,
                   .copies = copy_order(plan),
                   .expected = nullptr,
                   .copies_ahead = options.copies_ahead,
                   .fault = options.fault};
  std::unique_ptr<sim::CostModel> costs;
  std::unique_ptr<sim::Estimates> estimates;
  if (options.prices != nullptr) {
    costs = std::make_unique<sim::CostModel>(model, *options.prices, plan.policy,
                                             sim::CostOptions{.attention_scores = attends});
    estimates = std::make_unique<sim::CostEstimates>(*costs);
    live.expected = [fetch = costs->fetch().duration](sim::OpKind kind) {
      return kind == sim::OpKind::fetch ? fetch : Picoseconds{};
    };
  } else {
    estimates = std::make_unique<NoEstimates>(plan.policy.name);
  }
  const LiveStreams streams{*compute,
                            *h2d,
                            *d2h,
                            cpu.get(),
                            on_cpu ? &*on_cpu : nullptr,
                            drive.get(),
                            host_slots ? &*host_slots : nullptr};
  LiveExecutor executor(execution.result.topology, device, streams, layers, formats, arena, prepared.map(),
                        live);
  if (costs) executor.before_pass = [&](const sim::StepShape& pass) { costs->begin_step(pass); };
  PageLockedMemory read;
  std::int64_t number = 0;
  if (options.outputs) {
    read = device.allocate_page_locked(shape.element * shape.d_model * prepared.scan().most_step_tokens,
                                       "outputs");
    executor.after_pass = [&] {
      const PageLockedSpan rows = read.span().part({}, layers.hidden().size());
      d2h->copy_to_host(rows, layers.hidden());
      d2h->synchronize();
      options.outputs(number++, {rows.data(), static_cast<std::size_t>(rows.size().count)});
    };
  }
  std::vector<Stream*> all_streams{compute.get(), h2d.get(), d2h.get()};
  if (cpu) all_streams.push_back(cpu.get());
  if (drive) all_streams.push_back(drive.get());
  const QuietStreams quiet(std::move(all_streams));
  Interruptible until_interrupted(source, options.interrupted);
  const sim::WorkShape work{.chunks = copies.chunks,
                            .stages = plan.policy.transfer.staging_copies > 0,
                            .step_overhead = options.marks_step_overhead};
  Answers answers;
  AnswersRecorded recorded(executor, answers);
  sim::Executor& asked = plan.needs_clock() ? static_cast<sim::Executor&>(recorded) : executor;
  sim::LayerRun runner(execution.result.topology, prepared.map(), plan, work, estimates.get(), asked);
  for (const sim::SlotUse& use : runner.held_at_start())
    store.fetch_now(device, *h2d, arena.slot(use.slot), use.key);
  h2d->synchronize();
  sim::SimulationOptions lock_step;
  lock_step.progress = options.progress;
  sim::drive_trace(model, prepared, plan, costs ? sim::LayerClassOf(sim::layer_class_of(*costs)) : nullptr,
                   until_interrupted, lock_step, runner, execution.result);
  execution.was_interrupted = execution.result.interrupted = until_interrupted.ended_early();
  if (plan.needs_clock()) execution.answers = std::move(answers);
  execution.issue_time = executor.issue_time();
  execution.result.schedule = executor.ledger().schedule();
  execution.result.timeline = executor.ledger().timeline();
  sim::note_altered_routing(execution.result);
}

}  // namespace

Execution execute(Device& device, const ModelSpec& model, const PolicySpec& policy,
                  const sim::PreparedTrace& prepared, trace::StepSource& source,
                  const ExecuteOptions& options) {
  check_executable(policy);
  if (options.files != nullptr && (options.experts.distinct_experts > 0 || options.store != nullptr)) {
    throw InputError("weights from files", "experts that share buffers cannot have weights of their own",
                     "leave out --distinct-experts");
  }
  if (options.files != nullptr && !policy.formats.low.empty()) {
    throw InputError("weights from files", "experts from files are not packed into blocks, as formats.low is",
                     "take synthetic experts, or leave formats.low out");
  }
  Execution execution;
  const bool has_drive = policy.host_cache.capacity.kind != CapacityKind::none;
  const sim::Topology topology = sim::one_device_topology(policy.transfer.queue->order(), has_drive);
  execution.result.topology = topology;
  execution.result.evidence = sim::Evidence::measured;
  const DeviceInfo& info = device.info();
  const sim::MemoryLimits limits{.name = info.kind + " device",
                                 .gpu = options.memory.count > 0 ? options.memory : info.memory,
                                 .host = std::nullopt,
                                 .other_gpu = {},
                                 .drive = Bytes{std::numeric_limits<std::int64_t>::max()}};
  const std::optional<sim::Plan> plan =
      sim::plan_run(model, limits, policy, prepared, source, sim::CountedExperts::all, execution.result,
                    0);  // passes run whole
  if (!plan) return execution;
  try {
    run(device, model, prepared, source, options, *plan, execution);
    if (options.files != nullptr) {
      for (std::string& note : options.files->notes()) execution.result.notes.push_back(std::move(note));
    }
  } catch (const OutOfMemory& error) {
    execution.result = {};
    execution.result.topology = topology;
    execution.result.policy = policy;
    execution.result.evidence = sim::Evidence::measured;
    execution.result.out_of_memory = true;
    execution.result.out_of_memory_reason = policy.name + ": " + error.what();
  }
  return execution;
}

}  // namespace pregate::runtime
