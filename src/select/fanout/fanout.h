#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/deadline.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/rows.h"
#include "lib/model/search_query.h"
#include "lib/net/runtime.h"
#include "lib/rpc/node_set.h"
#include "lib/rpc/select_client.h"

namespace vm::select {

struct FanoutOptions {
  size_t replication_factor = 1;                        // -replicationFactor
  std::map<std::string, size_t> group_replication;      // -replicationFactor=group:N
  size_t global_replication_factor = 1;                 // -globalReplicationFactor
  bool deny_partial_response = false;                   // -search.denyPartialResponse
  int64_t dedup_interval_ms = 0;                        // -dedup.minScrapeInterval
  uint64_t max_samples_per_query = 1'000'000'000;       // -search.maxSamplesPerQuery; 0: none.
  uint64_t max_samples_per_series = 30'000'000;         // -search.maxSamplesPerSeries; 0: none.
  rpc::SelectClientOptions client;
};

/// One series of a search, merged over all nodes and deduplicated.
struct Series {
  ByteBuffer metric_name;           // Marshalled: model::MetricName::Unmarshal.
  std::vector<int64_t> timestamps;  // Unix milliseconds.
  std::vector<double> values;
};

/// A value with a word on whether nodes were missing.
template <class T>
struct Partial {
  T value{};
  bool is_partial = false;
};

/// Asks all storage nodes at once and joins their answers. Errors: kUnavailable when too many nodes are missing
/// (HTTP 503), kLimitExceeded, kInvalidInput with the text of a node that refused (HTTP 422), kCorrupted.
/// `deny_partial` adds to the option. All calls may overlap and run on any executor. Thread-safe.
/// Reference: VictoriaMetrics app/vmselect/netstorage/netstorage.go.
class Fanout {
 public:
  /// `runtime` and `pool` (where blocks are unpacked) must outlive the Fanout and all calls.
  Fanout(net::Runtime& runtime, net::Pool& pool, const rpc::NodeSet& nodes, FanoutOptions options);
  ~Fanout();
  Fanout(const Fanout&) = delete;
  Fanout& operator=(const Fanout&) = delete;

  /// Series with at least one sample in the time range of the query, in order of their marshalled names.
  boost::asio::awaitable<Result<Partial<std::vector<Series>>>> Search(model::SearchQuery query,
                                                                      Deadline deadline,
                                                                      bool deny_partial);
  /// Marshalled names, each once, sorted.
  boost::asio::awaitable<Result<Partial<std::vector<ByteBuffer>>>> SearchMetricNames(
      model::SearchQuery query, Deadline deadline, bool deny_partial);
  /// Sorted. `limit` 0: the nodes' limits.
  boost::asio::awaitable<Result<Partial<std::vector<std::string>>>> LabelNames(
      model::SearchQuery query, uint32_t limit, Deadline deadline, bool deny_partial);
  boost::asio::awaitable<Result<Partial<std::vector<std::string>>>> LabelValues(
      std::string label_name, model::SearchQuery query, uint32_t limit, Deadline deadline,
      bool deny_partial);
  boost::asio::awaitable<Result<Partial<uint64_t>>> SeriesCount(model::Tenant tenant,
                                                                Deadline deadline,
                                                                bool deny_partial);
  boost::asio::awaitable<Result<Partial<std::vector<model::MetadataRow>>>> SearchMetadata(
      std::optional<model::Tenant> tenant, uint32_t limit, std::string metric_name,
      Deadline deadline, bool deny_partial);

 private:
  struct Gathered {
    std::vector<rpc::SelectReply> replies;
    bool is_partial = false;
  };
  boost::asio::awaitable<Result<Gathered>> Gather(rpc::SelectArgs args, Deadline deadline,
                                                  bool deny_partial);
  size_t ReplicationFactorOf(const std::string& group) const;

  net::Runtime& runtime_;
  net::Pool& pool_;
  const rpc::NodeSet nodes_;
  const FanoutOptions options_;
  std::vector<std::shared_ptr<rpc::SelectClient>> clients_;
};

}  // namespace vm::select
