#include "insert/http/handler.h"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "insert/http/body_decoder.h"
#include "insert/http/endpoints.h"
#include "insert/http/ingest.h"
#include "insert/http/path.h"
#include "lib/base/mutex.h"
#include "lib/log/log.h"
#include "lib/net/run_on.h"

namespace vm::insert {

namespace asio = boost::asio;

namespace {

constexpr std::string_view kImportPath = "prometheus/api/v1/import/prometheus";
constexpr size_t kReadStep = 64 << 10;
constexpr std::string_view kJson = "application/json";

// Requests that may be worked on at the same time; the others wait in the order they came.
class Slots {
 public:
  explicit Slots(size_t count) : free_(std::max<size_t>(count, 1)) {}

  bool TryAcquire() {
    MutexLock lock(mutex_);
    if (free_ == 0) return false;
    --free_;
    return true;
  }

  asio::awaitable<bool> Acquire(std::chrono::milliseconds timeout) {
    auto waiter = std::make_shared<Waiter>(co_await asio::this_coro::executor);
    waiter->timer.expires_after(timeout);
    bool is_late = false;
    {
      MutexLock lock(mutex_);
      if (free_ > 0) {
        --free_;
        is_late = true;
      } else {
        waiters_.push_back(waiter);
      }
    }
    if (is_late) co_return true;
    co_await waiter->timer.async_wait(asio::as_tuple(asio::use_awaitable));
    MutexLock lock(mutex_);
    if (waiter->is_granted) co_return true;
    std::erase(waiters_, waiter);
    co_return false;
  }

  void Release() {
    std::shared_ptr<Waiter> next;
    {
      MutexLock lock(mutex_);
      if (waiters_.empty()) {
        ++free_;
        return;
      }
      next = std::move(waiters_.front());
      waiters_.pop_front();
      next->is_granted = true;
    }
    asio::post(next->timer.get_executor(), [next] { next->timer.cancel(); });
  }

 private:
  struct Waiter {
    explicit Waiter(const asio::any_io_executor& executor) : timer(executor) {}
    asio::steady_timer timer;
    bool is_granted = false;  // Guarded by the mutex of Slots.
  };

  Mutex mutex_;
  size_t free_ VM_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Waiter>> waiters_ VM_GUARDED_BY(mutex_);
};

struct SlotMetrics {
  explicit SlotMetrics(metrics::Registry& registry)
      : current(registry.GetGauge("vm_concurrent_insert_current")),
        limit_reached(registry.GetCounter("vm_concurrent_insert_limit_reached_total")),
        limit_timeout(registry.GetCounter("vm_concurrent_insert_limit_timeout_total")) {}

  metrics::Gauge& current;
  metrics::Counter& limit_reached;
  metrics::Counter& limit_timeout;
};

// The slot of one request. It is held while rows are worked on and given back while the client is waited for, so that slow
// clients do not keep others out.
class Slot {
 public:
  Slot(Slots& slots, SlotMetrics& metrics, const InsertHttpOptions& options)
      : slots_(slots), metrics_(metrics), options_(options) {}
  ~Slot() { Release(); }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  // Errors: kUnavailable after -insert.maxQueueDuration.
  asio::awaitable<Status> Acquire() {
    if (is_held_) co_return Ok();
    if (!slots_.TryAcquire()) {
      metrics_.limit_reached.Inc();
      const bool is_granted = co_await slots_.Acquire(options_.max_queue_duration);
      if (!is_granted) {
        metrics_.limit_timeout.Inc();
        const double seconds = std::chrono::duration<double>(options_.max_queue_duration).count();
        co_return Error(
            ErrorCode::kUnavailable,
            fmt::format("cannot process insert request for {:.3f} seconds because {} concurrent insert "
                        "requests are executed. Possible solutions: to reduce workload; to increase "
                        "compute resources at the server; to increase -insert.maxQueueDuration; to "
                        "increase -maxConcurrentInserts",
                        seconds, options_.max_concurrent_inserts));
      }
    }
    is_held_ = true;
    metrics_.current.Inc();
    co_return Ok();
  }

  void Release() {
    if (!is_held_) return;
    is_held_ = false;
    metrics_.current.Dec();
    slots_.Release();
  }

