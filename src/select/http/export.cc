#include "select/http/export.h"

#include <fmt/format.h>

#include <algorithm>

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

/// Writes series in one of the formats, one after the other.
class ExportWriter {
 public:
  ExportWriter(const ExportRequest& request, const FanoutSource& source, const http::Headers& headers)
      : request_(request), source_(source), names_(FederateNamesFor(headers.Get("Accept"), headers.Get("User-Agent"))) {}

  void AppendHead(std::string& dst) const {
    if (request_.format == ExportFormat::kPromApi) dst += kPromApiHead;
    if (request_.format == ExportFormat::kCsv) AppendCsvHeader(dst, request_.csv_fields);
    if (request_.format == ExportFormat::kNative) AppendNativeHeader(dst, request_.query.time_range);
  }

  /// Errors: those of unpacking.
  Status AppendSeries(std::string& dst, const PackedSeries& packed, size_t i) {
    VM_ASSIGN_OR_RETURN(const auto name, source_.UnmarshalName(AsBytes(packed.name(i))));
    if (request_.format == ExportFormat::kNative) {
      return packed.ForEachBlock(i, [&](const model::EncodedBlock& block) {
        AppendNativeBlock(dst, name, block);
        return Ok();
      });
    }
    VM_TRY(packed.Unpack(i, scratch_, timestamps_, values_));
    AppendLines(dst, name, timestamps_, values_);
    return Ok();
  }

  void AppendTail(std::string& dst) const {
    if (request_.format == ExportFormat::kPromApi) dst += "]}";
  }

 private:
  void AppendLines(std::string& dst, const model::MetricName& name, std::span<const int64_t> timestamps, std::span<const double> values) {
    const size_t max_rows = request_.max_rows_per_line == 0 ? timestamps.size() : request_.max_rows_per_line;
    for (size_t at = 0; at < timestamps.size(); at += max_rows) {
      const size_t rows = std::min(max_rows, timestamps.size() - at);
      AppendBlock(dst, {name, timestamps.subspan(at, rows), values.subspan(at, rows)});
    }
  }

  void AppendBlock(std::string& dst, const ExportBlock& block) {
    switch (request_.format) {
      case ExportFormat::kJsonLines: AppendJsonExportLine(dst, block); break;
      case ExportFormat::kPrometheus: AppendPrometheusExportLines(dst, block); break;
      case ExportFormat::kCsv: AppendCsvLines(dst, block, request_.csv_fields); break;
      case ExportFormat::kFederate: AppendFederateLine(dst, block, names_); break;
      case ExportFormat::kPromApi:
        if (has_items_) dst += ',';
        has_items_ = true;
        AppendPromApiItem(dst, block);
        break;
      case ExportFormat::kNative: break;
    }
  }

  const ExportRequest& request_;
  const FanoutSource& source_;
  const FederateNames names_;
  bool has_items_ = false;
  PackedSeries::Scratch scratch_;
  std::vector<int64_t> timestamps_;
  std::vector<double> values_;
};

Status CheckAlive(const Deadline& deadline) {
  if (deadline.Cancelled()) return Error(ErrorCode::kCancelled, "the request has been cancelled");
  if (deadline.Expired()) return Error(ErrorCode::kLimitExceeded, "timeout exceeded during data export");
  return Ok();
}

/// Appends all series to `chunk`, which is sent whenever it is big enough.
awaitable<Status> SendSeries(Call& call, const ExportRequest& request, const PackedSeries& packed, ExportWriter& writer, std::string& chunk) {
  for (size_t i = 0; i < packed.size(); ++i) {
    VM_CO_TRY(CheckAlive(request.deadline));
    VM_CO_TRY(writer.AppendSeries(chunk, packed, i));
    if (chunk.size() < kBodyChunkSize) continue;
    VM_CO_TRY(co_await call.body.Write(std::move(chunk)));
    chunk.clear();
  }
  co_return Ok();
}

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
  call.source.DenyPartial();
  request.query.tenant = call.tenant.value_or(model::Tenant());
  VM_CO_ASSIGN_OR_RETURN(const auto queries, co_await call.source.PerTenant(request.query, request.deadline));
  ExportWriter writer(request, call.source, call.headers);
  call.body.SetContentType(ContentTypeOf(request.format));
  std::string chunk;
  writer.AppendHead(chunk);
  for (const auto& query : queries) {
    VM_CO_ASSIGN_OR_RETURN(const auto packed, co_await call.source.FetchPacked(query, request.deadline));
    VM_CO_TRY(co_await SendSeries(call, request, packed, writer, chunk));
  }
  writer.AppendTail(chunk);
  if (request.format == ExportFormat::kPromApi) {
    call.trace.Finish("export format=promapi");
    call.trace.AppendJson(chunk);
    chunk += '}';
  }
  co_return co_await call.body.Write(std::move(chunk));
}

awaitable<Answer> HandleExport(Call& call) {
  const auto format = call.args.Get("format");
  auto request = ParseExport(call, format == "prometheus" ? ExportFormat::kPrometheus
                                   : format == "promapi"  ? ExportFormat::kPromApi
                                                          : ExportFormat::kJsonLines);
  if (!request.ok()) co_return PlainError(request.error());
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
  co_return co_await Respond(call, std::move(request).value(), "");
}

awaitable<Answer> HandleExportNative(Call& call) {
  auto request = ParseExport(call, ExportFormat::kNative);
  if (!request.ok()) co_return PlainError(request.error());
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
