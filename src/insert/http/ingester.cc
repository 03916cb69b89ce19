#include "insert/http/ingester.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "insert/http/body_decoder.h"
#include "lib/log/log.h"
#include "lib/net/run_on.h"

namespace vm::insert {

namespace asio = boost::asio;

namespace {

constexpr size_t kReadStep = 64 << 10;
constexpr size_t kMinBody = 16 << 10;

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

/// Want of memory is an error of the request, not the end of the process.
template <class Work>
Result<bool> WithinMemory(const Work& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::kIo, "out of memory");
  }
}

}  // namespace

// Counters of one kind of body.
struct Ingester::Protocol {
  Protocol(metrics::Registry& registry, const InsertProtocol& known)
      : type(known.type),
        rows(registry.GetCounter(Name("vm_rows_inserted_total"))),
        rows_per_insert(registry.GetHistogram(Name("vm_rows_per_insert"))),
        rows_read(registry.GetCounter(Name("vm_protoparser_rows_read_total"))),
        read_calls(registry.GetCounter(Name("vm_protoparser_read_calls_total"))),
        read_errors(registry.GetCounter(Name("vm_protoparser_read_errors_total"))) {
    if (known.has_metadata) {
      metadata_rows = &registry.GetCounter(Name("vm_metadata_rows_inserted_total"));
      metadata_read = &registry.GetCounter(Name("vm_protoparser_metadata_read_total"));
    }
    if (known.has_lines) invalid_rows = &registry.GetCounter(Name("vm_rows_invalid_total"));
    if (known.has_whole_bodies) unmarshal_errors = &registry.GetCounter(Name("vm_protoparser_unmarshal_errors_total"));
  }

  std::string Name(std::string_view name) const { return fmt::format("{}{{type=\"{}\"}}", name, type); }

  const std::string type;
  metrics::Counter& rows;
  metrics::Histogram& rows_per_insert;
  metrics::Counter& rows_read;
  metrics::Counter& read_calls;
  metrics::Counter& read_errors;
  metrics::Counter* metadata_rows = nullptr;     // Of protocols with metadata.
  metrics::Counter* metadata_read = nullptr;
  metrics::Counter* invalid_rows = nullptr;      // Of protocols whose bad rows are skipped.
  metrics::Counter* unmarshal_errors = nullptr;  // Of protocols with whole bodies.
};

StreamFormat LinesFormat(size_t max_line_bytes,
                         std::function<Steps(std::string_view lines, bool is_first, IngestOutput& output)> parse) {
  StreamFormat format;
  format.max_part_bytes = max_line_bytes;
  format.too_long = fmt::format("too long line: more than {} bytes", max_line_bytes);
  format.whole_size = [](ByteView bytes, bool is_end) -> Result<size_t> {
    if (is_end) return bytes.size();
    const size_t newline = AsText(bytes).rfind('\n');
    return newline == std::string_view::npos ? 0 : newline + 1;
  };
  format.parse = [parse = std::move(parse)](ByteView whole, bool is_first, IngestOutput& output) {
    return parse(AsText(whole), is_first, output);
  };
  return format;
}

Ingester::Ingester(InsertOptions options, InsertTargets targets, net::Pool& pool, const sys::Clock& clock,
                   metrics::Registry& registry)
    : options_(std::move(options)),
      targets_(targets),
      pool_(pool),
      clock_(clock),
      registry_(registry),
      slots_(options_.max_concurrent_inserts, options_.max_queue_duration, registry),
      relabeled_away_(registry.GetCounter("vm_relabel_metrics_dropped_total")),
      too_many_labels_(registry.GetCounter("vm_rows_ignored_total{reason=\"too_many_labels\"}")),
      too_long_label_name_(registry.GetCounter("vm_rows_ignored_total{reason=\"too_long_label_name\"}")),
      too_long_label_value_(registry.GetCounter("vm_rows_ignored_total{reason=\"too_long_label_value\"}")),
      too_long_metadata_(registry.GetCounter("vm_rows_ignored_total{reason=\"too_long_metric_metadata_value\"}")) {
  for (const InsertProtocol& known : InsertProtocols()) {
    protocols_[known.kind] = std::make_unique<Protocol>(registry, known);
  }
}

Ingester::~Ingester() = default;

void Ingester::SetRelabeling(std::shared_ptr<const relabel::Rules> rules) {
  if (rules != nullptr && rules->size() == 0) rules = nullptr;
  MutexLock lock(mutex_);
  relabeling_ = std::move(rules);
}

IngestContext Ingester::MakeContext(std::optional<model::Tenant> tenant) {
  IngestContext context;
  context.placement = targets_.placement;
  context.max_batch_bytes = options_.max_batch_bytes;
  context.max_turn_bytes = options_.max_turn_bytes;
  context.prepare = options_.prepare;
  context.tenant = tenant;
  context.is_metadata_enabled = options_.is_metadata_enabled;
  if (targets_.samples != nullptr) context.buffers = &targets_.samples->buffers();
  context.throttles = &throttles_;
  MutexLock lock(mutex_);
  context.relabeling = relabeling_;
  return context;
}

