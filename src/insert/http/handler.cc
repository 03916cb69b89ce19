#include "insert/http/handler.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "insert/http/endpoints.h"
#include "insert/http/ingest.h"
#include "insert/http/path.h"
#include "insert/parse/native/native.h"
#include "lib/log/log.h"
#include "lib/regex/unicode.h"

namespace vm::insert {

namespace asio = boost::asio;

namespace {

constexpr std::string_view kImportPath = "prometheus/api/v1/import/prometheus";
constexpr std::string_view kJson = "application/json";
/// Remote write of this size takes less than half a millisecond.
constexpr size_t kCheapBytes = 512 << 10;

int StatusOf(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kCancelled:
    case ErrorCode::kIo: return 503;  // Out of memory, too: the body is not to blame.
    default: return 400;
  }
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
                 fmt::format("cannot parse `timestamp={0}` query arg: strconv.ParseInt: parsing \"{0}\": invalid syntax", text));
  }
  return timestamp;
}

/// Names the protocol in errors of its bodies.
Status WithContext(Status status, std::string_view context) {
  if (status.ok() || status.error().code() == ErrorCode::kUnavailable) return status;
  return std::move(status).error().WithContext(context);
}

}  // namespace

struct InsertHandler::Impl {
  // What is done with requests for a path.
  struct Endpoint {
    Endpoint(const InsertEndpoint& what_in, metrics::Registry& registry)
        : what(what_in), requests(registry.GetCounter(Name("vm_http_requests_total", what_in))) {
      if (what.kind != BodyKind::kNone) errors = &registry.GetCounter(Name("vm_http_request_errors_total", what_in));
    }

    static std::string Name(std::string_view name, const InsertEndpoint& what) {
      return fmt::format("{}{{path=\"/insert/{{}}/{}\", protocol=\"{}\"}}", name, what.path_label, what.protocol_label);
    }

    const InsertEndpoint& what;
    metrics::Counter& requests;
    metrics::Counter* errors = nullptr;  // Of those whose body is read.
  };

  Impl(Ingester& ingester_in, metrics::Registry& registry)
      : ingester(ingester_in), request_duration(registry.GetHistogram("vminsert_request_duration_seconds")) {
    for (const InsertEndpoint& what : InsertEndpoints()) endpoints.push_back(std::make_unique<Endpoint>(what, registry));
  }

  asio::awaitable<bool> Route(http::Request& request, http::Response& response);
  const Endpoint* FindEndpoint(std::string_view suffix) const;
  asio::awaitable<Status> Insert(http::Request& request, std::optional<model::Tenant> tenant, BodyKind kind,
                                 BodyKind counted_as);
  asio::awaitable<void> Fail(http::Request& request, http::Response& response, int status,
                             std::string message);

  Ingester& ingester;
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  metrics::Histogram& request_duration;
};

InsertHandler::InsertHandler(Ingester& ingester, metrics::Registry& registry)
    : impl_(std::make_unique<Impl>(ingester, registry)) {}

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
      ParseInsertPath(request.path, ingester.options().tenant_from_headers, request.headers.Get("AccountID"),
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
    const Status status = co_await Insert(request, tenant.value(), kind, endpoint->what.kind);
    if (!status.ok()) {
      endpoint->errors->Inc();
      if (kind == BodyKind::kZabbix) {
        // The connector shows its users the text of this object.
        VM_LOG_WARN("{}; {}", http::DescribeRequest(request), status.error().message());
        std::string type(kJson);
        std::string answer = "{\"error\":";
        regex::AppendGoQuoted(answer, status.error().message());
        answer += '}';
        co_await http::WriteText(response, StatusOf(status.error()), std::move(type), std::move(answer));
        co_return true;
      }
      co_await Fail(request, response, StatusOf(status.error()), status.error().message());
      co_return true;
    }
  }
  // Pushgateway clients take nothing but 200.
  const bool is_pushgateway = suffix.starts_with(std::string(kImportPath) + "/metrics/job/");
  response.SetStatus(is_pushgateway ? 200 : endpoint->what.status);
  if (const std::string id(request.headers.Get("X-Amz-Firehose-Request-Id"));
      endpoint->what.kind == BodyKind::kOtlp && !id.empty()) {
    std::string type(kJson);
    std::string answer = "{\"requestId\":" + QuoteJson(id) + ",\"timestamp\":" + std::to_string(ingester.NowMs()) + "}";
    co_await http::WriteText(response, 200, std::move(type), std::move(answer));
  } else if (suffix == "influx/query") {
    std::string type(kJson);
    std::string names = InfluxDatabaseNames(ingester.options().influx.database_names);
    co_await http::WriteText(response, 200, std::move(type), std::move(names));
  } else if (!endpoint->what.answer.empty()) {
    std::string type(kJson);
    std::string answer(endpoint->what.answer);
    co_await http::WriteText(response, endpoint->what.status, std::move(type), std::move(answer));
  }
  co_return true;
}

