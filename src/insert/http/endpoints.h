#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm::insert {

/// What the body of a request is.
enum class BodyKind : uint8_t {
  kNone,  // Not looked at.
  kRemoteWrite,
  kText,
  kJsonLines,
  kCsv,
  kNative,
  kInflux,
  kDatadogV1,
  kDatadogV2,
  kDatadogSketches,
  kNewrelic,
  kZabbix,
  kOtlp,
  kGraphite,
  kOpentsdb,
  kOpentsdbHttp,
  kClusterNative,
};

/// A flag and its value.
struct SizeLimit {
  size_t max_bytes = 0;
  std::string_view flag;
};

/// What there is to count about a kind of body.
struct InsertProtocol {
  BodyKind kind = BodyKind::kNone;
  std::string_view type;  // Label of metrics.
  bool has_lines = false;
  bool has_whole_bodies = false;
  bool has_metadata = false;
};

/// A path below `/insert/<tenant>/` and its answer to a good request.
struct InsertEndpoint {
  std::string_view suffix;
  BodyKind kind = BodyKind::kNone;
  int status = 204;
  std::string_view answer;          // JSON.
  std::string_view path_label;      // Labels of vm_http_requests_total.
  std::string_view protocol_label;
  bool is_influx = false;           // Answers name a version of InfluxDB.
};

std::span<const InsertProtocol> InsertProtocols();
std::span<const InsertEndpoint> InsertEndpoints();

/// `text` as a JSON string; control characters become blanks.
std::string QuoteJson(std::string_view text);

/// The answer of influx/query: `names`, or "_internal" when there are none.
std::string InfluxDatabaseNames(const std::vector<std::string>& names);

}  // namespace vm::insert