// Whole parts go to the pool while the rest of the body is still on its way.
asio::awaitable<Status> Ingester::InsertStream(ByteSource source, std::string content_encoding, BodyKind kind,
                                               std::string who, StreamFormat format) {
  Protocol& protocol = *protocols_.at(kind);
  VM_CO_ASSIGN_OR_RETURN(const std::unique_ptr<BodyDecoder> decoder, BodyDecoder::Make(content_encoding));
  const auto fail = [&](Error error) {
    protocol.read_errors.Inc();
    return error;
  };
  Slot slot(slots_);
  const bool is_plain = content_encoding.empty();
  ByteBuffer piece(kReadStep);
  ByteBuffer buffer;  // The incomplete last part of the previous turn first.
  bool is_first = true;
  bool is_end = false;
  while (!is_end) {
    slot.Release();
    protocol.read_calls.Inc();
    const Result<size_t> size = co_await source(std::span<uint8_t>(piece));
    if (!size.ok()) co_return fail(size.error());
    is_end = size.value() == 0;
    VM_CO_TRY(co_await slot.Acquire());
    ByteView bytes = ByteView(piece).first(size.value());
    bool has_more = true;
    while (has_more) {
      // Packed bytes give far more rows than they are long: one bounded turn after the other.
      size_t whole_size = 0;
      IngestOutput output;
      Turns turns{output, Steps()};
      const auto decode_and_parse = [&]() -> Result<bool> {
        if (is_end) {
          has_more = false;
          VM_TRY(decoder->Finish(buffer));
        } else {
          VM_ASSIGN_OR_RETURN(has_more, decoder->Feed(buffer, bytes));
        }
        VM_ASSIGN_OR_RETURN(whole_size, format.whole_size(buffer, is_end));
        if (whole_size == 0) return false;
        turns.steps = format.parse(ByteView(buffer).first(whole_size), is_first, output);
        return turns.steps.Next();
      };
      auto work = [&]() noexcept { return WithinMemory(decode_and_parse); };
      output.is_short_turn = format.is_cheap && is_plain && buffer.size() + bytes.size() <= 2 * kReadStep;
      if (output.is_short_turn) {
        turns.has_more = work();
      } else {
        turns.has_more = co_await net::RunOn(pool_, work);
      }
      if (whole_size > 0 || !turns.has_more.ok()) {
        Status status = co_await TakeTurns(protocol, who, turns);
        if (turns.is_parse_error) co_return fail(std::move(status).error());
        if (!status.ok()) co_return status;
        is_first = false;
        buffer.erase(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(whole_size));
      }
      if (buffer.size() > format.max_part_bytes) co_return fail(Bad(format.too_long));
    }
  }
  co_return Ok();
}

asio::awaitable<Status> Ingester::InsertWhole(ByteSource source, std::string content_encoding, BodyKind kind,
                                              std::string who, WholeFormat format) {
  Protocol& protocol = *protocols_.at(kind);
  const auto too_big = [&](std::string_view what) {
    protocol.read_errors.Inc();
    return Bad(fmt::format("too big {} size exceeding -{}={} bytes", what, format.limit.flag, format.limit.max_bytes));
  };
  std::unique_ptr<BodyDecoder> decoder;
  if (format.is_encoded) {
    VM_CO_ASSIGN_OR_RETURN(decoder, BodyDecoder::Make(content_encoding));
  }
  Slot slot(slots_);
  protocol.read_calls.Inc();
  PooledBuffer pooled(targets_.samples == nullptr ? nullptr : &targets_.samples->buffers());
  ByteBuffer& body = pooled.bytes;
  if (body.size() < kMinBody) body.resize(kMinBody);
  size_t used = 0;
  for (;;) {
    // Grows with what arrives: an announced length is a claim.
    if (used == body.size()) body.resize(used + std::clamp<size_t>(used, kMinBody, 1 << 20));
    const Result<size_t> size = co_await source(std::span<uint8_t>(body).subspan(used));
    if (!size.ok()) {
      protocol.read_errors.Inc();
      co_return size.error();
    }
    // The first bytes have come: from here on the client is busy.
    VM_CO_TRY(co_await slot.Acquire());
    used += size.value();
    if (used > format.limit.max_bytes) co_return too_big("data");
    if (size.value() == 0) break;
  }
  const ByteView packed = ByteView(body).first(used);
  bool is_too_big = false;
  ByteBuffer unpacked;
  IngestOutput output;
  Turns turns{output, Steps()};
  const auto decode_and_parse = [&]() -> Result<bool> {
    ByteView whole = packed;
    if (format.is_encoded) {
      ByteView rest = packed;
      for (bool has_more = true; has_more;) {
        VM_ASSIGN_OR_RETURN(has_more, decoder->Feed(unpacked, rest));
        is_too_big = unpacked.size() > format.limit.max_bytes;
        if (is_too_big) return false;
      }
      VM_TRY(decoder->Finish(unpacked));
      is_too_big = unpacked.size() > format.limit.max_bytes;
      if (is_too_big) return false;
      whole = unpacked;
    }
    turns.steps = format.parse(whole, output);
    return turns.steps.Next();
  };
  auto work = [&]() noexcept { return WithinMemory(decode_and_parse); };
  output.is_short_turn = format.is_cheap && format.is_cheap(packed);
  if (output.is_short_turn) {
    turns.has_more = work();
  } else {
    turns.has_more = co_await net::RunOn(pool_, work);
  }
  if (is_too_big) co_return too_big("decompressed data");
  Status status = co_await TakeTurns(protocol, who, turns);
  if (turns.is_parse_error) {
    if (protocol.unmarshal_errors != nullptr) protocol.unmarshal_errors->Inc();
    if (format.explain) co_return format.explain(std::move(status).error());
  }
  co_return status;
}