 private:
  Slots& slots_;
  SlotMetrics& metrics_;
  const InsertHttpOptions& options_;
  bool is_held_ = false;
};

int StatusOf(const Error& error) {
  return error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kCancelled ? 503 : 400;
}

bool ContainsWord(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

Result<int64_t> TimestampArg(const http::Request& request) {
  const std::string_view text = request.query.Get("timestamp");
  int64_t timestamp = 0;
  if (text.empty()) return timestamp;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, timestamp);
  if (error != std::errc() || stop != end) {
    return Error(ErrorCode::kInvalidInput,
                 "cannot parse `timestamp=" + std::string(text) + "` query arg");
  }
  return timestamp;
}

}  // namespace

struct InsertHandler::Impl {
  // Counters of one kind of body.
  struct ProtocolMetrics {
    ProtocolMetrics(metrics::Registry& registry, std::string type_name)
        : type(std::move(type_name)),
          rows(registry.GetCounter(Name("vm_rows_inserted_total"))),
          rows_per_insert(registry.GetHistogram(Name("vm_rows_per_insert"))),
          rows_read(registry.GetCounter(Name("vm_protoparser_rows_read_total"))),
          read_calls(registry.GetCounter(Name("vm_protoparser_read_calls_total"))),
          read_errors(registry.GetCounter(Name("vm_protoparser_read_errors_total"))) {}

    std::string Name(std::string_view name) const { return fmt::format("{}{{type=\"{}\"}}", name, type); }

    const std::string type;
    metrics::Counter& rows;
    metrics::Histogram& rows_per_insert;
    metrics::Counter& rows_read;
    metrics::Counter& read_calls;
    metrics::Counter& read_errors;
    metrics::Counter* metadata_rows = nullptr;     // Of protocols with metadata.
    metrics::Counter* metadata_read = nullptr;
    metrics::Counter* invalid_rows = nullptr;      // Of line protocols.
    metrics::Counter* unmarshal_errors = nullptr;  // Of protocols with whole bodies.
  };

  // What is done with requests for a path.
  struct Endpoint {
    Endpoint(const InsertEndpoint& what_in, ProtocolMetrics* protocol_in, metrics::Registry& registry)
        : what(what_in),
          protocol(protocol_in),
          requests(registry.GetCounter(Name("vm_http_requests_total", what_in))),
          errors(protocol_in == nullptr ? nullptr : &registry.GetCounter(Name("vm_http_request_errors_total", what_in))) {}

    static std::string Name(std::string_view name, const InsertEndpoint& what) {
      return fmt::format("{}{{path=\"/insert/{{}}/{}\", protocol=\"{}\"}}", name, what.path_label, what.protocol_label);
    }

    const InsertEndpoint& what;
    ProtocolMetrics* const protocol;  // Null: the body is not looked at.
    metrics::Counter& requests;
    metrics::Counter* const errors;
  };

  // What one request is about.
  struct Insertion {
    http::Request& request;
    ProtocolMetrics& protocol;
    IngestContext context;
    Slot slot;
  };

  // Rows of whole lines; `is_first`: they begin the body.
  using LinesParser = std::function<IngestOutput(std::string_view lines, bool is_first)>;
  // Rows of a whole body.
  using BodyParser = std::function<Result<IngestOutput>(ByteView body)>;

  Impl(InsertHttpOptions options_in, InsertTargets targets_in, net::Pool& pool_in,
       const sys::Clock& clock_in, metrics::Registry& registry_in);

  asio::awaitable<bool> Route(http::Request& request, http::Response& response);
  const Endpoint* FindEndpoint(std::string_view suffix) const;
  asio::awaitable<Status> Insert(http::Request& request, std::optional<model::Tenant> tenant, BodyKind kind,
                                 ProtocolMetrics& protocol);
  asio::awaitable<Status> InsertLines(Insertion& insertion, size_t max_line_bytes, LinesParser parse);
  asio::awaitable<Status> InsertWhole(Insertion& insertion, SizeLimit limit, bool is_packed, BodyParser parse);
  asio::awaitable<Status> Push(Insertion& insertion, IngestOutput& output);
  asio::awaitable<void> Fail(http::Request& request, http::Response& response, int status,
                             std::string message);

