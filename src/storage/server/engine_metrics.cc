#include "storage/server/engine_metrics.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <system_error>

#include <fmt/format.h>

#include "lib/base/mutex.h"

namespace vm::storage {
namespace {

/// Asks the engine once for all metrics of one scrape.
class Snapshot {
 public:
  explicit Snapshot(Engine& engine) : engine_(engine) {}

  EngineStats Get() {
    MutexLock lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (!taken_ || now - taken_at_ > kMaxAge) {
      stats_ = engine_.Stats();
      taken_ = true;
      taken_at_ = now;
    }
    return stats_;
  }

 private:
  static constexpr std::chrono::milliseconds kMaxAge{500};

  Engine& engine_;
  Mutex mutex_;
  bool taken_ VM_GUARDED_BY(mutex_) = false;
  std::chrono::steady_clock::time_point taken_at_ VM_GUARDED_BY(mutex_);
  EngineStats stats_ VM_GUARDED_BY(mutex_);
};

class Publisher {
 public:
  Publisher(metrics::Registry& registry, Engine& engine)
      : registry_(registry), snapshot_(std::make_shared<Snapshot>(engine)) {}

  using Read = std::function<uint64_t(const EngineStats&)>;
  void Gauge(const std::string& name, Read read) {
    registry_.SetGaugeCallback(name, [snapshot = snapshot_, read = std::move(read)] {
      return static_cast<double>(read(snapshot->Get()));
    });
  }
  void Counter(const std::string& name, Read read) {
    registry_.SetCounterCallback(name, [snapshot = snapshot_, read = std::move(read)] {
      return static_cast<double>(read(snapshot->Get()));
    });
  }
  void Counter(const std::string& name, const std::atomic<uint64_t>& value) {
    registry_.SetCounterCallback(name, [&value] { return static_cast<double>(value.load(std::memory_order_relaxed)); });
  }
  metrics::Registry& registry() { return registry_; }

