#include "select/http/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "lib/encoding/int.h"
#include "select/format/csv.h"
#include "select/format/federate.h"
#include "select/format/native.h"
#include "select/http/args.h"
#include "select/http/query_args.h"
#include "select/http/search_args.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;

constexpr int64_t kDefaultLookback = 300000;

std::string_view ContentTypeOf(ExportFormat format) {
  switch (format) {
    case ExportFormat::kJsonLines:
    case ExportFormat::kPromApi: return kJsonStreamType;
    case ExportFormat::kPrometheus:
    case ExportFormat::kFederate: return kTextType;
    case ExportFormat::kCsv: return "text/csv; charset=utf-8";
    case ExportFormat::kNative: return "VictoriaMetrics/native";
  }
  return kTextType;
}

/// What stands in front of errors while samples are sent.
std::string SendContextOf(ExportFormat format) {
  switch (format) {
    case ExportFormat::kCsv: return "error during sending the exported csv data to remote client";
    case ExportFormat::kNative: return "error during sending native data to remote client";
    case ExportFormat::kFederate: return "error during sending data to remote client";
    default: return "cannot send data to remote client";
  }
}

/// Writes samples in one of the formats, series by series and each a piece at a time.
class ExportWriter {
 public:
  ExportWriter(const ExportRequest& request, const http::Headers& headers)
      : request_(request), names_(FederateNamesFor(headers.Get("Accept"), headers.Get("User-Agent"))) {}

  void AppendHead(std::string& dst) const {
    if (request_.format == ExportFormat::kPromApi) dst += kPromApiHead;
    if (request_.format == ExportFormat::kCsv) AppendCsvHeader(dst, request_.csv_fields);
    if (request_.format == ExportFormat::kNative) AppendNativeHeader(dst, request_.query.time_range);
  }
  void AppendTail(std::string& dst) const {
    if (request_.format == ExportFormat::kPromApi) dst += "]}";
  }

  /// Samples of one series, which must stay until AppendPiece has said that nothing is left.
  void Start(const ExportBlock& samples) {
    samples_.emplace(samples);
    next_ = 0;
  }
  /// True: more is to come.
  bool AppendPiece(std::string& dst) {
    if (json_line_) return Continue(json_line_, dst);
    if (promapi_item_) return Continue(promapi_item_, dst);
    const size_t left = samples_->timestamps.size() - next_;
    if (left == 0) return false;
    const bool is_one_line = request_.format != ExportFormat::kPrometheus && request_.format != ExportFormat::kCsv;
    size_t rows = request_.max_rows_per_line == 0 ? left : std::min(left, request_.max_rows_per_line);
    if (!is_one_line) rows = std::min(rows, kSamplesPerPiece);
    AppendLine(dst, {samples_->name, samples_->timestamps.subspan(next_, rows), samples_->values.subspan(next_, rows)});
    next_ += rows;
    return true;
  }

 private:
  template <class Line>
  static bool Continue(std::optional<Line>& line, std::string& dst) {
    if (!line->AppendPiece(dst)) line.reset();
    return true;
  }

  void AppendLine(std::string& dst, const ExportBlock& block) {
    switch (request_.format) {
      case ExportFormat::kJsonLines: json_line_.emplace(block); break;
      case ExportFormat::kPrometheus: AppendPrometheusExportLines(dst, block); break;
      case ExportFormat::kCsv: AppendCsvLines(dst, block, request_.csv_fields); break;
      case ExportFormat::kFederate: AppendFederateLine(dst, block, names_); break;
      case ExportFormat::kPromApi:
        if (has_items_) dst += ',';
        has_items_ = true;
        promapi_item_.emplace(block);
        break;
      case ExportFormat::kNative: break;
    }
  }

  const ExportRequest& request_;
  const FederateNames names_;
  bool has_items_ = false;
  std::optional<ExportBlock> samples_;
  size_t next_ = 0;
  // Begun and not ended.
  std::optional<JsonExportLine> json_line_;
  std::optional<PromApiItem> promapi_item_;
};

Status CheckAlive(const Deadline& deadline) {
  if (deadline.Cancelled()) return Error(ErrorCode::kCancelled, "the request has been cancelled");
  if (deadline.Expired()) return Error(ErrorCode::kLimitExceeded, "timeout exceeded during data export");
  return Ok();
}

/// Collects the text of an export and sends it in chunks.
class ExportSender {
 public:
  ExportSender(Call& call, const ExportRequest& request) : call_(call), request_(request), writer_(request, call.headers) {
    writer_.AppendHead(chunk_);
  }

