// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "sim/report/metric_lists.hpp"
#include "sim/report/shares.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::sim {

namespace {

using Result = SimulationResult;
using Value = MetricValue;

CacheResult cache_of_all_phases(const Result& result) {
  CacheResult all = result.decode_cache;
  const CacheResult& other = result.other_cache;
  all.hits += other.hits;
  all.misses += other.misses;
  all.prefetched += other.prefetched;
  all.wasted += other.wasted;
  all.computed_on_cpu += other.computed_on_cpu;
  all.written_back += other.written_back;
  all.drive_reads += other.drive_reads;
  all.near_data += other.near_data;
  all.read_through += other.read_through;
  all.dropped += other.dropped;
  all.substituted += other.substituted;
  all.computed_ahead += other.computed_ahead;
  all.low_hits += other.low_hits;
  all.low_fetched += other.low_fetched;
  return all;
}

Value where_any(std::int64_t count) { return count > 0 ? Value(count) : Value(); }

double copied_bytes_per_token(const Result& result) {
  return result.output_tokens > 0
             ? static_cast<double>(result.tally.fetched.count) / static_cast<double>(result.output_tokens)
             : 0;
}

std::vector<Metric> time_metrics() {
  return {
      {.name = "tokens_per_s",
       .unit = "1/s",
       .help = "output tokens over the time of the run",
       .value = [](const Result& r) -> Value { return r.tokens_per_second(); },
       .csv = "tokens_per_s",
       .table = TableColumn{.head = "tokens/s", .best = Best::most, .print = three_digits}},
      {.name = "decode_tokens_per_s",
       .unit = "1/s",
       .help = "output tokens over the time of the decode steps",
       .value = [](const Result& r) -> Value { return r.decode_tokens_per_second(); },
       .csv = "decode_tokens_per_s",
       .table = TableColumn{.head = "decode/s", .best = Best::most, .print = three_digits}},
      {.name = "ttft_ms",
       .unit = "ms",
       .help =
           "mean over the requests that begin with a prefill or an encoder pass; null when there are none",
       .value = [](const Result& r) -> Value {
         return r.requests_with_prompt > 0 ? r.ttft_ms : std::numeric_limits<double>::quiet_NaN();
       },
       .csv = "ttft_ms",
       .table = TableColumn{.head = "TTFT ms", .best = Best::least, .rank = 3, .print = three_digits}},
      {.name = "tpot_ms",
       .unit = "ms",
       .help = "mean over the requests with more than one token",
       .value = [](const Result& r) -> Value { return r.tpot_ms; },
       .csv = "tpot_ms",
       .table = TableColumn{.head = "TPOT ms", .best = Best::least, .rank = 7, .print = three_digits}},
      {.name = "block_latency_ms.mean",
       .unit = "ms",
       .help =
           "block latency, mean: of a MoE layer, from the start of attention to the end of its last experts",
       .value = [](const Result& r) -> Value { return r.tally.block_latency.mean_ms(); },
       .csv = "block_mean_ms",
       .table = TableColumn{.head = "block ms", .best = Best::least, .rank = 5, .print = three_digits}},
      {.name = "block_latency_ms.p50",
       .unit = "ms",
       .help = "block latency, median",
       .value = [](const Result& r) -> Value { return r.tally.block_latency.percentile_ms(0.50); },
       .csv = "block_p50_ms"},
      {.name = "block_latency_ms.p95",
       .unit = "ms",
       .help = "block latency, 95th percentile",
       .value = [](const Result& r) -> Value { return r.tally.block_latency.percentile_ms(0.95); },
       .csv = "block_p95_ms"},
      {.name = "block_latency_ms.p99",
       .unit = "ms",
       .help = "block latency, 99th percentile",
       .value = [](const Result& r) -> Value { return r.tally.block_latency.percentile_ms(0.99); },
       .csv = "block_p99_ms",
       .table = TableColumn{.head = "p99", .best = Best::least, .rank = 8, .print = three_digits}},
      {.name = "block_latency_ms.blocks",
       .unit = "",
       .help = "MoE layers whose latency is taken",
       .value = [](const Result& r) -> Value { return r.tally.block_latency.count(); }},
  };
}

/// Whether the activated experts were there, under `key`.
std::vector<Metric> hit_metrics(const std::string& key, const std::string& of,
                                CacheResult (*counts)(const Result&)) {
  return {
      {.name = key + ".hits",
       .unit = "",
       .help = "activated experts that were there, " + of,
       .value = [counts](const Result& r) -> Value { return counts(r).hits; }},
      {.name = key + ".misses",
       .unit = "",
       .help = "activated experts that were not, " + of,
       .value = [counts](const Result& r) -> Value { return counts(r).misses; }},
      {.name = key + ".hit_rate",
       .unit = "0 to 1",
       .help = "hits among the activated",
       .value = [counts](const Result& r) -> Value { return counts(r).hit_rate(); }},
      {.name = key + ".prefetched",
       .unit = "",
       .help = "misses whose copy was issued before their own gate was known",
       .value = [counts](const Result& r) -> Value { return counts(r).prefetched; }},
      {.name = key + ".wasted_fetches",
       .unit = "",
       .help = "copied for a layer that did not use them",
       .value = [counts](const Result& r) -> Value { return counts(r).wasted; }},
  };
}

/// What became of those that were not.
std::vector<Metric> miss_metrics(const std::string& key, CacheResult (*counts)(const Result&)) {
  return {
      {.name = key + ".computed_on_cpu",
       .unit = "",
       .help = "misses that the CPU computed; absent without any",
       .value = [counts](const Result& r) { return where_any(counts(r).computed_on_cpu); }},
      {.name = key + ".written_back",
       .unit = "",
       .help = "experts copied back to host memory; absent without any",
       .value = [counts](const Result& r) { return where_any(counts(r).written_back); }},
      {.name = key + ".drive_reads",
       .unit = "",
       .help = "experts read from a drive, as the host's memory lacked them; absent without any",
       .value = [counts](const Result& r) { return where_any(counts(r).drive_reads); }},
      {.name = key + ".computed_near_data",
       .unit = "",
       .help = "misses that a near-data device computed; absent without any",
       .value = [counts](const Result& r) { return where_any(counts(r).near_data); }},
      {.name = key + ".read_through",
       .unit = "",
       .help = "misses that the GPU's kernels read over the link; absent without any",
       .value = [counts](const Result& r) { return where_any(counts(r).read_through); }},
      {.name = key + ".computed_ahead",
       .unit = "",
       .help =
           "of those that the CPU computed, begun early from another layer's input, so that the result is "
           "not exact; absent without any",
       .value = [counts](const Result& r) { return where_any(counts(r).computed_ahead); }},
      {.name = key + ".dropped",
       .unit = "",
       .help = "misses that nobody computed, so that the result is not exact; absent without any",
       .value = [counts](const Result& r) { return where_any(counts(r).dropped); }},
      {.name = key + ".substituted",
       .unit = "",
       .help = "misses in whose place another expert was computed: not exact; absent without any",
       .value = [counts](const Result& r) { return where_any(counts(r).substituted); }},
      {.name = key + ".low_format_hits",
       .unit = "",
       .help = "of the hits, computed in formats.low; absent without any",
       .value = [counts](const Result& r) { return where_any(counts(r).low_hits); }},
      {.name = key + ".low_format_fetches",
       .unit = "",
       .help = "of the misses, copied in formats.low; absent without any",
       .value = [counts](const Result& r) { return where_any(counts(r).low_fetched); }},
  };
}

std::vector<Metric> traffic_metrics() {
  return {
      {.name = "hit_rate",
       .unit = "0 to 1",
       .help = "of decode steps (of all, in a trace without)",
       .value = [](const Result& r) -> Value { return hit_rate(r); },
       .csv = "hit_rate",
       .table = TableColumn{.head = "hits", .rank = 4, .print = percent},
       .in_json = false},
      {.name = "h2d_bytes",
       .unit = "bytes",
       .help = "copied to the GPU in the run",
       .value = [](const Result& r) -> Value { return r.tally.fetched.count; },
       .csv = "h2d_bytes"},
      {.name = "h2d_bytes_per_token",
       .unit = "bytes",
       .help = "copied to the GPU, by output token",
       .value = [](const Result& r) -> Value { return copied_bytes_per_token(r); },
       .table =
           TableColumn{
               .head = "MiB/tok", .best = Best::least, .rank = 6, .divisor = 1 << 20, .print = three_digits}},
      {.name = "fetches",
       .unit = "",
       .help = "experts copied (chunks, if chunked)",
       .value = [](const Result& r) -> Value { return r.tally.fetches; }},
      {.name = "exposed_transfer_ms",
       .unit = "ms",
       .help = "exposed transfer: the GPU is idle because a copy is not there",
       .value = [](const Result& r) -> Value { return r.tally.exposed_transfer.milliseconds(); },
       .csv = "exposed_transfer_ms"},
      {.name = "exposed_transfer_share",
       .unit = "0 to 1",
       .help = "exposed transfer, of the run's time",
       .value = [](const Result& r) -> Value { return exposed_transfer_share(r); },
       .table = TableColumn{.head = "waits", .best = Best::least, .rank = 2, .print = percent},
       .in_json = false},
      {.name = "exposed_cpu_ms",
       .unit = "ms",
       .help = "exposed CPU: the GPU is idle until what the CPU computes is back",
       .value = [](const Result& r) -> Value { return r.tally.exposed_cpu.milliseconds(); },
       .csv = "exposed_cpu_ms"},
      {.name = "exposed_host_ms",
       .unit = "ms",
       .help = "exposed host: the GPU is idle for another reason, gate results on their way to the host",
       .value = [](const Result& r) -> Value { return r.tally.exposed_host.milliseconds(); },
       .csv = "exposed_host_ms"},
  };
}

/// Only decode steps look ahead. Without a value where nothing was announced.
Value share_of_guesses(std::int64_t right, std::int64_t of) {
  return of > 0 ? Value(static_cast<double>(right) / static_cast<double>(of)) : Value();
}
Value recall(const Result& r) {
  return share_of_guesses(r.decode_cache.right_guesses, r.decode_cache.foreseeable);
}

std::vector<Metric> lookahead_metrics() {
  return {
      {.name = "lookahead.recall",
       .unit = "0 to 1",
       .help =
           "of what layers activated for which something was announced, what was among it; absent without "
           "announcements",
       .value = recall,
       .csv = "lookahead_recall"},
      {.name = "lookahead.precision",
       .unit = "0 to 1",
       .help = "of what was announced, what its layer activated; absent without announcements",
       .value = [](const Result& r) -> Value {
         return share_of_guesses(r.decode_cache.right_guesses, r.decode_cache.guesses);
       },
       .csv = "lookahead_precision"},
      {.name = "not_exact",
       .unit = "",
       .help = "what is computed instead of what the gates chose; absent where the output is the model's",
       .value = [](const Result& r) -> Value {
         std::string why = why_not_exact(r.policy).value_or("");
         const auto add = [&why](const char* more) { why += (why.empty() ? "" : "; ") + std::string(more); };
         const CacheResult all = cache_of_all_phases(r);
         if (all.dropped > 0) add("activated experts are dropped");
         if (all.substituted > 0) add("others are computed in place of activated experts");
         if (all.computed_ahead > 0) add("experts are computed from an earlier layer's input");
         if (all.lower() > 0) add("experts are computed in formats.low");
         if (is_cut(r.policy)) add("experts are computed from a part of their weights");
         return why.empty() ? Value() : Value(why);
       },
       .csv = "not_exact"},
      {.name = "lookahead.cancelled",
       .unit = "",
       .help = "copies of announced experts that were taken back, whole or in part; absent without any",
       .value = [](const Result& r) { return where_any(r.decode_cache.cancelled); }},
      {.name = "lookahead.guessed_recall",
       .unit = "0 to 1",
       .help = "lookahead.recall, where it may be below 1",
       .value = [](const Result& r) -> Value {
         return r.policy.lookahead.predictor->misses_none ? Value() : recall(r);
       },
       .table = TableColumn{.head = "recall", .rank = 9, .print = percent, .only_above_zero = true},
       .in_json = false},
  };
}

}  // namespace

std::vector<Metric> rate_metrics() {
  std::vector<Metric> all = time_metrics();
  append(all, hit_metrics("cache", "in all phases", cache_of_all_phases));
  append(all, miss_metrics("cache", cache_of_all_phases));
  const auto in_decode = [](const Result& r) { return r.decode_cache; };
  append(all, hit_metrics("cache_decode", "in decode steps", in_decode));
  append(all, miss_metrics("cache_decode", in_decode));
  append(all, traffic_metrics());
  append(all, lookahead_metrics());
  return all;
}

}  // namespace pregate::sim
