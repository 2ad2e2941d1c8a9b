// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/writer.hpp"

#include <bit>
#include <optional>

#include "models/error.hpp"
#include "traces/content_hash.hpp"
#include "traces/database.hpp"
#include "traces/layout.hpp"
#include "traces/output_file.hpp"

namespace pregate::trace {

namespace {

TraceInfo validated(const TraceInfo& info, const std::string& where) {
  validate_info(info, where);
  return info;
}

/// The form of weights in a blob: float32, least significant byte first.
void encode_weights(std::span<const float> weights, std::vector<std::uint8_t>& blob) {
  blob.resize(weights.size() * sizeof(float));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(weights[i]);
    for (unsigned b = 0; b < 4; ++b) blob[4 * i + b] = static_cast<std::uint8_t>((bits >> (8U * b)) & 0xFFU);
  }
}

}  // namespace

struct TraceWriter::Impl {
  Impl(const std::string& path, const TraceInfo& given, bool overwrite)
      : info(validated(given, path)),
        stacks(layouts(info)),
        file(path, overwrite),
        hash(info),
        database(std::in_place, Database::create(file.temporary(), path)) {
    info.requests = info.steps = info.tokens = info.routed_entries = 0;
    insert_request.emplace(*database, "INSERT INTO request VALUES (?, ?, ?)");
    insert_step.emplace(*database, "INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    if (info.has_arrivals) {
      database->execute(std::string(optional_statements()[0]).c_str());
      insert_arrival.emplace(*database, "INSERT INTO arrival VALUES (?, ?)");
    }
    if (info.has_accepted) {
      database->execute(std::string(optional_statements()[1]).c_str());
      insert_accepted.emplace(*database, "INSERT INTO accepted VALUES (?, ?)");
    }
    if (!info.further_distances.empty() || !info.predicted_by.empty()) write_distances();
    write_layers();
  }

  void write_distances() {
    database->execute(std::string(optional_statements()[2]).c_str());
    Statement row(*database, "INSERT INTO prediction VALUES (?, ?)");
    for (const int distance : info.prediction_distances()) {
      row.bind(1, std::int64_t{distance});
      row.bind(2, info.predicted_by);
      row.run();
    }
  }

  void write_layers() {
    Statement stack(*database, "INSERT INTO stack VALUES (?, ?)");
    for (std::size_t i = 0; i < info.stacks.size(); ++i) {
      stack.bind(1, static_cast<std::int64_t>(i));
      stack.bind(2, info.stacks[i]);
      stack.run();
    }
    Statement layer(*database, "INSERT INTO layer VALUES (?, ?, ?, ?, ?, ?)");
    for (std::size_t i = 0; i < info.layers.size(); ++i) {
      layer.bind(1, static_cast<std::int64_t>(i));
      layer.bind(2, std::int64_t{info.layers[i].stack});
      layer.bind(3, std::int64_t{info.layers[i].layer});
      layer.bind(4, std::int64_t{info.layers[i].experts});
      layer.bind(5, std::int64_t{info.layers[i].top_k});
      layer.bind(6, info.layers[i].expert_bytes.count);
      layer.run();
    }
  }

  void check_request_has_steps() const {
    if (info.requests > 0 && step_index == 0)
      throw InputError(file.destination(), "request " + std::to_string(info.requests - 1) + " has no steps");
  }

  TraceInfo info;
  std::vector<StackLayout> stacks;
  OutputFile file;
  ContentHash hash;
  std::optional<Database> database;
  std::optional<Statement> insert_request, insert_step, insert_arrival, insert_accepted;
  Request request;
  StepOrder order;
  std::int64_t step_index = 0;
  std::vector<std::uint8_t> experts_blob, predicted_blob, weights_blob;
  std::vector<float> weights;
};

TraceWriter::TraceWriter(const std::string& path, const TraceInfo& info, bool overwrite)
    : impl_(std::make_unique<Impl>(path, info, overwrite)) {}

TraceWriter::~TraceWriter() = default;

void TraceWriter::begin_request(const Request& request) {
  Impl& self = *impl_;
  self.check_request_has_steps();
  const std::string name = "request " + std::to_string(self.info.requests);
  if (request.sequences < 1 || request.sequences > max_step_tokens)
    throw InputError(self.file.destination(),
                     name + " has " + std::to_string(request.sequences) + " sequences");
  if (request.label.size() > 4096)
    throw InputError(self.file.destination(), name + " has a label of over 4096 bytes");
  if (self.info.has_arrivals && (request.arrival_ns < 0 || request.arrival_ns < self.request.arrival_ns ||
                                 request.arrival_ns > max_arrival_ns))
    throw InputError(self.file.destination(), name + " arrives at " + std::to_string(request.arrival_ns) +
                                                  " ns, not from the request before it to 100 days");
  self.request = request;
  self.request.id = self.info.requests++;
  self.step_index = 0;
  self.order.begin_request();
  self.hash.begin_request(self.request);
  self.insert_request->bind(1, self.request.id);
  self.insert_request->bind(2, self.request.label);
  self.insert_request->bind(3, std::int64_t{request.sequences});
  self.insert_request->run();
  if (!self.info.has_arrivals) return;
  self.insert_arrival->bind(1, self.request.id);
  self.insert_arrival->bind(2, request.arrival_ns);
  self.insert_arrival->run();
}