  std::string& chunk() noexcept { return chunk_; }
  awaitable<Status> SendBigChunk() {
    if (chunk_.size() < kBodyChunkSize) co_return Ok();
    VM_CO_TRY(CheckAlive(request_.deadline));
    VM_CO_TRY(co_await call_.body.Write(std::move(chunk_)));
    chunk_.clear();
    co_return Ok();
  }
  awaitable<Status> AddSamples(ExportBlock samples) {
    writer_.Start(samples);
    while (writer_.AppendPiece(chunk_)) {
      if (chunk_.size() >= kBodyChunkSize) VM_CO_TRY(co_await SendBigChunk());
    }
    co_return Ok();
  }
  awaitable<Status> Finish() {
    writer_.AppendTail(chunk_);
    if (request_.format == ExportFormat::kPromApi) {
      call_.trace.Finish("export format=promapi");
      call_.trace.AppendJson(chunk_);
      chunk_ += '}';
    }
    co_return co_await call_.body.Write(std::move(chunk_));
  }

 private:
  Call& call_;
  const ExportRequest& request_;
  ExportWriter writer_;
  std::string chunk_;
};

/// Exports whole series, deduplicated.
awaitable<Status> SendSeries(Call& call, const ExportRequest& request, const PackedSeries& packed, ExportSender& sender) {
  uint64_t max_rows = 0;
  for (size_t i = 0; i < packed.size(); ++i) max_rows = std::max(max_rows, packed.rows_count(i));
  VM_CO_ASSIGN_OR_RETURN(const auto share, call.source.TakeMemory(max_rows * kBytesPerSample));
  PackedSeries::Scratch scratch;
  std::vector<int64_t> timestamps;
  std::vector<double> values;
  model::MetricName name;
  ReadMetrics* const metrics = call.source.read_metrics();
  uint64_t rows = 0;
  for (size_t i = 0; i < packed.size(); ++i) {
    VM_CO_TRY(CheckAlive(request.deadline));
    if (Status unpacked = packed.Unpack(i, scratch, timestamps, values); !unpacked.ok()) {
      co_return std::move(unpacked).error().WithContext(kUnpackContext);
    }
    rows += timestamps.size();
    if (metrics != nullptr) metrics->rows_per_series.Update(static_cast<double>(timestamps.size()));
    VM_CO_TRY(call.source.UnmarshalNameTo(AsBytes(packed.name(i)), name));
    ExportBlock samples{name, timestamps, values};
    VM_CO_TRY(co_await sender.AddSamples(samples));
  }
  if (metrics != nullptr) {
    metrics->rows_per_query.Update(static_cast<double>(rows));
    metrics->series_per_query.Update(static_cast<double>(packed.size()));
  }
  co_return Ok();
}

/// Exports blocks as they come from the nodes.
class BlockExporter : public BlockConsumer {
 public:
  BlockExporter(const Call& call, const ExportRequest& request, ExportSender& sender) : call_(call), request_(request), sender_(sender) {}

  awaitable<Status> Consume(const BlockBatch& blocks) override {
    for (size_t i = 0; i < blocks.size(); ++i) {
      VM_CO_TRY(CheckAlive(request_.deadline));
      ByteView rest = blocks[i];
      VM_CO_ASSIGN_OR_RETURN(const ByteView name, encoding::TakeBytes(rest));
      VM_CO_TRY(ReadName(name));
      VM_CO_ASSIGN_OR_RETURN(const auto block, model::UnmarshalBlock(rest));
      if (request_.format == ExportFormat::kNative) {
        AppendNativeBlock(sender_.chunk(), name_, block);
        VM_CO_TRY(co_await sender_.SendBigChunk());
        continue;
      }
      VM_CO_TRY(model::DecodeBlock(block, decoded_));
      timestamps_.clear();
      values_.clear();
      model::AppendSamplesInRange(decoded_, request_.query.time_range, timestamps_, values_);
      ExportBlock samples{name_, timestamps_, values_};
      VM_CO_TRY(co_await sender_.AddSamples(samples));
    }
    co_return Ok();
  }

 private:
  /// The blocks of a series mostly follow each other.
  Status ReadName(ByteView bytes) {
    if (!name_bytes_.empty() && AsText(name_bytes_) == AsText(bytes)) return Ok();
    VM_TRY(call_.source.UnmarshalNameTo(bytes, name_));
    name_bytes_.assign(bytes.begin(), bytes.end());
    return Ok();
  }

  const Call& call_;
  const ExportRequest& request_;
  ExportSender& sender_;
  ByteBuffer name_bytes_;
  model::MetricName name_;
  model::DecodedBlock decoded_;
  std::vector<int64_t> timestamps_;
  std::vector<double> values_;
};

/// Reads what the export endpoints have in common; the search lasts at most `max_ms`.
Result<ExportRequest> ParseExport(const Call& call, ExportFormat format, uint32_t max_series, int64_t max_ms) {
  VM_ASSIGN_OR_RETURN(auto args, ParseSearchArgs(call.options, call.url_args, call.args, call.now_ms, SearchKind::kSeries, true));
  ExportRequest request;
  request.query.tenant = call.tenant.value_or(model::Tenant());
  request.query.time_range = args.range;
  request.query.tag_filter_groups = std::move(args.filters);
  request.query.max_metrics = max_series;
  request.deadline = call.DeadlineOf(max_ms);
  request.format = format;
  return request;
}

