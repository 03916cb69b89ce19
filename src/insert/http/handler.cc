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
#include <string>
#include <utility>

#include "insert/http/body_decoder.h"
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

// Requests that may be worked on at the same time; the others wait in the order they came.
class Slots {
 public:
  explicit Slots(size_t count) : free_(std::max<size_t>(count, 1)) {}

  asio::awaitable<bool> Acquire(std::chrono::milliseconds timeout) {
    {
      MutexLock lock(mutex_);
      if (free_ > 0) {
        --free_;
        co_return true;
      }
    }
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

class SlotGuard {
 public:
  SlotGuard(Slots& slots, metrics::Gauge& current) : slots_(slots), current_(current) {
    current_.Inc();
  }
  ~SlotGuard() {
    current_.Dec();
    slots_.Release();
  }
  SlotGuard(const SlotGuard&) = delete;
  SlotGuard& operator=(const SlotGuard&) = delete;

 private:
  Slots& slots_;
  metrics::Gauge& current_;
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
    ProtocolMetrics(metrics::Registry& registry, const std::string& type_name,
                    const std::string& path_labels)
        : type(type_name),
          requests(registry.GetCounter("vm_http_requests_total{" + path_labels + "}")),
          errors(registry.GetCounter("vm_http_request_errors_total{" + path_labels + "}")),
          rows(registry.GetCounter("vm_rows_inserted_total{type=\"" + type + "\"}")),
          metadata_rows(registry.GetCounter("vm_metadata_rows_inserted_total{type=\"" + type + "\"}")),
          rows_per_insert(registry.GetHistogram("vm_rows_per_insert{type=\"" + type + "\"}")) {}

    const std::string type;
    metrics::Counter& requests;
    metrics::Counter& errors;
    metrics::Counter& rows;
    metrics::Counter& metadata_rows;
    metrics::Histogram& rows_per_insert;
  };

  Impl(InsertHttpOptions options_in, InsertTargets targets_in, net::Pool& pool_in,
       const sys::Clock& clock_in, metrics::Registry& registry_in)
      : options(std::move(options_in)),
        targets(targets_in),
        pool(pool_in),
        clock(clock_in),
        registry(registry_in),
        slots(options.max_concurrent_inserts),
        remote_write(registry, "promremotewrite",
                     "path=\"/insert/{}/prometheus/\", protocol=\"promremotewrite\""),
        text(registry, "prometheus",
             "path=\"/insert/{}/prometheus/api/v1/import/prometheus\", "
             "protocol=\"prometheusimport\""),
        invalid_lines(registry.GetCounter("vm_rows_invalid_total{type=\"prometheus\"}")),
        too_many_labels(registry.GetCounter("vm_rows_ignored_total{reason=\"too_many_labels\"}")),
        too_long_label_name(
            registry.GetCounter("vm_rows_ignored_total{reason=\"too_long_label_name\"}")),
        too_long_label_value(
            registry.GetCounter("vm_rows_ignored_total{reason=\"too_long_label_value\"}")),
        too_long_metadata(
            registry.GetCounter("vm_rows_ignored_total{reason=\"too_long_metric_metadata_value\"}")),
        concurrent_current(registry.GetGauge("vm_concurrent_insert_current")),
        limit_reached(registry.GetCounter("vm_concurrent_insert_limit_reached_total")),
        limit_timeout(registry.GetCounter("vm_concurrent_insert_limit_timeout_total")),
        request_duration(registry.GetHistogram("vminsert_request_duration_seconds")) {
    registry.GetGauge("vm_concurrent_insert_capacity")
        .Set(static_cast<double>(options.max_concurrent_inserts));
  }

  asio::awaitable<bool> Route(http::Request& request, http::Response& response);
  asio::awaitable<Status> Insert(http::Request& request, std::optional<model::Tenant> tenant,
                                 bool is_text);
  asio::awaitable<Status> InsertText(http::Request& request, const IngestContext& context);
  asio::awaitable<Status> InsertRemoteWrite(http::Request& request, const IngestContext& context);
  asio::awaitable<Status> Push(http::Request& request, IngestOutput& output,
                               ProtocolMetrics& protocol);
  asio::awaitable<void> Fail(http::Request& request, http::Response& response, int status,
                             std::string message);
  void Warn(const http::Request& request, std::string_view message) const {
    VM_LOG_WARN("remoteAddr: \"{}\"; requestURI: {}; {}", request.remote_addr, request.target,
                message);
  }

  const InsertHttpOptions options;
  const InsertTargets targets;
  net::Pool& pool;
  const sys::Clock& clock;
  metrics::Registry& registry;
  Slots slots;
  ProtocolMetrics remote_write;
  ProtocolMetrics text;
  metrics::Counter& invalid_lines;
  metrics::Counter& too_many_labels;
  metrics::Counter& too_long_label_name;
  metrics::Counter& too_long_label_value;
  metrics::Counter& too_long_metadata;
  metrics::Gauge& concurrent_current;
  metrics::Counter& limit_reached;
  metrics::Counter& limit_timeout;
  metrics::Histogram& request_duration;
};

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

asio::awaitable<bool> InsertHandler::Impl::Route(http::Request& request, http::Response& response) {
  if (request.path == "/") {
    if (request.method != "GET") co_return false;
    std::string type = "text/html; charset=utf-8";
    std::string page =
        "vminsert - a component of VictoriaMetrics cluster<br/>\n"
        "<a href=\"https://docs.victoriametrics.com/victoriametrics/cluster-victoriametrics/\">docs"
        "</a><br>\n";
    co_await http::WriteText(response, 200, std::move(type), std::move(page));
    co_return true;
  }
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
  const std::string_view content_type = request.headers.Get("Content-Type");
  const bool is_import = suffix.starts_with(kImportPath);
  const bool is_write = suffix == "prometheus/api/v1/write" || suffix == "prometheus/api/v1/push" ||
                        suffix == "prometheus" || suffix == "prometheus/";
  if (!is_import && !is_write) co_return false;
  if (is_write && !request.query.Get("get_vm_proto_version").empty()) {
    std::string type = "text/plain; charset=utf-8";
    std::string version = "1";
    co_await http::WriteText(response, 200, std::move(type), std::move(version));
    co_return true;
  }
  // The address says what the body is, unless its headers say otherwise.
  const bool is_protobuf = ContainsWord(content_type, "application/x-protobuf") ||
                           !request.headers.Get("X-Prometheus-Remote-Write-Version").empty();
  const bool is_text = is_import ? !is_protobuf : ContainsWord(content_type, "text/plain");

  ProtocolMetrics& protocol = is_import ? text : remote_write;
  protocol.requests.Inc();
  if (!is_text && ContainsWord(content_type, "io.prometheus.write.v2")) {
    protocol.errors.Inc();
    co_await Fail(request, response, 415,
                  "remote write 2.0 is not supported; use protobuf_message: prometheus.WriteRequest");
    co_return true;
  }
  const Status status = co_await Insert(request, tenant.value(), is_text);
  if (!status.ok()) {
    protocol.errors.Inc();
    co_await Fail(request, response, StatusOf(status.error()), status.error().message());
    co_return true;
  }
  // Pushgateway clients take nothing but 200.
  const bool is_pushgateway = suffix.starts_with(std::string(kImportPath) + "/metrics/job/");
  response.SetStatus(is_pushgateway ? 200 : 204);
  co_return true;
}

asio::awaitable<Status> InsertHandler::Impl::Insert(http::Request& request,
                                                    std::optional<model::Tenant> tenant,
                                                    bool is_text) {
  IngestContext context;
  context.placement = targets.placement;
  context.max_batch_bytes = options.max_batch_bytes;
  context.prepare = options.prepare;
  context.tenant = tenant;
  context.is_metadata_enabled = options.is_metadata_enabled;
  std::vector<std::string> args;
  for (const std::string_view arg : request.query.GetAll("extra_label")) args.emplace_back(arg);
  Result<std::vector<ExtraLabel>> extra_labels = ParseExtraLabels(request.path, args);
  if (!extra_labels.ok()) co_return std::move(extra_labels).error();
  context.extra_labels = std::move(extra_labels).value();

  const bool has_slot = co_await slots.Acquire(options.max_queue_duration);
  if (!has_slot) {
    limit_timeout.Inc();
    const double seconds = std::chrono::duration<double>(options.max_queue_duration).count();
    co_return Error(
        ErrorCode::kUnavailable,
        fmt::format("cannot process insert request for {:.3f} seconds because {} concurrent insert "
                    "requests are executed. Possible solutions: to reduce workload; to increase "
                    "compute resources at the server; to increase -insert.maxQueueDuration; to "
                    "increase -maxConcurrentInserts",
                    seconds, options.max_concurrent_inserts));
  }
  const SlotGuard guard(slots, concurrent_current);
  if (is_text) co_return co_await InsertText(request, context);
  co_return co_await InsertRemoteWrite(request, context);
}

asio::awaitable<Status> InsertHandler::Impl::InsertRemoteWrite(http::Request& request,
                                                               const IngestContext& context) {
  RemoteWriteBodyOptions body_options;
  body_options.prefer_zstd = request.headers.Get("Content-Encoding") == "zstd";
  body_options.max_size_bytes = options.max_insert_request_bytes;
  Result<ByteBuffer> body = co_await request.ReadAll(options.max_insert_request_bytes);
  if (!body.ok()) {
    if (body.error().code() == ErrorCode::kLimitExceeded) {
      co_return Error(ErrorCode::kInvalidInput,
                      fmt::format("too big data size exceeding -maxInsertRequestSize={} bytes",
                                  options.max_insert_request_bytes));
    }
    co_return std::move(body).error();
  }
  auto work = [&]() noexcept { return IngestRemoteWrite(body.value(), body_options, context); };
  Result<IngestOutput> output = co_await net::RunOn(pool, work);
  if (!output.ok()) co_return std::move(output).error();
  co_return co_await Push(request, output.value(), remote_write);
}

// Whole lines go to the pool while the rest of the body is still on its way.
asio::awaitable<Status> InsertHandler::Impl::InsertText(http::Request& request,
                                                        const IngestContext& context) {
  Result<int64_t> timestamp_arg = TimestampArg(request);
  if (!timestamp_arg.ok()) co_return std::move(timestamp_arg).error();
  Result<std::unique_ptr<BodyDecoder>> decoder =
      BodyDecoder::Make(request.headers.Get("Content-Encoding"));
  if (!decoder.ok()) co_return std::move(decoder).error();

  ByteBuffer piece(kReadStep);
  ByteBuffer lines;  // Undecoded tail of the previous piece first.
  bool is_end = false;
  while (!is_end) {
    const Result<size_t> size = co_await request.ReadBody(std::span<uint8_t>(piece));
    if (!size.ok()) co_return size.error();
    is_end = size.value() == 0;
    const ByteView bytes = ByteView(piece).first(size.value());
    auto decode = [&]() noexcept {
      Status status = decoder.value()->Feed(lines, bytes);
      if (status.ok() && is_end) status = decoder.value()->Finish(lines);
      return status;
    };
    Status decoded = co_await net::RunOn(pool, decode);
    if (!decoded.ok()) co_return std::move(decoded).error();

    const std::string_view all = AsText(lines);
    const size_t newline = all.rfind('\n');
    const size_t whole_size =
        is_end ? all.size() : (newline == std::string_view::npos ? 0 : newline + 1);
    if (whole_size > 0) {
      const std::string_view whole = all.substr(0, whole_size);
      const int64_t timestamp = timestamp_arg.value() > 0 ? timestamp_arg.value() : clock.NowMs();
      auto work = [&]() noexcept { return IngestText(whole, timestamp, context); };
      IngestOutput output = co_await net::RunOn(pool, work);
      const Status pushed = co_await Push(request, output, text);
      if (!pushed.ok()) co_return pushed.error();
      lines.erase(lines.begin(), lines.begin() + static_cast<ptrdiff_t>(whole_size));
    }
    if (lines.size() > options.max_text_line_bytes) {
      co_return Error(ErrorCode::kInvalidInput,
                      fmt::format("too long line: more than {} bytes", options.max_text_line_bytes));
    }
  }
  co_return Ok();
}

asio::awaitable<Status> InsertHandler::Impl::Push(http::Request& request, IngestOutput& output,
                                                  ProtocolMetrics& protocol) {
  for (const std::string& message : output.messages) Warn(request, message);
  invalid_lines.Add(output.invalid_lines_count);
  too_many_labels.Add(output.too_many_labels_count);
  too_long_label_name.Add(output.too_long_label_name_count);
  too_long_label_value.Add(output.too_long_label_value_count);
  too_long_metadata.Add(output.too_long_metadata_count);
  protocol.rows.Add(output.rows_count);
  protocol.rows_per_insert.Update(static_cast<double>(output.rows_count));
  protocol.metadata_rows.Add(output.metadata_count);
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
  Warn(request, message);
  co_await http::WriteError(response, status, std::move(message));
}

}  // namespace vm::insert
