#include "lib/rpc/select_codec.h"

#include <fmt/format.h>

#include <array>

#include "lib/encoding/int.h"
#include "lib/rpc/frame.h"
#include "lib/rpc/insert_codec.h"

namespace vm::rpc {
namespace {

using Kind = ArgField::Kind;

constexpr size_t kMaxMetricNameRawSize = 1 << 20;
constexpr size_t kMaxTextItemSize = 16777216;
constexpr uint32_t kMaxLimit = 0x7fffffff;

constexpr std::array kQueryArgs = {ArgField{Kind::kFrame, kMaxSearchQuerySize}};
constexpr std::array kLabelNamesArgs = {ArgField{Kind::kFrame, kMaxSearchQuerySize},
                                        ArgField{Kind::kFixed, 4}};
constexpr std::array kLabelValuesArgs = {ArgField{Kind::kFrame, kMaxLabelNameArgSize},
                                         ArgField{Kind::kFrame, kMaxSearchQuerySize},
                                         ArgField{Kind::kFixed, 4}};
constexpr std::array kSeriesCountArgs = {ArgField{Kind::kFixed, 8}};
constexpr std::array kSearchMetadataArgs = {ArgField{Kind::kOptionalTenant, 8},
                                            ArgField{Kind::kFixed, 4},
                                            ArgField{Kind::kFrame, kMaxMetricNameArgSize}};

constexpr std::array kTagValueSuffixesArgs = {
    ArgField{Kind::kFixed, 24}, ArgField{Kind::kFrame, kMaxLabelNameArgSize},
    ArgField{Kind::kFrame, kMaxLabelNameArgSize}, ArgField{Kind::kFixed, 5}};
constexpr std::array kTsdbStatusArgs = {ArgField{Kind::kFrame, kMaxSearchQuerySize},
                                        ArgField{Kind::kFrame, kMaxLabelNameArgSize},
                                        ArgField{Kind::kFixed, 4}};
constexpr std::array kRegisterArgs = {ArgField{Kind::kNamesAndTimes, kMaxMetricNameRawSize}};
constexpr std::array kTenantsArgs = {ArgField{Kind::kFixed, 16}};
constexpr std::array kUsageStatsArgs = {ArgField{Kind::kOptionalTenant, 8},
                                        ArgField{Kind::kFixed, 12},
                                        ArgField{Kind::kFrame, kMaxMatchPatternSize}};

constexpr std::array<uint8_t, 6> kTsdbStatusLists = {1, 1, 1, 1, 1, 2};
constexpr std::array<uint8_t, 1> kUsageStatsLists = {2};

// In the order of SelectArgs.
constexpr std::array<SelectMethod, 13> kMethods = {
    SelectMethod{"search_v7", PayloadKind::kList, 1 << 20, kQueryArgs, "search"},
    SelectMethod{"searchMetricNames_v3", PayloadKind::kCounted, 65536, kQueryArgs,
                 "searchMetricNames"},
    SelectMethod{"labelNames_v5", PayloadKind::kList, kMaxTextItemSize, kLabelNamesArgs,
                 "labelNames"},
    SelectMethod{"labelValues_v5", PayloadKind::kList, kMaxTextItemSize, kLabelValuesArgs,
                 "labelValues"},
    SelectMethod{"seriesCount_v4", PayloadKind::kNumber, 0, kSeriesCountArgs, "seriesCount"},
    SelectMethod{"searchMetadata_v1", PayloadKind::kCounted, kMaxTextItemSize,
                 kSearchMetadataArgs, "searchMetadata"},
    SelectMethod{"tagValueSuffixes_v4", PayloadKind::kCounted, kMaxTextItemSize,
                 kTagValueSuffixesArgs, "tagValueSuffixes"},
    SelectMethod{"tsdbStatus_v6", PayloadKind::kTables, kMaxTextItemSize, kTsdbStatusArgs,
                 "tsdbStatus", TablesShape{2, kTsdbStatusLists}},
    SelectMethod{"deleteSeries_v5", PayloadKind::kNumber, 0, kQueryArgs, "deleteSeries"},
    SelectMethod{"registerMetricNames_v3", PayloadKind::kNothing, 0, kRegisterArgs,
                 "registerMetricNames"},
    SelectMethod{"tenants_v1", PayloadKind::kList, kMaxTextItemSize, kTenantsArgs, "tenants"},
    SelectMethod{"metricNamesUsageStats_v1", PayloadKind::kTables, kMaxTextItemSize,
                 kUsageStatsArgs, "metricNamesUsageStats", TablesShape{4, kUsageStatsLists}},
    SelectMethod{"resetMetricNamesStats_v1", PayloadKind::kTraceOnly, 0, {},
                 "resetMetricNamesStats"},
};
static_assert(kMethods.size() == std::variant_size_v<SelectArgs>);

void AppendQuery(ByteBuffer& dst, const model::SearchQuery& query) {
  ByteBuffer packed;
  model::MarshalSearchQuery(packed, query);
  AppendFrame(dst, packed);
}

Result<model::SearchQuery> TakeQuery(ByteView& src) {
  VM_ASSIGN_OR_RETURN(const ByteView packed, TakeFrame(src, kMaxSearchQuerySize));
  return model::UnmarshalSearchQuery(packed);
}

Result<uint32_t> TakeLimit(ByteView& src) {
  VM_ASSIGN_OR_RETURN(const uint32_t limit, encoding::TakeUint<uint32_t>(src));
  return std::min(limit, kMaxLimit);
}

void AppendTenant(ByteBuffer& dst, model::Tenant tenant) {
  AppendBigEndian<uint32_t>(dst, tenant.account_id);
  AppendBigEndian<uint32_t>(dst, tenant.project_id);
}

Result<model::Tenant> TakeTenant(ByteView& src) {
  VM_ASSIGN_OR_RETURN(const uint32_t account_id, encoding::TakeUint<uint32_t>(src));
  VM_ASSIGN_OR_RETURN(const uint32_t project_id, encoding::TakeUint<uint32_t>(src));
  return model::Tenant{account_id, project_id};
}

void AppendTimeRange(ByteBuffer& dst, const model::TimeRange& range) {
  AppendBigEndian(dst, static_cast<uint64_t>(range.min_timestamp));
  AppendBigEndian(dst, static_cast<uint64_t>(range.max_timestamp));
}

Result<model::TimeRange> TakeTimeRange(ByteView& src) {
  VM_ASSIGN_OR_RETURN(const uint64_t min, encoding::TakeUint<uint64_t>(src));
  VM_ASSIGN_OR_RETURN(const uint64_t max, encoding::TakeUint<uint64_t>(src));
  return model::TimeRange{static_cast<int64_t>(min), static_cast<int64_t>(max)};
}

Result<std::optional<model::Tenant>> TakeOptionalTenant(ByteView& src) {
  std::optional<model::Tenant> tenant;
  VM_ASSIGN_OR_RETURN(const uint8_t has_tenant, encoding::TakeUint<uint8_t>(src));
  if (has_tenant != 0) {
    VM_ASSIGN_OR_RETURN(tenant, TakeTenant(src));
  }
  return tenant;
}

struct ArgsWriter {
  ByteBuffer& dst;

