#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/deadline.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/block.h"
#include "lib/model/rows.h"
#include "lib/model/search_query.h"
#include "lib/rpc/select_codec.h"

namespace vm::rpc {

/// The blocks of one search in order of (TSID, min timestamp). Used by one thread at a time.
class BlockCursor {
 public:
  virtual ~BlockCursor() = default;

  /// Move to the next block; false at the end.
  virtual Result<bool> Next() = 0;
  /// The marshalled name and the block; valid until the next call of Next.
  virtual ByteView metric_name() const = 0;
  virtual const model::EncodedBlock& block() const = 0;
};

/// What a select server asks. All calls come from threads of a pool, many at a time, and never wait for a peer.
/// Error messages are sent to the peer as they are; a passed deadline is told as kCancelled, "deadline exceeded".
class SelectHandler {
 public:
  virtual ~SelectHandler() = default;

  virtual Result<std::unique_ptr<BlockCursor>> Search(const model::SearchQuery& query,
                                                      const Deadline& deadline) = 0;
  virtual Result<std::vector<ByteBuffer>> SearchMetricNames(const model::SearchQuery& query,
                                                            const Deadline& deadline) = 0;
  virtual Result<std::vector<std::string>> SearchLabelNames(const model::SearchQuery& query,
                                                            size_t max_names,
                                                            const Deadline& deadline) = 0;
  virtual Result<std::vector<std::string>> SearchLabelValues(const model::SearchQuery& query,
                                                             std::string_view label_name,
                                                             size_t max_values,
                                                             const Deadline& deadline) = 0;
  virtual Result<std::vector<std::string>> SearchTagValueSuffixes(
      const TagValueSuffixesRequest& request, const Deadline& deadline) = 0;
  virtual Result<uint64_t> SeriesCount(model::Tenant tenant, const Deadline& deadline) = 0;
  virtual Result<model::TsdbStatus> GetTsdbStatus(const TsdbStatusRequest& request,
                                           const Deadline& deadline) = 0;
  /// Returns how many series were marked.
  virtual Result<uint64_t> DeleteSeries(const model::SearchQuery& query,
                                        const Deadline& deadline) = 0;
  virtual Status RegisterMetricNames(std::span<const model::MetricRow> names,
                                     const Deadline& deadline) = 0;
  virtual Result<std::vector<model::Tenant>> SearchTenants(const model::TimeRange& range,
                                                           const Deadline& deadline) = 0;
  virtual Result<model::MetricNamesUsageStats> GetMetricNamesUsageStats(
      const MetricNamesUsageStatsRequest& request, const Deadline& deadline) = 0;
  virtual Status ResetMetricNamesStats(const Deadline& deadline) = 0;
  /// `tenant` null: all tenants. `limit` 0: all. An empty name matches all.
  virtual Result<std::vector<model::MetadataRow>> SearchMetadata(const model::Tenant* tenant,
                                                                 size_t limit,
                                                                 std::string_view metric_name,
                                                                 const Deadline& deadline) = 0;
};

}  // namespace vm::rpc