asio::awaitable<Status> InsertHandler::Impl::Insert(http::Request& request, std::optional<model::Tenant> tenant,
                                                    BodyKind kind, BodyKind counted_as) {
  const InsertOptions& options = ingester.options();
  IngestContext context = ingester.MakeContext(tenant);
  std::vector<std::string> args;
  for (const std::string_view arg : request.query.GetAll("extra_label")) args.emplace_back(arg);
  VM_CO_ASSIGN_OR_RETURN(context.extra_labels, ParseExtraLabels(request.path, args));

  std::string encoding(request.headers.Get("Content-Encoding"));
  std::string who = http::DescribeRequest(request);
  ByteSource source = [&request](std::span<uint8_t> dst) { return request.ReadBody(dst); };
  StreamFormat stream;
  WholeFormat whole;
  switch (kind) {
    case BodyKind::kNone: co_return Ok();
    case BodyKind::kRemoteWrite: {
      RemoteWriteBodyOptions body;
      body.prefer_zstd = encoding == "zstd";
      body.max_size_bytes = options.max_insert_request_bytes;
      whole.limit = SizeLimit{options.max_insert_request_bytes, "maxInsertRequestSize"};
      whole.is_encoded = false;
      const auto start = std::chrono::steady_clock::now();
      whole.parse = [body, &context](ByteView packed, IngestOutput& output) {
        return IngestRemoteWrite(packed, body, context, output);
      };
      whole.explain = [start](Error error) {
        const auto passed = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start);
        return std::move(error).WithContext(
            fmt::format("cannot read prometheus remote_write data from client in {} seconds", passed.count()));
      };
      if (context.relabeling == nullptr) {
        whole.is_cheap = [](ByteView packed) {
          return packed.size() <= kCheapBytes && AnnouncedBodySize(packed).value_or(SIZE_MAX) <= kCheapBytes;
        };
      }
      co_return co_await ingester.InsertWhole(std::move(source), std::move(encoding), counted_as, std::move(who),
                                              std::move(whole));
    }
    case BodyKind::kText: {
      VM_CO_ASSIGN_OR_RETURN(const int64_t timestamp, TimestampArg(request));
      stream = LinesFormat(options.max_text_line_bytes, [this, timestamp, &context](std::string_view lines, bool,
                                                                                      IngestOutput& output) {
        return IngestText(lines, timestamp > 0 ? timestamp : ingester.NowMs(), context, output);
      });
      stream.too_long = "cannot read Prometheus exposition data: " + stream.too_long;
      stream.is_cheap = context.relabeling == nullptr;
      break;
    }
    case BodyKind::kJsonLines:
      stream = LinesFormat(options.max_json_line_bytes, [&context](std::string_view lines, bool, IngestOutput& output) {
        return IngestJsonLines(lines, context, output);
      });
      stream.is_cheap = context.relabeling == nullptr;
      break;
    case BodyKind::kCsv: {
      Result<std::vector<CsvColumn>> columns = ParseCsvFormat(request.query.Get("format"));
      if (!columns.ok()) co_return std::move(columns).error().WithContext("cannot parse the provided csv format");
      stream = LinesFormat(options.max_text_line_bytes, [this, columns = std::move(columns).value(), &options, &context](
                                                            std::string_view lines, bool is_first, IngestOutput& output) {
        return IngestCsv(lines, columns, is_first, options.csv_trim_ms, ingester.NowMs(), context, output);
      });
      break;
    }
    case BodyKind::kNative: {
      const auto reader = std::make_shared<NativeReader>();
      stream.max_part_bytes = 3 * NativeReader::kMaxPartBytes;
      stream.too_long = "too big native block";
      stream.whole_size = [reader](ByteView bytes, bool is_end) { return reader->WholeSize(bytes, is_end); };
      stream.parse = [reader, &context](ByteView bytes, bool, IngestOutput& output) {
        return IngestNative(*reader, bytes, context, output);
      };
      break;
    }
    case BodyKind::kInflux: {
      const InfluxTimestamps timestamps(request.query.Get("precision"), options.influx.trim_timestamp_ms);
      const std::string db(request.query.Get("db"));
      const bool is_stream = options.influx.force_stream_mode || request.headers.Get("Stream-Mode") == "1";
      const auto parse = [this, timestamps, db, is_stream, &options, &context](std::string_view lines, IngestOutput& output) {
        return IngestInflux(lines, timestamps, db, is_stream, ingester.NowMs(), options.influx, context, output);
      };
      constexpr std::string_view kContext = "cannot process influx line protocol data";
      if (is_stream) {
        stream = LinesFormat(options.influx.max_line_bytes,
                             [parse](std::string_view lines, bool, IngestOutput& output) { return parse(lines, output); });
        Status status = co_await ingester.InsertStream(std::move(source), std::move(encoding), counted_as, std::move(who),
                                                       std::move(stream));
        co_return WithContext(std::move(status), kContext);
      }
      whole.limit = SizeLimit{options.influx.max_request_bytes, "influx.maxRequestSize"};
      whole.parse = [parse](ByteView body, IngestOutput& output) { return parse(AsText(body), output); };
      Status status = co_await ingester.InsertWhole(std::move(source), std::move(encoding), counted_as, std::move(who),
                                                    std::move(whole));
      co_return WithContext(std::move(status), kContext);
    }
    case BodyKind::kDatadogV1:
    case BodyKind::kDatadogV2: {
      const DatadogFormat format = kind == BodyKind::kDatadogV1 ? DatadogFormat::kV1
                                   : request.headers.Get("Content-Type") == "application/x-protobuf"
                                       ? DatadogFormat::kV2Protobuf
                                       : DatadogFormat::kV2Json;
      whole.limit = SizeLimit{options.max_datadog_request_bytes, "datadog.maxInsertRequestSize"};
      whole.parse = [this, format, &options, &context](ByteView body, IngestOutput& output) {
        return IngestDatadog(body, format, options.sanitize_datadog_names, ingester.NowMs(), context, output);
      };
      Status status = co_await ingester.InsertWhole(std::move(source), std::move(encoding), counted_as, std::move(who),
                                                    std::move(whole));
      co_return WithContext(std::move(status), "cannot decode DataDog protocol data");
    }
    case BodyKind::kDatadogSketches: {
      whole.limit = SizeLimit{options.max_datadog_request_bytes, "datadog.maxInsertRequestSize"};
      whole.parse = [&options, &context](ByteView body, IngestOutput& output) {
        return IngestDatadogSketches(body, options.sanitize_datadog_names, context, output);
      };
      Status status = co_await ingester.InsertWhole(std::move(source), std::move(encoding), counted_as, std::move(who),
                                                    std::move(whole));
      co_return WithContext(std::move(status), "cannot decode DataDog protocol data");
    }
    case BodyKind::kNewrelic: {
      whole.limit = SizeLimit{options.max_newrelic_request_bytes, "newrelic.maxInsertRequestSize"};
      whole.parse = [this, &context](ByteView body, IngestOutput& output) {
        return IngestNewrelic(AsText(body), ingester.NowMs(), context, output);
      };
      Status status = co_await ingester.InsertWhole(std::move(source), std::move(encoding), counted_as, std::move(who),
                                                    std::move(whole));
      co_return WithContext(std::move(status), "cannot decode NewRelic data");
    }
    case BodyKind::kZabbix:
      stream = LinesFormat(options.max_zabbix_line_bytes, [&options, &context](std::string_view lines, bool, IngestOutput& output) {
        return IngestZabbix(lines, options.zabbix, context, output);
      });
      stream.too_long = "cannot read zabbixconnector data: " + stream.too_long;
      break;
    case BodyKind::kOtlp: {
      const bool is_json = request.headers.Get("Content-Type") == "application/json";
      const bool is_firehose = is_json && !request.headers.Get("X-Amz-Firehose-Protocol-Version").empty();
      if (is_json && !is_firehose) {
        co_return Error(ErrorCode::kInvalidInput,
                        "json encoding isn't supported for opentelemetry format. Use protobuf encoding");
      }
      whole.limit = SizeLimit{options.max_otlp_request_bytes, "opentelemetry.maxRequestSize"};
      whole.parse = [is_firehose, &options, &context](ByteView body, IngestOutput& output) {
        return IngestOtlp(body, is_firehose, options.otlp, context, output);
      };
      Status status = co_await ingester.InsertWhole(std::move(source), std::move(encoding), counted_as, std::move(who),
                                                    std::move(whole));
      co_return WithContext(std::move(status), "cannot decode OpenTelemetry protocol data");
    }
    case BodyKind::kGraphite:
    case BodyKind::kOpentsdb:
    case BodyKind::kOpentsdbHttp:
    case BodyKind::kClusterNative: co_return Ok();  // They have listeners of their own.
  }
  co_return co_await ingester.InsertStream(std::move(source), std::move(encoding), counted_as, std::move(who),
                                           std::move(stream));
}

asio::awaitable<void> InsertHandler::Impl::Fail(http::Request& request, http::Response& response,
                                                int status, std::string message) {
  VM_LOG_WARN("{}; {}", http::DescribeRequest(request), message);
  co_await http::WriteError(response, status, std::move(message));
}

}  // namespace vm::insert