void TraceWriter::add(const Step& given) {
  Impl& self = *impl_;
  const auto fail = [&](const std::string& problem) {
    throw InputError(self.file.destination(), "request " + std::to_string(self.info.requests - 1) +
                                                  ", step " + std::to_string(self.step_index) + ": " +
                                                  problem);
  };
  if (self.info.requests == 0) throw InputError(self.file.destination(), "a step before the first request");
  if (std::string fault = find_fault(given, self.info, self.stacks); !fault.empty()) fail(fault);
  if (std::string fault = self.order.next(given); !fault.empty()) fail(fault);
  if (given.sequences > self.request.sequences)
    fail(std::to_string(given.sequences) + " sequences, but the request has " +
         std::to_string(self.request.sequences));

  Step step = given;
  if (self.info.has_weights) {
    // The weight of no expert is 0, so that equal routing has equal bytes and an equal hash.
    self.weights.assign(given.weights.begin(), given.weights.end());
    for (std::size_t i = 0; i < self.weights.size(); ++i)
      if (given.experts[i] == no_expert || self.weights[i] == 0.0F) self.weights[i] = 0.0F;
    step.weights = self.weights;
  }
  self.hash.add(step);

  const StackLayout& layout = self.stacks[static_cast<std::size_t>(step.stack)];
  Statement& row = *self.insert_step;
  row.bind(1, self.info.steps);
  row.bind(2, self.request.id);
  row.bind(3, self.step_index);
  row.bind(4, static_cast<std::int64_t>(step.phase));
  row.bind(5, std::int64_t{step.stack});
  row.bind(6, std::int64_t{step.sequences});
  row.bind(7, std::int64_t{step.tokens});
  row.bind(8, std::int64_t{step.position});
  encode_ids(step.experts, layout.width, self.experts_blob);
  row.bind_blob(9, self.experts_blob.data(), self.experts_blob.size());
  if (self.info.has_predictions) encode_ids(step.predicted, layout.width, self.predicted_blob);
  row.bind_blob(10, self.info.has_predictions ? self.predicted_blob.data() : nullptr,
                self.predicted_blob.size());
  if (self.info.has_weights) encode_weights(step.weights, self.weights_blob);
  row.bind_blob(11, self.info.has_weights ? self.weights_blob.data() : nullptr, self.weights_blob.size());
  row.run();
  if (self.info.has_accepted && step.phase == Phase::decode) {
    self.insert_accepted->bind(1, self.info.steps);
    self.insert_accepted->bind(2, std::int64_t{step.accepted});
    self.insert_accepted->run();
  }

  ++self.step_index;
  ++self.info.steps;
  self.info.tokens += step.tokens;
  self.info.routed_entries += count_routed(step.experts);
}

TraceInfo TraceWriter::commit() {
  Impl& self = *impl_;
  if (self.info.requests == 0)
    throw InputError(self.file.destination(), "a trace needs at least one request");
  self.check_request_has_steps();
  self.info.content_hash = self.hash.finish();
  Statement provenance(*self.database, "INSERT INTO provenance VALUES (?, ?)");
  for (const auto& [key, value] : self.info.provenance) {
    provenance.bind(1, key);
    provenance.bind(2, value);
    provenance.run();
  }
  Statement trace(*self.database, "INSERT INTO trace VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  trace.bind(1, self.info.model);
  trace.bind(2, std::int64_t{self.info.model_top_k});
  trace.bind(3, std::int64_t{self.info.has_weights});
  trace.bind(4, std::int64_t{self.info.has_predictions});
  trace.bind(5, std::int64_t{self.info.prediction_distance});
  trace.bind(6, self.info.content_hash);
  trace.bind(7, self.info.requests);
  trace.bind(8, self.info.steps);
  trace.bind(9, self.info.tokens);
  trace.bind(10, self.info.routed_entries);
  trace.run();
  self.database->execute("COMMIT");
  self.insert_request.reset();
  self.insert_step.reset();
  self.insert_arrival.reset();
  self.insert_accepted.reset();
  // Statements above hold the connection until the end of this function; the bytes are in the file after
  // COMMIT.
  self.file.publish();
  return self.info;
}

TraceInfo write_trace(StepSource& source, const std::vector<Request>& requests, const std::string& path,
                      bool overwrite) {
  TraceWriter writer(path, source.info(), overwrite);
  source.rewind();
  Step step;
  while (source.next(step)) {
    if (step.first_of_request) {
      const auto id = static_cast<std::size_t>(step.request);
      Request request = id < requests.size() ? requests[id] : Request{step.request, {}, step.sequences};
      request.arrival_ns = step.arrival_ns;
      writer.begin_request(request);
    }
    writer.add(step);
  }
  return writer.commit();
}

}  // namespace pregate::trace