  const InsertHttpOptions options;
  const InsertTargets targets;
  net::Pool& pool;
  const sys::Clock& clock;
  metrics::Registry& registry;
  Slots slots;
  SlotMetrics slot_metrics;
  LimitThrottles throttles;
  std::map<BodyKind, std::unique_ptr<ProtocolMetrics>> protocols;
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  metrics::Counter& too_many_labels;
  metrics::Counter& too_long_label_name;
  metrics::Counter& too_long_label_value;
  metrics::Counter& too_long_metadata;
  metrics::Histogram& request_duration;
};

InsertHandler::Impl::Impl(InsertHttpOptions options_in, InsertTargets targets_in, net::Pool& pool_in,
                          const sys::Clock& clock_in, metrics::Registry& registry_in)
    : options(std::move(options_in)),
      targets(targets_in),
      pool(pool_in),
      clock(clock_in),
      registry(registry_in),
      slots(options.max_concurrent_inserts),
      slot_metrics(registry),
      too_many_labels(registry.GetCounter("vm_rows_ignored_total{reason=\"too_many_labels\"}")),
      too_long_label_name(registry.GetCounter("vm_rows_ignored_total{reason=\"too_long_label_name\"}")),
      too_long_label_value(registry.GetCounter("vm_rows_ignored_total{reason=\"too_long_label_value\"}")),
      too_long_metadata(
          registry.GetCounter("vm_rows_ignored_total{reason=\"too_long_metric_metadata_value\"}")),
      request_duration(registry.GetHistogram("vminsert_request_duration_seconds")) {
  registry.GetGauge("vm_concurrent_insert_capacity").Set(static_cast<double>(options.max_concurrent_inserts));
  for (const InsertProtocol& known : InsertProtocols()) {
    auto protocol = std::make_unique<ProtocolMetrics>(registry, std::string(known.type));
    if (known.has_metadata) {
      protocol->metadata_rows = &registry.GetCounter(protocol->Name("vm_metadata_rows_inserted_total"));
      protocol->metadata_read = &registry.GetCounter(protocol->Name("vm_protoparser_metadata_read_total"));
    }
    if (known.has_lines) protocol->invalid_rows = &registry.GetCounter(protocol->Name("vm_rows_invalid_total"));
    if (known.has_whole_bodies) {
      protocol->unmarshal_errors = &registry.GetCounter(protocol->Name("vm_protoparser_unmarshal_errors_total"));
    }
    protocols[known.kind] = std::move(protocol);
  }
  for (const InsertEndpoint& what : InsertEndpoints()) {
    ProtocolMetrics* protocol = what.kind == BodyKind::kNone ? nullptr : protocols.at(what.kind).get();
    endpoints.push_back(std::make_unique<Endpoint>(what, protocol, registry));
  }
}

InsertHandler::InsertHandler(InsertHttpOptions options, InsertTargets targets, net::Pool& pool,
                             const sys::Clock& clock, metrics::Registry& registry)
    : impl_(std::make_unique<Impl>(std::move(options), targets, pool, clock, registry)) {}

InsertHandler::~InsertHandler() = default;

asio::awaitable<bool> InsertHandler::Handle(http::Request& request, http::Response& response) {
  const auto start = std::chrono::steady_clock::now();
  const bool is_ours = co_await impl_->Route(request, response);
  const std::chrono::duration<double> duration = std::chrono::steady_clock::now() - start;
  impl_->request_duration.Update(duration.count());
  co_return is_ours;
}

const InsertHandler::Impl::Endpoint* InsertHandler::Impl::FindEndpoint(std::string_view suffix) const {
  if (suffix.starts_with(kImportPath)) suffix = kImportPath;
  if (suffix.starts_with("datadog/") && suffix.ends_with('/')) suffix.remove_suffix(1);
  for (const auto& endpoint : endpoints) {
    if (endpoint->what.suffix == suffix) return endpoint.get();
  }
  return nullptr;
}

asio::awaitable<bool> InsertHandler::Impl::Route(http::Request& request, http::Response& response) {
  Result<InsertPath> path =
      ParseInsertPath(request.path, options.tenant_from_headers, request.headers.Get("AccountID"),
                      request.headers.Get("ProjectID"));
  if (!path.ok()) {
    co_await Fail(request, response, 400,
                  "cannot parse path \"" + request.path + "\": " + path.error().message());
    co_return true;
  }
  if (path.value().prefix != "insert") co_return false;
  Result<std::optional<model::Tenant>> tenant = ParseTenant(path.value().tenant);
  if (!tenant.ok()) {
    co_await Fail(request, response, 400, tenant.error().message());
    co_return true;
  }
  const std::string& suffix = path.value().suffix;
  const Endpoint* endpoint = FindEndpoint(suffix);
  if (endpoint == nullptr) co_return false;

  BodyKind kind = endpoint->what.kind;
  const std::string_view content_type = request.headers.Get("Content-Type");
  if (kind == BodyKind::kRemoteWrite && !request.query.Get("get_vm_proto_version").empty()) {
    std::string type = "text/plain; charset=utf-8";
    std::string version = "1";
    co_await http::WriteText(response, 200, std::move(type), std::move(version));
    co_return true;
  }
  endpoint->requests.Inc();
  if (endpoint->what.is_influx) response.SetHeader("X-Influxdb-Version", "1.8.0");
  if (kind != BodyKind::kNone) {
    // The address says what the body is, unless its headers say otherwise.
    if (kind == BodyKind::kText && (ContainsWord(content_type, "application/x-protobuf") ||
                                    !request.headers.Get("X-Prometheus-Remote-Write-Version").empty())) {
      kind = BodyKind::kRemoteWrite;
    } else if (kind == BodyKind::kRemoteWrite && ContainsWord(content_type, "text/plain")) {
      kind = BodyKind::kText;
    }
    if (kind == BodyKind::kRemoteWrite && ContainsWord(content_type, "io.prometheus.write.v2")) {
      endpoint->errors->Inc();
      co_await Fail(request, response, 415,
                    "remote write 2.0 is not supported; use protobuf_message: prometheus.WriteRequest");
      co_return true;
    }
    // The rows count where they belong, the request where it was sent.
    const Status status = co_await Insert(request, tenant.value(), kind, *endpoint->protocol);
    if (!status.ok()) {
      endpoint->errors->Inc();
      co_await Fail(request, response, StatusOf(status.error()), status.error().message());
      co_return true;
    }
  }
  // Pushgateway clients take nothing but 200.
  const bool is_pushgateway = suffix.starts_with(std::string(kImportPath) + "/metrics/job/");
  response.SetStatus(is_pushgateway ? 200 : endpoint->what.status);
  if (suffix == "influx/query") {
    std::string type(kJson);
    std::string names = InfluxDatabaseNames(options.influx_database_names);
    co_await http::WriteText(response, 200, std::move(type), std::move(names));
  } else if (!endpoint->what.answer.empty()) {
    std::string type(kJson);
    std::string answer(endpoint->what.answer);
    co_await http::WriteText(response, endpoint->what.status, std::move(type), std::move(answer));
  }
  co_return true;
}

asio::awaitable<Status> InsertHandler::Impl::Insert(http::Request& request, std::optional<model::Tenant> tenant,
                                                    BodyKind kind, ProtocolMetrics& protocol) {
  Insertion insertion{request, protocol, {}, {slots, slot_metrics, options}};
  IngestContext& context = insertion.context;
  context.placement = targets.placement;
  context.max_batch_bytes = options.max_batch_bytes;
  context.prepare = options.prepare;
  context.tenant = tenant;
  context.is_metadata_enabled = options.is_metadata_enabled;
  context.throttles = &throttles;
  std::vector<std::string> args;
  for (const std::string_view arg : request.query.GetAll("extra_label")) args.emplace_back(arg);
  VM_CO_ASSIGN_OR_RETURN(context.extra_labels, ParseExtraLabels(request.path, args));

  switch (kind) {
    case BodyKind::kNone: co_return Ok();
    case BodyKind::kRemoteWrite: {
      RemoteWriteBodyOptions body;
      body.prefer_zstd = request.headers.Get("Content-Encoding") == "zstd";
      body.max_size_bytes = options.max_insert_request_bytes;
      BodyParser parse = [body, &context](ByteView packed) { return IngestRemoteWrite(packed, body, context); };
      const SizeLimit limit{options.max_insert_request_bytes, "maxInsertRequestSize"};
      co_return co_await InsertWhole(insertion, limit, false, std::move(parse));
    }
    case BodyKind::kText: {
      VM_CO_ASSIGN_OR_RETURN(const int64_t timestamp, TimestampArg(request));
      LinesParser parse = [this, timestamp, &context](std::string_view lines, bool) {
        return IngestText(lines, timestamp > 0 ? timestamp : clock.NowMs(), context);
      };
      co_return co_await InsertLines(insertion, options.max_text_line_bytes, std::move(parse));
    }
  }
  co_return Ok();
}

// Whole lines go to the pool while the rest of the body is still on its way.
asio::awaitable<Status> InsertHandler::Impl::InsertLines(Insertion& insertion, size_t max_line_bytes,
                                                         LinesParser parse) {
  VM_CO_ASSIGN_OR_RETURN(const std::unique_ptr<BodyDecoder> decoder,
                         BodyDecoder::Make(insertion.request.headers.Get("Content-Encoding")));
  ByteBuffer piece(kReadStep);
  ByteBuffer lines;  // The incomplete last line of the previous turn first.
  bool is_first = true;
  bool is_end = false;
  while (!is_end) {
    insertion.slot.Release();
    insertion.protocol.read_calls.Inc();
    const Result<size_t> size = co_await insertion.request.ReadBody(std::span<uint8_t>(piece));
    if (!size.ok()) {
      insertion.protocol.read_errors.Inc();
      co_return size.error();
    }
    is_end = size.value() == 0;
    VM_CO_TRY(co_await insertion.slot.Acquire());
    ByteView bytes = ByteView(piece).first(size.value());
    bool has_more = true;
    while (has_more) {
      // Packed bytes give far more lines than they are long: one bounded turn after the other.
      auto decode = [&]() noexcept {
        Result<bool> more = is_end ? Result<bool>(false) : decoder->Feed(lines, bytes);
        if (is_end) {
          Status finished = decoder->Finish(lines);
          if (!finished.ok()) more = std::move(finished).error();
        }
        return more;
      };
      const Result<bool> decoded = co_await net::RunOn(pool, decode);
      if (!decoded.ok()) {
        insertion.protocol.read_errors.Inc();
        co_return decoded.error();
      }
      has_more = decoded.value();
      const std::string_view all = AsText(lines);
      const size_t newline = all.rfind('\n');
      const size_t whole_size =
          is_end ? all.size() : (newline == std::string_view::npos ? 0 : newline + 1);
      if (whole_size > 0) {
        const std::string_view whole = all.substr(0, whole_size);
        auto work = [&]() noexcept { return parse(whole, is_first); };
        IngestOutput output = co_await net::RunOn(pool, work);
        is_first = false;
        VM_CO_TRY(co_await Push(insertion, output));
        lines.erase(lines.begin(), lines.begin() + static_cast<ptrdiff_t>(whole_size));
      }
      if (lines.size() > max_line_bytes) {
        insertion.protocol.read_errors.Inc();
        co_return Error(ErrorCode::kInvalidInput,
                        fmt::format("too long line: more than {} bytes", max_line_bytes));
      }
    }
  }
  co_return Ok();
}

// `is_packed`: undo the Content-Encoding before parsing; else that is the parser's work.
asio::awaitable<Status> InsertHandler::Impl::InsertWhole(Insertion& insertion, SizeLimit limit, bool is_packed,
                                                         BodyParser parse) {
  const auto too_big = [&](std::string_view what) {
    insertion.protocol.read_errors.Inc();
    return Error(ErrorCode::kInvalidInput,
                 fmt::format("too big {} size exceeding -{}={} bytes", what, limit.flag, limit.max_bytes));
  };
  std::unique_ptr<BodyDecoder> decoder;
  if (is_packed) {
    VM_CO_ASSIGN_OR_RETURN(decoder, BodyDecoder::Make(insertion.request.headers.Get("Content-Encoding")));
  }
  insertion.protocol.read_calls.Inc();
  ByteBuffer body(16 << 10);
  size_t used = 0;
  for (;;) {
    // Grows with what arrives: an announced length is a claim.
    if (used == body.size()) body.resize(used + std::clamp<size_t>(used, 16 << 10, 1 << 20));
    const Result<size_t> size = co_await insertion.request.ReadBody(std::span<uint8_t>(body).subspan(used));
    if (!size.ok()) {
      insertion.protocol.read_errors.Inc();
      co_return size.error();
    }
    // The first bytes have come: from here on the client is busy.
    VM_CO_TRY(co_await insertion.slot.Acquire());
    used += size.value();
    if (used > limit.max_bytes) co_return too_big("data");
    if (size.value() == 0) break;
  }
  body.resize(used);
  bool is_too_big = false;
  auto work = [&]() noexcept -> Result<IngestOutput> {
    if (!is_packed) return parse(body);
    ByteBuffer unpacked;
    ByteView rest = body;
    for (bool has_more = true; has_more;) {
      VM_ASSIGN_OR_RETURN(has_more, decoder->Feed(unpacked, rest));
      is_too_big = unpacked.size() > limit.max_bytes;
      if (is_too_big) return IngestOutput();
    }
    VM_TRY(decoder->Finish(unpacked));
    is_too_big = unpacked.size() > limit.max_bytes;
    if (is_too_big) return IngestOutput();
    return parse(unpacked);
  };
  Result<IngestOutput> output = co_await net::RunOn(pool, work);
  if (is_too_big) co_return too_big("decompressed data");
  if (!output.ok()) {
    if (insertion.protocol.unmarshal_errors != nullptr) insertion.protocol.unmarshal_errors->Inc();
    co_return std::move(output).error();
  }
  co_return co_await Push(insertion, output.value());
}

asio::awaitable<Status> InsertHandler::Impl::Push(Insertion& insertion, IngestOutput& output) {
  ProtocolMetrics& protocol = insertion.protocol;
  for (const std::string& message : output.errors) {
    VM_LOG_ERROR("{}; {}", http::DescribeRequest(insertion.request), message);
  }
  for (const std::string& message : output.warnings) VM_LOG_WARN("{}", message);
  if (protocol.invalid_rows != nullptr) protocol.invalid_rows->Add(output.invalid_lines_count);
  too_many_labels.Add(output.too_many_labels_count);
  too_long_label_name.Add(output.too_long_label_name_count);
  too_long_label_value.Add(output.too_long_label_value_count);
  too_long_metadata.Add(output.too_long_metadata_count);
  protocol.rows_read.Add(output.rows_count);
  protocol.rows.Add(output.rows_count);
  protocol.rows_per_insert.Update(static_cast<double>(output.rows_count));
  if (protocol.metadata_rows != nullptr) {
    protocol.metadata_rows->Add(output.metadata_count);
    protocol.metadata_read->Add(output.metadata_count);
  }
  for (const auto& [tenant, rows_count] : output.tenant_rows) {
    registry
        .GetCounter(fmt::format("vm_tenant_inserted_rows_total{{type=\"{}\",accountID=\"{}\","
                                "projectID=\"{}\"}}",
                                protocol.type, tenant.account_id, tenant.project_id))
        .Add(rows_count);
  }

  // All batches are tried; the first error is the answer.
  Status first = Ok();
  for (NodeBatch& batch : output.samples) {
    Status status = co_await targets.samples->Push(std::move(batch));
    if (!status.ok() && first.ok()) first = std::move(status);
  }
  for (NodeBatch& batch : output.metadata) {
    if (targets.metadata == nullptr) break;
    Status status = co_await targets.metadata->Push(std::move(batch));
    if (!status.ok() && first.ok()) first = std::move(status);
  }
  co_return first;
}

asio::awaitable<void> InsertHandler::Impl::Fail(http::Request& request, http::Response& response,
                                                int status, std::string message) {
  VM_LOG_WARN("{}; {}", http::DescribeRequest(request), message);
  co_await http::WriteError(response, status, std::move(message));
}

}  // namespace vm::insert