Result<ExportRequest> ParseExport(const Call& call, ExportFormat format) {
  return ParseExport(call, format, call.options.max_export_series, call.options.max_export_duration_ms);
}

awaitable<Answer> Respond(Call& call, ExportRequest request, std::string context) {
  auto sent = co_await Export(call, std::move(request));
  if (sent.ok()) co_return SentAnswer();
  co_return PlainError(context.empty() ? std::move(sent).error() : std::move(sent).error().WithContext(context));
}

}  // namespace

awaitable<Status> Export(Call& call, ExportRequest request) {
  // Whoever takes data away expects all of it.
  const bool is_federation = request.format == ExportFormat::kFederate;
  if (!is_federation) call.source.DenyPartial();
  request.query.tenant = call.tenant.value_or(model::Tenant());
  VM_CO_ASSIGN_OR_RETURN(const auto queries, co_await call.source.PerTenant(request.query, request.deadline));
  call.body.SetContentType(ContentTypeOf(request.format));
  ExportSender sender(call, request);
  BlockExporter exporter(call, request, sender);
  for (const auto& query : queries) {
    if (request.is_streamed) {
      auto streamed = co_await call.source.StreamBlocks(query, request.deadline, exporter);
      if (!streamed.ok()) co_return std::move(streamed).error().WithContext(SendContextOf(request.format) + ": error occured during export");
      continue;
    }
    const auto packed = co_await call.source.FetchPacked(query, request.deadline);
    if (!packed.ok()) co_return Error(packed.error()).WithContext("cannot fetch data for " + QuotedSearchQuery(query, !call.tenant));
    if (is_federation && call.source.is_partial()) {
      co_return Error(ErrorCode::kInvalidInput, "cannot export federated metrics, because some of vmstorage nodes are unavailable");
    }
    if (Status sent = co_await SendSeries(call, request, packed.value(), sender); !sent.ok()) {
      co_return std::move(sent).error().WithContext(SendContextOf(request.format));
    }
  }
  co_return co_await sender.Finish();
}

awaitable<Answer> HandleExport(Call& call) {
  const auto format = call.args.Get("format");
  auto request = ParseExport(call, format == "prometheus" ? ExportFormat::kPrometheus
                                   : format == "promapi"  ? ExportFormat::kPromApi
                                                          : ExportFormat::kJsonLines);
  if (!request.ok()) co_return PlainError(request.error());
  request.value().is_streamed = ParseBoolArg(call.args.Get("reduce_mem_usage"));
  const auto max_rows = ParseIntArg("max_rows_per_line", call.args.Get("max_rows_per_line"));
  if (max_rows.ok() && max_rows.value() > 0) request.value().max_rows_per_line = static_cast<size_t>(max_rows.value());
  const model::TimeRange range = request.value().query.time_range;
  co_return co_await Respond(call, std::move(request).value(),
                             fmt::format("error when exporting data on the time range (start={}, end={})", range.min_timestamp, range.max_timestamp));
}

awaitable<Answer> HandleExportCsv(Call& call) {
  auto request = ParseExport(call, ExportFormat::kCsv);
  if (!request.ok()) co_return PlainError(request.error());
  const auto format = call.args.Get("format");
  if (format.empty()) {
    co_return PlainError(400, "missing `format` arg; see "
                              "https://docs.victoriametrics.com/victoriametrics/single-server-victoriametrics/#how-to-export-csv-data");
  }
  request.value().csv_fields = SplitCsvFields(format);
  request.value().is_streamed = ParseBoolArg(call.args.Get("reduce_mem_usage"));
  co_return co_await Respond(call, std::move(request).value(), "");
}

awaitable<Answer> HandleExportNative(Call& call) {
  auto request = ParseExport(call, ExportFormat::kNative);
  if (!request.ok()) co_return PlainError(request.error());
  request.value().is_streamed = true;
  co_return co_await Respond(call, std::move(request).value(), "");
}

awaitable<Answer> HandleFederate(Call& call) {
  auto request = ParseExport(call, ExportFormat::kFederate, call.options.max_federate_series, call.options.max_query_duration_ms);
  if (!request.ok()) co_return PlainError(request.error());
  const auto lookback = ParseLookback(call.options, call.args);
  if (!lookback.ok()) co_return PlainError(lookback.error());
  model::TimeRange& range = request.value().query.time_range;
  const bool is_default_range = range.min_timestamp == 0 && call.now_ms - range.max_timestamp < 1000;
  if (is_default_range) range.min_timestamp = range.max_timestamp - (lookback.value() > 0 ? lookback.value() : kDefaultLookback);
  co_return co_await Respond(call, std::move(request).value(), "");
}

}  // namespace vm::select
