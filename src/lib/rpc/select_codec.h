#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/index_stats.h"
#include "lib/model/rows.h"
#include "lib/model/search_query.h"

namespace vm::rpc {

struct SearchRequest {
  model::SearchQuery query;
};
struct SearchMetricNamesRequest {
  model::SearchQuery query;
};
struct LabelNamesRequest {
  model::SearchQuery query;
  uint32_t max_names = 0;  // 0: the node's own limit.
};
struct LabelValuesRequest {
  std::string label_name;  // "__name__" or empty: the metric name.
  model::SearchQuery query;
  uint32_t max_values = 0;
};
struct SeriesCountRequest {
  model::Tenant tenant;
};
struct SearchMetadataRequest {
  std::optional<model::Tenant> tenant;  // None: all tenants.
  uint32_t limit = 0;                   // 0: all.
  std::string metric_name;              // Empty: all.
};
struct TagValueSuffixesRequest {
  model::Tenant tenant;
  model::TimeRange time_range;
  std::string tag_key;  // Empty: the metric name.
  std::string tag_value_prefix;
  char delimiter = '.';
  uint32_t max_suffixes = 0;  // 0: the node's own limit.
};
struct TsdbStatusRequest {
  model::SearchQuery query;  // The day of its first timestamp counts.
  std::string focus_label;
  uint32_t top_n = 0;
};
struct DeleteSeriesRequest {
  model::SearchQuery query;
};
struct RegisterMetricNamesRequest {
  struct Name {
    ByteBuffer metric_name_raw;
    int64_t timestamp = 0;  // Unix milliseconds.
  };
  std::vector<Name> names;  // At most kMaxNamesPerRegistration.
};
struct TenantsRequest {
  model::TimeRange time_range;
};
struct MetricNamesUsageStatsRequest {
  std::optional<model::Tenant> tenant;  // None: all tenants together.
  uint32_t limit = 0;                   // 0: none at all.
  int64_t le = -1;                      // Names asked for at most so often; -1: all.
  std::string match_pattern;
};
struct ResetMetricNamesStatsRequest {};

/// The arguments of a call on the select port.
using SelectArgs =
    std::variant<SearchRequest, SearchMetricNamesRequest, LabelNamesRequest, LabelValuesRequest,
                 SeriesCountRequest, SearchMetadataRequest, TagValueSuffixesRequest,
                 TsdbStatusRequest, DeleteSeriesRequest, RegisterMetricNamesRequest, TenantsRequest,
                 MetricNamesUsageStatsRequest, ResetMetricNamesStatsRequest>;

/// How a payload is laid out on the wire.
enum class PayloadKind : uint8_t {
  kList,       // Frames up to an empty one.
  kCounted,    // A count, then so many frames.
  kNumber,     // One u64.
  kNothing,    // Nothing after the error text.
  kTraceOnly,  // Not even an error text.
  kTables,     // As SelectMethod::tables says; one item with all of it.
};

/// Numbers, then lists: a count each, then entries of a frame and so many numbers. All numbers are u64.
struct TablesShape {
  uint8_t numbers = 0;
  std::span<const uint8_t> entry_numbers;  // One per list.
};

inline constexpr size_t kMaxSearchQuerySize = 5242880;
inline constexpr size_t kMaxLabelNameArgSize = 16384;
inline constexpr size_t kMaxMetricNameArgSize = 1024;
inline constexpr size_t kMaxMatchPatternSize = 256;
inline constexpr size_t kMaxTraceSize = 1 << 20;
inline constexpr uint64_t kMaxNamesPerRegistration = 1 << 20;
/// All names of one registration together: what a peer can make this process hold.
inline constexpr size_t kMaxRegistrationSize = size_t{100} << 20;

/// How the server gets the arguments of a call off a connection, piece by piece.
struct ArgField {
  enum class Kind : uint8_t { kFrame, kFixed, kOptionalTenant, kNamesAndTimes } kind;
  size_t size;  // Greatest size of a frame; size of a fixed field.
};

/// What is fixed about a call.
struct SelectMethod {
  std::string_view name;
  PayloadKind payload;
  size_t max_item_size;  // Of a frame of the payload, at the client.
  std::span<const ArgField> args;
  std::string_view action;  // In metrics: "labelNames".
  TablesShape tables = {};
};

/// Null for calls that are not known.
const SelectMethod* FindSelectMethod(std::string_view rpc_name);
const SelectMethod& MethodOf(const SelectArgs& args);
/// All calls, in the order of SelectArgs.
std::span<const SelectMethod> SelectMethods();

/// What comes before the arguments.
struct RequestHead {
  std::string rpc_name;
  bool trace_enabled = false;
  uint32_t timeout_seconds = 0;
};

/// A whole request.
void AppendSelectRequest(ByteBuffer& dst, const SelectArgs& args, bool trace_enabled,
                         uint32_t timeout_seconds);
void AppendSelectArgs(ByteBuffer& dst, const SelectArgs& args);
/// Errors: kCorrupted; `src` stays.
Result<RequestHead> TakeRequestHead(ByteView& src);
/// Decode all of `src` as arguments of `method`. Errors: kCorrupted, also for bytes left over.
Result<SelectArgs> UnmarshalSelectArgs(const SelectMethod& method, ByteView src);

/// A whole reply. `error` empty means success.
struct SelectReply {
  std::string error;
  ByteBuffer bytes;                               // The items, one after the other.
  std::vector<std::pair<size_t, size_t>> items;   // Offset and size in `bytes`.
  uint64_t number = 0;                            // kNumber only.
  std::string trace;

  size_t size() const noexcept { return items.size(); }
  ByteView item(size_t i) const { return ByteView(bytes).subspan(items[i].first, items[i].second); }
  void AddItem(ByteView item) {
    items.emplace_back(bytes.size(), item.size());
    Append(bytes, item);
  }
};

void MarshalTsdbStatus(ByteBuffer& dst, const model::TsdbStatus& status);
/// Decode all of `src`. Errors: kCorrupted.
Result<model::TsdbStatus> UnmarshalTsdbStatus(ByteView src);

void MarshalMetricNamesUsageStats(ByteBuffer& dst, const model::MetricNamesUsageStats& stats);
/// Decode all of `src`. Errors: kCorrupted.
Result<model::MetricNamesUsageStats> UnmarshalMetricNamesUsageStats(ByteView src);

/// Empty items of a kList are left out: an empty frame ends it.
void AppendSelectReply(ByteBuffer& dst, PayloadKind kind, const SelectReply& reply);
/// Errors: kCorrupted; `src` stays.
Result<SelectReply> TakeSelectReply(const SelectMethod& method, ByteView& src);

}  // namespace vm::rpc
