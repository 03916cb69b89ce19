#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/deadline.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/block.h"
#include "lib/model/rows.h"
#include "lib/model/search_query.h"

namespace vm::rpc {

/// What a select server asks. All calls block and come from threads of a pool, many at a time. Error messages are
/// sent to the peer as they are.
class SelectHandler {
 public:
  using BlockSink =
      std::function<Status(ByteView metric_name, const model::EncodedBlock& block)>;

  virtual ~SelectHandler() = default;

  /// Pass matching blocks to `sink` in order of (TSID, min timestamp); stop when it says an error.
  virtual Status Search(const model::SearchQuery& query, const Deadline& deadline,
                        const BlockSink& sink) = 0;
  virtual Result<std::vector<ByteBuffer>> SearchMetricNames(const model::SearchQuery& query,
                                                            const Deadline& deadline) = 0;
  virtual Result<std::vector<std::string>> SearchLabelNames(const model::SearchQuery& query,
                                                            size_t max_names,
                                                            const Deadline& deadline) = 0;
  virtual Result<std::vector<std::string>> SearchLabelValues(const model::SearchQuery& query,
                                                             std::string_view label_name,
                                                             size_t max_values,
                                                             const Deadline& deadline) = 0;
  virtual Result<uint64_t> SeriesCount(model::Tenant tenant, const Deadline& deadline) = 0;
  /// `tenant` null: all tenants. `limit` 0: all. An empty name matches all.
  virtual Result<std::vector<model::MetadataRow>> SearchMetadata(const model::Tenant* tenant,
                                                                 size_t limit,
                                                                 std::string_view metric_name,
                                                                 const Deadline& deadline) = 0;
};

}  // namespace vm::rpc