  void operator()(const SearchRequest& r) const { AppendQuery(dst, r.query); }
  void operator()(const SearchMetricNamesRequest& r) const { AppendQuery(dst, r.query); }
  void operator()(const LabelNamesRequest& r) const {
    AppendQuery(dst, r.query);
    AppendBigEndian<uint32_t>(dst, r.max_names);
  }
  void operator()(const LabelValuesRequest& r) const {
    AppendFrame(dst, r.label_name);
    AppendQuery(dst, r.query);
    AppendBigEndian<uint32_t>(dst, r.max_values);
  }
  void operator()(const SeriesCountRequest& r) const { AppendTenant(dst, r.tenant); }
  void operator()(const SearchMetadataRequest& r) const {
    dst.push_back(r.tenant ? 1 : 0);
    if (r.tenant) AppendTenant(dst, *r.tenant);
    AppendBigEndian<uint32_t>(dst, r.limit);
    AppendFrame(dst, r.metric_name);
  }
  void operator()(const TagValueSuffixesRequest& r) const {
    AppendTenant(dst, r.tenant);
    AppendTimeRange(dst, r.time_range);
    AppendFrame(dst, r.tag_key);
    AppendFrame(dst, r.tag_value_prefix);
    dst.push_back(static_cast<uint8_t>(r.delimiter));
    AppendBigEndian<uint32_t>(dst, r.max_suffixes);
  }
  void operator()(const TsdbStatusRequest& r) const {
    AppendQuery(dst, r.query);
    AppendFrame(dst, r.focus_label);
    AppendBigEndian<uint32_t>(dst, r.top_n);
  }
  void operator()(const DeleteSeriesRequest& r) const { AppendQuery(dst, r.query); }
  void operator()(const RegisterMetricNamesRequest& r) const {
    AppendBigEndian<uint64_t>(dst, r.names.size());
    for (const auto& name : r.names) {
      AppendFrame(dst, name.metric_name_raw);
      AppendBigEndian(dst, static_cast<uint64_t>(name.timestamp));
    }
  }
  void operator()(const TenantsRequest& r) const { AppendTimeRange(dst, r.time_range); }
  void operator()(const MetricNamesUsageStatsRequest& r) const {
    dst.push_back(r.tenant ? 1 : 0);
    if (r.tenant) AppendTenant(dst, *r.tenant);
    AppendBigEndian<uint32_t>(dst, r.limit);
    AppendBigEndian(dst, encoding::ZigZag64(r.le));
    AppendFrame(dst, r.match_pattern);
  }
  void operator()(const ResetMetricNamesStatsRequest&) const {}
};

Result<SelectArgs> TakeArgs(size_t index, ByteView& src) {
  switch (index) {
    case 0: {
      VM_ASSIGN_OR_RETURN(auto query, TakeQuery(src));
      return SelectArgs(SearchRequest{std::move(query)});
    }
    case 1: {
      VM_ASSIGN_OR_RETURN(auto query, TakeQuery(src));
      return SelectArgs(SearchMetricNamesRequest{std::move(query)});
    }
    case 2: {
      VM_ASSIGN_OR_RETURN(auto query, TakeQuery(src));
      VM_ASSIGN_OR_RETURN(const uint32_t limit, TakeLimit(src));
      return SelectArgs(LabelNamesRequest{std::move(query), limit});
    }
    case 3: {
      VM_ASSIGN_OR_RETURN(const ByteView label_name, TakeFrame(src, kMaxLabelNameArgSize));
      VM_ASSIGN_OR_RETURN(auto query, TakeQuery(src));
      VM_ASSIGN_OR_RETURN(const uint32_t limit, TakeLimit(src));
      return SelectArgs(LabelValuesRequest{std::string(AsText(label_name)), std::move(query), limit});
    }
    case 4: {
      VM_ASSIGN_OR_RETURN(const auto tenant, TakeTenant(src));
      return SelectArgs(SeriesCountRequest{tenant});
    }
    case 5: {
      SearchMetadataRequest request;
      VM_ASSIGN_OR_RETURN(request.tenant, TakeOptionalTenant(src));
      VM_ASSIGN_OR_RETURN(request.limit, TakeLimit(src));
      VM_ASSIGN_OR_RETURN(const ByteView name, TakeFrame(src, kMaxMetricNameArgSize));
      request.metric_name = AsText(name);
      return SelectArgs(std::move(request));
    }
    case 6: {
      TagValueSuffixesRequest request;
      VM_ASSIGN_OR_RETURN(request.tenant, TakeTenant(src));
      VM_ASSIGN_OR_RETURN(request.time_range, TakeTimeRange(src));
      VM_ASSIGN_OR_RETURN(const ByteView key, TakeFrame(src, kMaxLabelNameArgSize));
      request.tag_key = AsText(key);
      VM_ASSIGN_OR_RETURN(const ByteView prefix, TakeFrame(src, kMaxLabelNameArgSize));
      request.tag_value_prefix = AsText(prefix);
      VM_ASSIGN_OR_RETURN(const uint8_t delimiter, encoding::TakeUint<uint8_t>(src));
      request.delimiter = static_cast<char>(delimiter);
      VM_ASSIGN_OR_RETURN(request.max_suffixes, TakeLimit(src));
      return SelectArgs(std::move(request));
    }
    case 7: {
      TsdbStatusRequest request;
      VM_ASSIGN_OR_RETURN(request.query, TakeQuery(src));
      VM_ASSIGN_OR_RETURN(const ByteView label, TakeFrame(src, kMaxLabelNameArgSize));
      request.focus_label = AsText(label);
      VM_ASSIGN_OR_RETURN(request.top_n, encoding::TakeUint<uint32_t>(src));
      return SelectArgs(std::move(request));
    }
    case 8: {
      VM_ASSIGN_OR_RETURN(auto query, TakeQuery(src));
      return SelectArgs(DeleteSeriesRequest{std::move(query)});
    }
    case 9: {
      RegisterMetricNamesRequest request;
      VM_ASSIGN_OR_RETURN(const uint64_t count, encoding::TakeUint<uint64_t>(src));
      if (count > kMaxNamesPerRegistration) {
        return Error(ErrorCode::kCorrupted,
                     fmt::format("too many metric names in a single request; got {}; mustn't exceed {}",
                                 count, kMaxNamesPerRegistration));
      }
      for (uint64_t i = 0; i < count; ++i) {
        VM_ASSIGN_OR_RETURN(const ByteView name, TakeFrame(src, kMaxMetricNameRawSize));
        VM_ASSIGN_OR_RETURN(const uint64_t timestamp, encoding::TakeUint<uint64_t>(src));
        request.names.push_back(
            {ByteBuffer(name.begin(), name.end()), static_cast<int64_t>(timestamp)});
      }
      return SelectArgs(std::move(request));
    }
    case 10: {
      VM_ASSIGN_OR_RETURN(const auto range, TakeTimeRange(src));
      return SelectArgs(TenantsRequest{range});
    }
    case 11: {
      MetricNamesUsageStatsRequest request;
      VM_ASSIGN_OR_RETURN(request.tenant, TakeOptionalTenant(src));
      VM_ASSIGN_OR_RETURN(request.limit, TakeLimit(src));
      VM_ASSIGN_OR_RETURN(const uint64_t le, encoding::TakeUint<uint64_t>(src));
      request.le = encoding::UnZigZag64(le);
      VM_ASSIGN_OR_RETURN(const ByteView pattern, TakeFrame(src, kMaxMatchPatternSize));
      request.match_pattern = AsText(pattern);
      return SelectArgs(std::move(request));
    }
    default: return SelectArgs(ResetMetricNamesStatsRequest{});
  }
}

/// Check `src` against the shape and put the whole payload into one item.
Status TakeTables(const SelectMethod& method, ByteView& src, SelectReply& reply) {
  ByteView rest = src;
  for (uint8_t i = 0; i < method.tables.numbers; ++i) {
    VM_TRY(encoding::TakeUint<uint64_t>(rest));
  }
  for (const uint8_t numbers : method.tables.entry_numbers) {
    VM_ASSIGN_OR_RETURN(const uint64_t count, encoding::TakeUint<uint64_t>(rest));
    for (uint64_t i = 0; i < count; ++i) {
      VM_TRY(TakeFrame(rest, method.max_item_size));
      for (uint8_t n = 0; n < numbers; ++n) VM_TRY(encoding::TakeUint<uint64_t>(rest));
    }
  }
  reply.AddItem(src.first(src.size() - rest.size()));
  src = rest;
  return Ok();
}

void AppendTop(ByteBuffer& dst, const std::vector<model::TopEntry>& entries) {
  AppendBigEndian<uint64_t>(dst, entries.size());
  for (const model::TopEntry& entry : entries) {
    AppendFrame(dst, entry.name);
    AppendBigEndian(dst, entry.count);
  }
}

Status TakeTop(ByteView& src, std::vector<model::TopEntry>& entries) {
  VM_ASSIGN_OR_RETURN(const uint64_t count, encoding::TakeUint<uint64_t>(src));
  for (uint64_t i = 0; i < count; ++i) {
    model::TopEntry entry;
    VM_ASSIGN_OR_RETURN(const ByteView name, TakeFrame(src, kMaxTextItemSize));
    entry.name = AsText(name);
    VM_ASSIGN_OR_RETURN(entry.count, encoding::TakeUint<uint64_t>(src));
    entries.push_back(std::move(entry));
  }
  return Ok();
}

void AppendUsage(ByteBuffer& dst, const std::vector<model::NameUsage>& entries) {
  AppendBigEndian<uint64_t>(dst, entries.size());
  for (const model::NameUsage& entry : entries) {
    AppendFrame(dst, entry.name);
    AppendBigEndian(dst, entry.last_request_time);
    AppendBigEndian(dst, entry.requests_count);
  }
}

Status TakeUsage(ByteView& src, std::vector<model::NameUsage>& entries) {
  VM_ASSIGN_OR_RETURN(const uint64_t count, encoding::TakeUint<uint64_t>(src));
  for (uint64_t i = 0; i < count; ++i) {
    model::NameUsage entry;
    VM_ASSIGN_OR_RETURN(const ByteView name, TakeFrame(src, kMaxTextItemSize));
    entry.name = AsText(name);
    VM_ASSIGN_OR_RETURN(entry.last_request_time, encoding::TakeUint<uint64_t>(src));
    VM_ASSIGN_OR_RETURN(entry.requests_count, encoding::TakeUint<uint64_t>(src));
    entries.push_back(std::move(entry));
  }
  return Ok();
}

Status CheckNothingLeft(ByteView src, std::string_view what) {
  if (src.empty()) return Ok();
  return Error(ErrorCode::kCorrupted, fmt::format("{} bytes left after {}", src.size(), what));
}

Status TakePayload(const SelectMethod& method, ByteView& src, SelectReply& reply) {
  switch (method.payload) {
    case PayloadKind::kList:
      for (;;) {
        VM_ASSIGN_OR_RETURN(const ByteView item, TakeFrame(src, method.max_item_size));
        if (item.empty()) return Ok();
        reply.AddItem(item);
      }
    case PayloadKind::kCounted: {
      VM_ASSIGN_OR_RETURN(const uint64_t count, encoding::TakeUint<uint64_t>(src));
      for (uint64_t i = 0; i < count; ++i) {
        VM_ASSIGN_OR_RETURN(const ByteView item, TakeFrame(src, method.max_item_size));
        reply.AddItem(item);
      }
      return Ok();
    }
    case PayloadKind::kNumber: {
      VM_ASSIGN_OR_RETURN(reply.number, encoding::TakeUint<uint64_t>(src));
      return Ok();
    }
    case PayloadKind::kTables: return TakeTables(method, src, reply);
    case PayloadKind::kNothing:
    case PayloadKind::kTraceOnly: return Ok();
  }
  return Ok();
}

}  // namespace

const SelectMethod* FindSelectMethod(std::string_view rpc_name) {
  for (const auto& method : kMethods) {
    if (method.name == rpc_name) return &method;
  }
  return nullptr;
}

const SelectMethod& MethodOf(const SelectArgs& args) { return kMethods[args.index()]; }

std::span<const SelectMethod> SelectMethods() { return kMethods; }

void AppendSelectArgs(ByteBuffer& dst, const SelectArgs& args) { std::visit(ArgsWriter{dst}, args); }

void AppendSelectRequest(ByteBuffer& dst, const SelectArgs& args, bool trace_enabled,
                         uint32_t timeout_seconds) {
  AppendFrame(dst, MethodOf(args).name);
  dst.push_back(trace_enabled ? 1 : 0);
  AppendBigEndian<uint32_t>(dst, timeout_seconds);
  AppendSelectArgs(dst, args);
}

Result<RequestHead> TakeRequestHead(ByteView& src) {
  ByteView rest = src;
  RequestHead head;
  VM_ASSIGN_OR_RETURN(const ByteView name, TakeFrame(rest, kMaxRpcNameSize));
  VM_ASSIGN_OR_RETURN(const uint8_t trace, encoding::TakeUint<uint8_t>(rest));
  VM_ASSIGN_OR_RETURN(head.timeout_seconds, encoding::TakeUint<uint32_t>(rest));
  head.rpc_name = AsText(name);
  head.trace_enabled = trace != 0;
  src = rest;
  return head;
}

Result<SelectArgs> UnmarshalSelectArgs(const SelectMethod& method, ByteView src) {
  size_t index = 0;
  while (kMethods[index].name != method.name) ++index;
  auto args = TakeArgs(index, src);
  if (!args.ok()) {
    return std::move(args).error().WithContext(fmt::format("cannot read args of {}", method.name));
  }
  if (!src.empty()) {
    return Error(ErrorCode::kCorrupted,
                 fmt::format("{} bytes left after args of {}", src.size(), method.name));
  }
  return args;
}

void AppendSelectReply(ByteBuffer& dst, PayloadKind kind, const SelectReply& reply) {
  if (kind != PayloadKind::kTraceOnly) AppendErrorText(dst, reply.error);
  if (reply.error.empty() && kind != PayloadKind::kTraceOnly && kind != PayloadKind::kNothing) {
    if (kind == PayloadKind::kTables) {
      Append(dst, reply.bytes);
    } else if (kind == PayloadKind::kNumber) {
      AppendBigEndian<uint64_t>(dst, reply.number);
    } else {
      if (kind == PayloadKind::kCounted) AppendBigEndian<uint64_t>(dst, reply.size());
      for (size_t i = 0; i < reply.size(); ++i) {
        if (kind == PayloadKind::kCounted || !reply.item(i).empty()) AppendFrame(dst, reply.item(i));
      }
      if (kind == PayloadKind::kList) AppendFrame(dst, ByteView());
    }
  }
  AppendFrame(dst, reply.trace);
}

Result<SelectReply> TakeSelectReply(const SelectMethod& method, ByteView& src) {
  ByteView rest = src;
  SelectReply reply;
  if (method.payload != PayloadKind::kTraceOnly) {
    VM_ASSIGN_OR_RETURN(const auto error, TakeErrorText(rest));
    reply.error = error;
  }
  if (reply.error.empty()) {
    VM_TRY(TakePayload(method, rest, reply));
  }
  VM_ASSIGN_OR_RETURN(const ByteView trace, TakeFrame(rest, kMaxTraceSize));
  reply.trace = AsText(trace);
  src = rest;
  return reply;
}

void MarshalTsdbStatus(ByteBuffer& dst, const model::TsdbStatus& status) {
  AppendBigEndian(dst, status.total_series);
  AppendBigEndian(dst, status.total_label_value_pairs);
  AppendTop(dst, status.series_count_by_metric_name);
  AppendTop(dst, status.series_count_by_label_name);
  AppendTop(dst, status.series_count_by_focus_label_value);
  AppendTop(dst, status.series_count_by_label_value_pair);
  AppendTop(dst, status.label_value_count_by_label_name);
  AppendUsage(dst, status.query_stats_by_metric_name);
}

Result<model::TsdbStatus> UnmarshalTsdbStatus(ByteView src) {
  model::TsdbStatus status;
  VM_ASSIGN_OR_RETURN(status.total_series, encoding::TakeUint<uint64_t>(src));
  VM_ASSIGN_OR_RETURN(status.total_label_value_pairs, encoding::TakeUint<uint64_t>(src));
  VM_TRY(TakeTop(src, status.series_count_by_metric_name));
  VM_TRY(TakeTop(src, status.series_count_by_label_name));
  VM_TRY(TakeTop(src, status.series_count_by_focus_label_value));
  VM_TRY(TakeTop(src, status.series_count_by_label_value_pair));
  VM_TRY(TakeTop(src, status.label_value_count_by_label_name));
  VM_TRY(TakeUsage(src, status.query_stats_by_metric_name));
  VM_TRY(CheckNothingLeft(src, "a TSDB status"));
  return status;
}

void MarshalMetricNamesUsageStats(ByteBuffer& dst, const model::MetricNamesUsageStats& stats) {
  AppendBigEndian(dst, stats.collected_since);
  AppendBigEndian(dst, stats.total_records);
  AppendBigEndian(dst, stats.size_bytes);
  AppendBigEndian(dst, stats.max_size_bytes);
  AppendUsage(dst, stats.records);
}

Result<model::MetricNamesUsageStats> UnmarshalMetricNamesUsageStats(ByteView src) {
  model::MetricNamesUsageStats stats;
  VM_ASSIGN_OR_RETURN(stats.collected_since, encoding::TakeUint<uint64_t>(src));
  VM_ASSIGN_OR_RETURN(stats.total_records, encoding::TakeUint<uint64_t>(src));
  VM_ASSIGN_OR_RETURN(stats.size_bytes, encoding::TakeUint<uint64_t>(src));
  VM_ASSIGN_OR_RETURN(stats.max_size_bytes, encoding::TakeUint<uint64_t>(src));
  VM_TRY(TakeUsage(src, stats.records));
  VM_TRY(CheckNothingLeft(src, "usage statistics"));
  return stats;
}

}  // namespace vm::rpc
