#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/budget.h"
#include "lib/base/deadline.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/metrics/metrics.h"
#include "lib/model/index_stats.h"
#include "lib/model/rows.h"
#include "lib/model/search_query.h"
#include "lib/net/runtime.h"
#include "lib/rpc/node_set.h"
#include "lib/rpc/select_client.h"
#include "select/fanout/block_queue.h"
#include "select/fanout/call_trace.h"
#include "select/fanout/held_memory.h"
#include "select/fanout/packed_series.h"
#include "select/fanout/read_metrics.h"

namespace vm::select {

struct FanoutOptions {
  size_t replication_factor = 1;                        // -replicationFactor
  std::map<std::string, size_t> group_replication;      // -replicationFactor=group:N
  size_t global_replication_factor = 1;                 // -globalReplicationFactor
  bool deny_partial_response = false;                   // -search.denyPartialResponse
  int64_t dedup_interval_ms = 0;                        // -dedup.minScrapeInterval
  uint64_t max_samples_per_query = 1'000'000'000;       // -search.maxSamplesPerQuery; 0: none.
  uint64_t max_samples_per_series = 30'000'000;         // -search.maxSamplesPerSeries; 0: none.
  bool skip_slow_replicas = false;                      // -search.skipSlowReplicas
  rpc::SelectClientOptions client;
  metrics::Registry* registry = nullptr;                // Counts calls and answers there; may be null.
};

/// How one request wants to be served.
struct FanoutRequest {
  Deadline deadline;
  bool deny_partial = false;       // Adds to the option.
  bool needs_all = false;          // Each node must do it, whatever the replication.
  std::shared_ptr<Budget> budget;  // Charged for the blocks that nodes send as long as they are kept; may be null.
  /// Charged for lists and tables that nodes send and what becomes of them; may be null.
  std::shared_ptr<HeldMemory> held = nullptr;
  std::shared_ptr<CallTrace> trace = nullptr;  // Null: nodes are not asked what they do.
};

/// A value with a word on whether nodes were missing.
template <class T>
struct Partial {
  T value{};
  bool is_partial = false;
};

/// Sees the blocks of a search as they come.
class BlockConsumer {
 public:
  virtual ~BlockConsumer() = default;
  /// The nodes wait meanwhile, as soon as there is enough for the next batch. An error ends the search.
  virtual boost::asio::awaitable<Status> Consume(const BlockBatch& blocks) = 0;
};

/// Asks all storage nodes at once and joins their answers. Errors: kUnavailable when too many nodes are missing
/// (HTTP 503), kLimitExceeded, kInvalidInput with the text of a node that refused (HTTP 422), kCorrupted.
/// kCancelled when the deadline's stop is requested. All calls may overlap and run on any executor. Thread-safe.
/// Reference: VictoriaMetrics app/vmselect/netstorage/netstorage.go.
class Fanout {
 public:
  /// `runtime` must outlive the Fanout and all calls.
  Fanout(net::Runtime& runtime, const rpc::NodeSet& nodes, FanoutOptions options);
  ~Fanout();
  Fanout(const Fanout&) = delete;
  Fanout& operator=(const Fanout&) = delete;

  /// Null without registry.
  ReadMetrics* read_metrics() const noexcept { return read_metrics_.get(); }

  /// Blocks of the matching series, grouped as they arrive and still packed.
  boost::asio::awaitable<Result<Partial<PackedSeries>>> Search(model::SearchQuery query, FanoutRequest request);
  /// Give the marshalled MetricBlocks of all nodes to `consumer`, in the order they arrive and as fast as it takes them,
  /// with little memory: neither joined by series nor deduplicated, and without -search.maxSamplesPerQuery. True: nodes
  /// were missing. What the consumer has seen before an error remains seen.
  boost::asio::awaitable<Result<bool>> StreamBlocks(model::SearchQuery query, FanoutRequest request, BlockConsumer& consumer);
  /// Marshalled names, each once, sorted.
  boost::asio::awaitable<Result<Partial<std::vector<ByteBuffer>>>> SearchMetricNames(model::SearchQuery query,
                                                                                     FanoutRequest request);
  /// Sorted. `limit` 0: the nodes' limits.
  boost::asio::awaitable<Result<Partial<std::vector<std::string>>>> LabelNames(model::SearchQuery query, uint32_t limit,
                                                                               FanoutRequest request);
  boost::asio::awaitable<Result<Partial<std::vector<std::string>>>> LabelValues(std::string label_name, model::SearchQuery query,
                                                                                uint32_t limit, FanoutRequest request);
  boost::asio::awaitable<Result<Partial<uint64_t>>> SeriesCount(model::Tenant tenant, FanoutRequest request);
  boost::asio::awaitable<Result<Partial<std::vector<model::MetadataRow>>>> SearchMetadata(std::optional<model::Tenant> tenant,
                                                                                          uint32_t limit, std::string metric_name,
                                                                                          FanoutRequest request);
  /// Counts of the day of the query's first timestamp, joined over all nodes.
  boost::asio::awaitable<Result<Partial<model::TsdbStatus>>> TsdbStatus(rpc::TsdbStatusRequest args, FanoutRequest request);
  /// Tenants with series in the range, sorted. Never partial.
  boost::asio::awaitable<Result<std::vector<model::Tenant>>> Tenants(model::TimeRange range, FanoutRequest request);
  /// How many series were marked as deleted. All nodes must have done it.
  boost::asio::awaitable<Result<uint64_t>> DeleteSeries(model::SearchQuery query, FanoutRequest request);
  /// Never partial.
  boost::asio::awaitable<Result<model::MetricNamesUsageStats>> UsageStats(rpc::MetricNamesUsageStatsRequest args, FanoutRequest request);
  boost::asio::awaitable<Status> ResetUsageStats(FanoutRequest request);
  /// What follows `tag_value_prefix` up to the delimiter in values of the tag; sorted.
  boost::asio::awaitable<Result<Partial<std::vector<std::string>>>> TagValueSuffixes(rpc::TagValueSuffixesRequest args,
                                                                                     FanoutRequest request);
  /// Make the names known, each to one node. All nodes must be there.
  boost::asio::awaitable<Status> RegisterMetricNames(rpc::RegisterMetricNamesRequest args, FanoutRequest request);

 private:
  struct Gathered {
    std::vector<rpc::SelectReply> replies;
    std::vector<size_t> nodes;  // Who sent them.
    bool is_partial = false;
  };
  struct Streamed;
  using Sinks = std::vector<std::shared_ptr<rpc::ItemSink>>;

  /// Ask all nodes. With `sinks`, one per node, items go there instead of into the replies.
  boost::asio::awaitable<Result<Gathered>> Gather(rpc::SelectArgs args, FanoutRequest request, Sinks sinks);
  /// The same with arguments for each node.
  boost::asio::awaitable<Result<Gathered>> GatherEach(std::vector<rpc::SelectArgs> args, FanoutRequest request, Sinks sinks);
  boost::asio::awaitable<void> GatherInto(rpc::SelectArgs args, FanoutRequest request, std::shared_ptr<Streamed> streamed);
  void CountPartial(const rpc::SelectArgs& args);
  size_t ReplicationFactorOf(const std::string& group) const;

  net::Runtime& runtime_;
  const rpc::NodeSet nodes_;
  const FanoutOptions options_;
  const std::unique_ptr<ReadMetrics> read_metrics_;
  std::vector<std::shared_ptr<rpc::SelectClient>> clients_;
  std::vector<metrics::Counter*> partial_results_;  // By index of the call in rpc::SelectArgs; null: never partial.
};

}  // namespace vm::select