 private:
  metrics::Registry& registry_;
  const std::shared_ptr<Snapshot> snapshot_;
};

std::string OfType(const char* name, const char* type) { return fmt::format("{}{{type=\"{}\"}}", name, type); }

void PublishDataParts(Publisher& out) {
  struct Class {
    const char* type;
    PartsStats PartitionStats::*stats;
  };
  for (const Class c : {Class{"storage/inmemory", &PartitionStats::inmemory},
                        Class{"storage/small", &PartitionStats::small}, Class{"storage/big", &PartitionStats::big}}) {
    const auto of = [c](uint64_t PartsStats::*field) {
      return [c, field](const EngineStats& s) { return s.table.*(c.stats).*field; };
    };
    out.Gauge(OfType("vm_rows", c.type), of(&PartsStats::rows));
    out.Gauge(OfType("vm_parts", c.type), of(&PartsStats::parts));
    out.Gauge(OfType("vm_blocks", c.type), of(&PartsStats::blocks));
    out.Gauge(OfType("vm_data_size_bytes", c.type), of(&PartsStats::size_bytes));
    out.Gauge(OfType("vm_active_merges", c.type), of(&PartsStats::active_merges));
    out.Gauge(OfType("vm_merges_lacking_disk_space", c.type), of(&PartsStats::lacking_space));
    out.Counter(OfType("vm_merges_total", c.type), of(&PartsStats::merges));
    out.Counter(OfType("vm_rows_merged_total", c.type), of(&PartsStats::rows_merged));
    out.Counter(OfType("vm_rows_deleted_total", c.type), of(&PartsStats::rows_deleted));
    out.Gauge(OfType("vm_last_partition_parts", c.type),
              [c](const EngineStats& s) { return (s.last_month.*(c.stats)).parts; });
  }
  out.Gauge(OfType("vm_pending_rows", "storage"), [](const EngineStats& s) { return s.table.pending_rows; });
  out.Gauge(OfType("vm_partition_references", "storage"), [](const EngineStats& s) { return s.months; });
  out.Counter("vm_deduplicated_samples_total{type=\"merge\"}",
              [](const EngineStats& s) { return s.table.rows_deduplicated; });
  // Blocks whose values could not be kept exactly, and what background work could not do. Not in the reference.
  out.Counter("vm_lossy_blocks_total", [](const EngineStats& s) { return s.table.lossy_blocks; });
  out.Counter("vm_background_errors_total", [](const EngineStats& s) { return s.table.background_errors; });
}

void PublishIndex(Publisher& out) {
  const auto table = [](uint64_t mergeset::Stats::*field) {
    return [field](const EngineStats& s) { return s.index.table.*field; };
  };
  const auto index = [](uint64_t indexdb::IndexStats::*field) {
    return [field](const EngineStats& s) { return s.index.*field; };
  };
  out.Gauge(OfType("vm_rows", "indexdb/inmemory"), table(&mergeset::Stats::memory_items));
  out.Gauge(OfType("vm_rows", "indexdb/file"), table(&mergeset::Stats::file_items));
  out.Gauge(OfType("vm_parts", "indexdb/inmemory"), table(&mergeset::Stats::memory_sets));
  out.Gauge(OfType("vm_parts", "indexdb/file"), table(&mergeset::Stats::file_parts));
  out.Gauge(OfType("vm_data_size_bytes", "indexdb/file"), table(&mergeset::Stats::file_bytes));
  out.Gauge(OfType("vm_data_size_bytes", "indexdb/inmemory"), table(&mergeset::Stats::memory_bytes));
  out.Gauge(OfType("vm_blocks", "indexdb/file"), table(&mergeset::Stats::file_blocks));
  out.Gauge("vm_composite_index_min_timestamp",
            [](const EngineStats& s) { return static_cast<uint64_t>(s.composite_since_ms / 1000); });
  out.Gauge(OfType("vm_pending_rows", "indexdb"), table(&mergeset::Stats::memory_items));
  out.Gauge(OfType("vm_active_merges", "indexdb/file"), table(&mergeset::Stats::active_merges));
  out.Gauge(OfType("vm_merges_lacking_disk_space", "indexdb/file"), table(&mergeset::Stats::lacking_space));
  out.Counter(OfType("vm_merges_total", "indexdb/file"), table(&mergeset::Stats::merges));
  out.Counter(OfType("vm_rows_merged_total", "indexdb/file"), table(&mergeset::Stats::items_merged));
  out.Counter("vm_indexdb_items_added_total", table(&mergeset::Stats::items_added));
  out.Counter("vm_indexdb_items_dropped_total{reason=\"too_long_item\"}",
              table(&mergeset::Stats::too_long_items_dropped));
  out.Gauge(OfType("vm_object_references", "indexdb"), [](const EngineStats& s) { return s.months; });
  out.Counter(OfType("vm_deleted_metrics_total", "indexdb"), index(&indexdb::IndexStats::deleted_ids));
  out.Counter("vm_date_range_search_calls_total", index(&indexdb::IndexStats::date_range_searches));
  out.Counter("vm_date_range_hits_total", index(&indexdb::IndexStats::date_range_hits));
  out.Counter("vm_global_search_calls_total", index(&indexdb::IndexStats::global_searches));
  out.Counter("vm_composite_filter_success_conversions_total", index(&indexdb::IndexStats::composite_success));
  out.Counter("vm_composite_filter_missing_conversions_total", index(&indexdb::IndexStats::composite_missing));
  out.Counter("vm_missing_tsids_for_metric_id_total", index(&indexdb::IndexStats::missing_tsids));
}

void PublishCache(Publisher& out, const char* type, const CacheStats EngineStats::*cache) {
  out.Gauge(OfType("vm_cache_entries", type), [cache](const EngineStats& s) { return (s.*cache).entries; });
  out.Gauge(OfType("vm_cache_size_bytes", type), [cache](const EngineStats& s) { return (s.*cache).size_bytes; });
  out.Gauge(OfType("vm_cache_size_max_bytes", type), [cache](const EngineStats& s) { return (s.*cache).max_bytes; });
  out.Counter(OfType("vm_cache_requests_total", type), [cache](const EngineStats& s) { return (s.*cache).requests; });
  out.Counter(OfType("vm_cache_misses_total", type), [cache](const EngineStats& s) { return (s.*cache).misses; });
}

void PublishCaches(Publisher& out, bool track_names) {
  PublishCache(out, "storage/tsid", &EngineStats::tsid_cache);
  PublishCache(out, "storage/indexBlocks", &EngineStats::index_blocks);
  PublishCache(out, "indexdb/indexBlocks", &EngineStats::index_headers);
  PublishCache(out, "indexdb/dataBlocks", &EngineStats::index_items);
  out.Gauge(OfType("vm_cache_entries", "storage/hour_metric_ids"),
            [](const EngineStats& s) { return s.active_series; });
  out.Gauge(OfType("vm_cache_entries", "indexdb/date_metricID"),
            [](const EngineStats& s) { return s.registered_pairs; });
  out.Gauge(OfType("vm_cache_size_bytes", "indexdb/date_metricID"),
            [](const EngineStats& s) { return s.registered_bytes; });
  const char* filters = "indexdb/tagFiltersToMetricIDs";
  out.Gauge(OfType("vm_cache_entries", filters), [](const EngineStats& s) { return s.index.filter_cache.entries; });
  out.Gauge(OfType("vm_cache_size_bytes", filters),
            [](const EngineStats& s) { return s.index.filter_cache.size_bytes; });
  out.Gauge(OfType("vm_cache_size_max_bytes", filters),
            [](const EngineStats& s) { return s.index.filter_cache.max_bytes; });
  out.Counter(OfType("vm_cache_requests_total", filters),
              [](const EngineStats& s) { return s.index.filter_cache.requests; });
  out.Counter(OfType("vm_cache_misses_total", filters),
              [](const EngineStats& s) { return s.index.filter_cache.misses; });
  out.Counter(OfType("vm_cache_resets_total", filters),
              [](const EngineStats& s) { return s.index.filter_cache.resets; });
  if (track_names) {
    const char* names = "storage/metricNamesStatsTracker";
    out.Counter(OfType("vm_cache_size", names), [](const EngineStats& s) { return s.name_usage.entries; });
    out.Counter(OfType("vm_cache_size_bytes", names), [](const EngineStats& s) { return s.name_usage.size_bytes; });
    out.Counter(OfType("vm_cache_size_max_bytes", names), [](const EngineStats& s) { return s.name_usage.max_bytes; });
  }
  out.Gauge("vm_metrics_metadata_storage_items", [](const EngineStats& s) { return s.metadata_entries; });
  out.Counter("vm_metrics_metadata_storage_max_size_bytes",
              [](const EngineStats& s) { return s.metadata_max_bytes; });
  out.Counter("vm_metrics_metadata_storage_size_bytes", [](const EngineStats& s) { return s.metadata_bytes; });
}

void PublishLimit(Publisher& out, const std::string& period, const SeriesLimitStats EngineStats::*limit) {
  out.Gauge("vm_" + period + "_series_limit_current_series",
            [limit](const EngineStats& s) { return (s.*limit).current; });
  out.Gauge("vm_" + period + "_series_limit_max_series", [limit](const EngineStats& s) { return (s.*limit).max; });
  for (const std::string& name : {"vm_" + period + "_series_limit_rows_dropped_total",
                                  "vm_rows_ignored_total{reason=\"" + period + "_limit_exceeded\"}"}) {
    out.Counter(name, [limit](const EngineStats& s) { return (s.*limit).rows_dropped; });
  }
}

}  // namespace

void RegisterEngineMetrics(metrics::Registry& registry, Engine& engine, const EngineMetricsOptions& options) {
  Publisher out(registry, engine);
  const EngineMetrics& m = engine.metrics();
  out.Counter("vm_rows_received_by_storage_total", m.rows_received);
  out.Counter("vm_rows_added_to_storage_total", m.rows_added);
  out.Counter("vm_rows_ignored_total{reason=\"small_timestamp\"}", m.rows_too_small_timestamp);
  out.Counter("vm_rows_ignored_total{reason=\"big_timestamp\"}", m.rows_too_big_timestamp);
  out.Counter("vm_rows_ignored_total{reason=\"invalid_raw_metric_name\"}", m.rows_invalid_raw_metric_name);
  // In these two cases the reference ends.
  out.Counter("vm_rows_ignored_total{reason=\"unreadable_partition\"}", m.rows_of_unreadable_months);
  out.Counter("vm_unreadable_index_lookups_total", m.unreadable_index_lookups);
  out.Counter("vm_new_timeseries_created_total", m.new_timeseries_created);
  out.Counter("vm_timeseries_repopulated_total", m.timeseries_repopulated);
  out.Counter("vm_timeseries_precreated_total", m.timeseries_precreated);
  out.Counter("vm_slow_row_inserts_total", m.slow_row_inserts);
  out.Counter("vm_slow_per_day_index_inserts_total", m.slow_per_day_index_inserts);
  out.Counter(OfType("vm_cache_collisions_total", "storage/tsid"), m.tsid_cache_collisions);
  out.Counter("vm_missing_metric_names_for_metric_id_total", m.missing_metric_names);

  const std::string of_path = "{path=\"" + options.path + "\"}";
  registry.SetGaugeCallback("vm_storage_is_read_only" + of_path,
                            [&engine] { return engine.IsReadOnly() ? 1.0 : 0.0; });
  out.Gauge("vm_free_disk_space_bytes" + of_path, [](const EngineStats& s) { return s.free_bytes; });
  out.Gauge("vm_free_disk_space_limit_bytes" + of_path,
            [limit = options.min_free_disk_space_bytes](const EngineStats&) { return limit; });
  registry.SetGaugeCallback("vm_total_disk_space_bytes" + of_path, [path = options.path] {
    std::error_code ec;
    const auto space = std::filesystem::space(path, ec);
    return ec ? 0.0 : static_cast<double>(space.capacity);
  });
  out.Gauge("vm_search_max_unique_timeseries",
            [limit = options.max_unique_timeseries](const EngineStats&) { return limit; });
  out.Gauge("vm_next_retention_seconds",
            [](const EngineStats& s) { return static_cast<uint64_t>(std::max<int64_t>(s.next_legacy_deadline_s, 0)); });
  out.Gauge("vm_snapshots", [](const EngineStats& s) { return s.snapshots; });

  PublishDataParts(out);
  PublishIndex(out);
  PublishCaches(out, options.track_metric_names_stats);
  const EngineStats now = engine.Stats();
  if (now.hourly_series.max > 0) PublishLimit(out, "hourly", &EngineStats::hourly_series);
  if (now.daily_series.max > 0) PublishLimit(out, "daily", &EngineStats::daily_series);
}

}  // namespace vm::storage