asio::awaitable<Status> Ingester::InsertRows(BodyKind kind, std::string who,
                                             std::function<Steps(IngestOutput& output)> parse, IngestOutput& output) {
  Protocol& protocol = *protocols_.at(kind);
  Slot slot(slots_);
  VM_CO_TRY(co_await slot.Acquire());
  Turns turns{output, Steps()};
  const auto begin = [&] {
    turns.steps = parse(output);
    return turns.steps.Next();
  };
  auto work = [&]() noexcept { return WithinMemory(begin); };
  turns.has_more = co_await net::RunOn(pool_, work);
  co_return co_await TakeTurns(protocol, who, turns);
}

asio::awaitable<Status> Ingester::TakeTurns(Protocol& protocol, const std::string& who, Turns& turns) {
  IngestOutput& output = turns.output;
  Status status = Ok();
  for (bool is_first = true;; is_first = false) {
    turns.is_parse_error = !turns.has_more.ok();
    if (turns.is_parse_error) {
      status = turns.has_more.error();
      if (is_first) co_return status;  // Nothing of it has become a row.
      break;
    }
    status = co_await Push(output);
    if (!status.ok() || !turns.has_more.value()) break;
    output.is_short_turn = false;
    auto work = [&turns]() noexcept { return turns.steps.Next(); };
    turns.has_more = co_await net::RunOn(pool_, work);
  }
  Count(protocol, who, output);
  co_return status;
}

void Ingester::Count(Protocol& protocol, const std::string& who, const IngestOutput& output) {
  for (const std::string& message : output.errors) VM_LOG_ERROR("{}; {}", who, message);
  for (const std::string& message : output.warnings) VM_LOG_WARN("{}", message);
  if (protocol.invalid_rows != nullptr) protocol.invalid_rows->Add(output.invalid_lines_count);
  relabeled_away_.Add(output.relabeled_away_count);
  too_many_labels_.Add(output.too_many_labels_count);
  too_long_label_name_.Add(output.too_long_label_name_count);
  too_long_label_value_.Add(output.too_long_label_value_count);
  too_long_metadata_.Add(output.too_long_metadata_count);
  protocol.rows_read.Add(output.rows_count);
  protocol.rows.Add(output.rows_count);
  protocol.rows_per_insert.Update(static_cast<double>(output.rows_count));
  if (protocol.metadata_rows != nullptr) {
    protocol.metadata_rows->Add(output.metadata_count);
    protocol.metadata_read->Add(output.metadata_count);
  }
  for (const auto& [tenant, rows_count] : output.tenant_rows) {
    registry_
        .GetCounter(fmt::format("vm_tenant_inserted_rows_total{{type=\"{}\",accountID=\"{}\",projectID=\"{}\"}}",
                                protocol.type, tenant.account_id, tenant.project_id))
        .Add(rows_count);
  }
}

asio::awaitable<Status> Ingester::Push(IngestOutput& output) {
  // All batches are tried; the first error is the answer.
  Status first = Ok();
  for (NodeBatch& batch : output.samples) {
    Status status = co_await targets_.samples->Push(std::move(batch));
    if (!status.ok() && first.ok()) first = std::move(status);
  }
  for (NodeBatch& batch : output.metadata) {
    if (targets_.metadata == nullptr) break;
    Status status = co_await targets_.metadata->Push(std::move(batch));
    if (!status.ok() && first.ok()) first = std::move(status);
  }
  output.samples.clear();
  output.metadata.clear();
  co_return first;
}

}  // namespace vm::insert
