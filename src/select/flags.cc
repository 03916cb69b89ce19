#include "select/flags.h"

namespace vm::select {

using std::chrono::seconds;

Flags::Flags(flags::FlagSet& set)
    : storage_node(set.Array("storageNode", "Comma-separated addresses of vmstorage nodes")),
      replication_factor(set.Int("replicationFactor", 1, "How many copies of every time series is available on the provided -storageNode list")),
      dedup_interval(set.Duration("dedup.minScrapeInterval", {}, "Leave only the last sample in every time series per each discrete interval equal to -dedup.minScrapeInterval > 0")),
      latency_offset(set.Duration("search.latencyOffset", seconds(30), "The time when data points become visible in query results after the collection")),
      max_query_duration(set.Duration("search.maxQueryDuration", seconds(30), "The maximum duration for query execution")),
      max_export_duration(set.Duration("search.maxExportDuration", std::chrono::hours(720), "The maximum duration for /api/v1/export call")),
      max_lookback(set.Duration("search.maxLookback", {}, "Synonym to -query.lookback-delta from Prometheus")),
      max_staleness_interval(set.Duration("search.maxStalenessInterval", {}, "The maximum interval for staleness calculations")),
      max_points(set.Int("search.maxPointsPerTimeseries", 30000, "The maximum points per a single timeseries returned from /api/v1/query_range")),
      max_unique_series(set.Int("search.maxUniqueTimeseries", 0, "The maximum number of unique time series, which can be selected during queries")),
      max_query_len(set.Bytes("search.maxQueryLen", 16 * 1024, "The maximum search query length in bytes")),
      deny_partial(set.Bool("search.denyPartialResponse", false, "Whether to deny partial responses if a part of -storageNode instances fail to perform queries")) {}

}  // namespace vm::select
