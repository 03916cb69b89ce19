#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "select/http/answer.h"
#include "select/http/call.h"

namespace vm::select {

enum class ExportFormat : uint8_t { kJsonLines, kPrometheus, kPromApi, kCsv, kNative, kFederate };

struct ExportRequest {
  model::SearchQuery query;
  Deadline deadline;
  ExportFormat format = ExportFormat::kJsonLines;
  /// Blocks are sent as they come, in no order and with their duplicates, and little memory is needed.
  bool is_streamed = false;
  size_t max_rows_per_line = 0;        // 0: all samples of a series in one.
  std::vector<std::string> csv_fields; // kCsv only.
};

/// Send raw samples of the matching series to the client, a piece at a time; missing nodes are an error. Nothing has
/// been sent when it fails before call.body.started().
boost::asio::awaitable<Status> Export(Call& call, ExportRequest request);

/// `/api/v1/export`, `/api/v1/export/csv`, `/api/v1/export/native`, `/federate`.
boost::asio::awaitable<Answer> HandleExport(Call& call);
boost::asio::awaitable<Answer> HandleExportCsv(Call& call);
boost::asio::awaitable<Answer> HandleExportNative(Call& call);
boost::asio::awaitable<Answer> HandleFederate(Call& call);

}  // namespace vm::select
