#include "storage/engine/engine.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <optional>
#include <set>
#include <thread>
#include <unordered_set>

#include "lib/containers/byte_key_cache.h"
#include "lib/containers/generation_set.h"
#include "lib/decimal/decimal.h"
#include "lib/hash/xxhash.h"
#include "lib/log/log.h"
#include "lib/model/metric_name.h"
#include "storage/engine/directory.h"
#include "storage/engine/metadata_store.h"
#include "storage/engine/time_limits.h"
#include "storage/indexdb/indexdb.h"
#include "storage/table/table.h"

namespace vm::storage {
namespace {

/// Rows handed to the table at once, as in the original.
constexpr size_t kMaxRowsPerBatch = 8000;
/// At most one line about bad rows in this time.
constexpr int64_t kWarnIntervalMs = 5000;
/// (date, id) pairs remembered as registered: some 50 bytes each.
constexpr size_t kMaxRegisteredPairs = 4'000'000;

/// "AccountID=0, ProjectID=0, name{a="b"}", for log lines.
std::string NameForLog(ByteView metric_name_raw) {
  auto name = model::MetricName::UnmarshalRaw(metric_name_raw);
  if (!name.ok()) return ToHex(metric_name_raw);
  const model::MetricName& n = name.value();
  std::string text = fmt::format("AccountID={}, ProjectID={}, {}{{", n.tenant.account_id,
                                 n.tenant.project_id, n.metric_group);
  for (size_t i = 0; i < n.tags.size(); ++i) {
    if (i > 0) text += ",";
    text += n.tags[i].key + "=\"" + n.tags[i].value + "\"";
  }
  return text + "}";
}

class EngineImpl final : public Engine {
 public:
  EngineImpl(EngineOptions options, std::unique_ptr<fs::FileLock> lock)
      : options_(std::move(options)),
        file_system_(*options_.file_system),
        lock_(std::move(lock)),
        tsids_(options_.tsid_cache_bytes),
        registered_(kMaxRegisteredPairs),
        next_metric_id_(static_cast<uint64_t>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(
                std::chrono::system_clock::now().time_since_epoch())
                .count())) {}
  ~EngineImpl() override {
    if (Status status = Close(); !status.ok()) {
      VM_LOG_ERROR("cannot close storage {}: {}", options_.path, status.error().message());
    }
  }

  Status OpenTable();

  void AddRows(std::span<const model::MetricRow> rows) override;
  void RegisterMetricNames(std::span<const model::MetricRow> rows) override;
  Status Search(const model::SearchQuery& query, const Deadline& deadline,
                const BlockSink& sink) override;
  Result<std::vector<ByteBuffer>> SearchMetricNames(const model::SearchQuery& query,
                                                    const Deadline& deadline) override;
  Result<std::vector<std::string>> SearchLabelNames(const model::SearchQuery& query,
                                                    size_t max_names,
                                                    const Deadline& deadline) override;
  Result<std::vector<std::string>> SearchLabelValues(const model::SearchQuery& query,
                                                     std::string_view label_name,
                                                     size_t max_values,
                                                     const Deadline& deadline) override;
  Result<uint64_t> SeriesCount(model::Tenant tenant, const Deadline& deadline) override;
  void AddMetadata(std::span<const model::MetadataRow> rows) override {
    metadata_.Add(rows, options_.now_ms());
  }
  std::vector<model::MetadataRow> SearchMetadata(const model::Tenant* tenant, size_t limit,
                                                 std::string_view metric_name) override {
    return metadata_.Search(tenant, limit, metric_name, options_.now_ms());
  }
  void ForceFlush() override;
  Status ForceMerge(std::string_view partition_prefix) override {
    return table_->ForceMerge(partition_prefix);
  }
  bool IsReadOnly() const override { return read_only_.load(std::memory_order_relaxed); }
  const EngineMetrics& metrics() const override { return metrics_; }
  PartitionStats TableStats() const override { return table_->Stats(); }
  CacheStats TsidCacheStats() override {
    return {tsids_.entries(), tsids_.size_bytes(), tsids_.requests(), tsids_.misses()};
  }
  Status Close() override;

 private:
  /// What one AddRows call remembers from row to row.
  struct Batch {
    PartitionRef partition;
    ByteView previous_raw;
    std::optional<model::Tsid> previous_tsid;
    uint64_t previous_date = 0;
    std::optional<std::string> first_problem;
    std::vector<RawRow> rows;
  };

  void AddBatch(std::span<const model::MetricRow> rows, bool with_samples);
  /// The TSID of a row, registered in its month and day. Nothing when the row has to be skipped.
  std::optional<model::Tsid> Resolve(Batch& batch, const model::MetricRow& row);
  Status EnsureRegistered(Partition& partition, const model::Tsid& tsid, uint64_t date,
                          ByteView metric_name_raw);
  Result<model::Tsid> FindOrCreate(Partition& partition, uint64_t date,
                                   const model::MetricName& name);
  model::Tsid NewTsid(const model::MetricName& name);
  void WarnAboutRows(const std::string& problem);

  model::TimeRange ClipToRetention(model::TimeRange range) const {
    range.min_timestamp =
        std::max(range.min_timestamp, options_.now_ms() / 1000 * 1000 - options_.retention_ms);
    return range;
  }
  uint32_t MaxMetrics(uint32_t requested) const;
  static Error TooManySeries(uint32_t max_metrics) {
    return Error(ErrorCode::kLimitExceeded,
                 fmt::format("the number of matching timeseries exceeds {}; either narrow down the "
                             "search or increase -search.max* command-line flag values at vmselect",
                             max_metrics));
  }
  void UpdateReadOnly(bool log);
  void WatchFreeSpace(std::stop_token stop);

  const EngineOptions options_;
  fs::FileSystem& file_system_;
  std::unique_ptr<fs::FileLock> lock_;
  std::unique_ptr<Table> table_;
  containers::ByteKeyCache<model::Tsid> tsids_;
  containers::GenerationSet registered_;  // (date, metric id).
  MetadataStore metadata_;
  EngineMetrics metrics_;
  std::atomic<uint64_t> next_metric_id_;
  std::atomic<bool> read_only_{false};
  std::atomic<int64_t> last_warn_ms_{0};
  /// Names created at the same time by two callers would get two ids: a name's hash picks its lock.
  std::array<Mutex, 64> create_mutexes_;
  Mutex wake_mutex_;
  CondVar wake_;
  bool closed_ = false;
  std::jthread watcher_;
};

Status EngineImpl::OpenTable() {
  UpdateReadOnly(false);
  TableOptions table_options;
  table_options.partition.fs = &file_system_;
  table_options.partition.data_path = options_.path + "/data";
  table_options.partition.inmemory_flush_interval_ms = options_.inmemory_data_flush_interval_ms;
  table_options.partition.dedup_interval_ms = options_.dedup_interval_ms;
  table_options.partition.retention_ms = options_.retention_ms;
  table_options.partition.memory_limit_bytes = options_.memory_limit_bytes;
  table_options.partition.now_ms = options_.now_ms;
  table_options.future_retention_ms = options_.future_retention_ms;
  table_options.background = options_.start_background;
  VM_ASSIGN_OR_RETURN(table_, Table::Open(std::move(table_options)));
  // As the original does: the months of the current hour and of the next day always exist.
  const int64_t now = options_.now_ms();
  for (const int64_t at : {now, now + model::kMsecPerDay}) {
    VM_ASSIGN_OR_RETURN(const PartitionRef partition, table_->GetOrCreatePartition(at));
  }
  if (options_.start_background) {
    watcher_ = std::jthread([this](std::stop_token stop) { WatchFreeSpace(std::move(stop)); });
  }
  return Ok();
}

void EngineImpl::AddRows(std::span<const model::MetricRow> rows) {
  metrics_.rows_received.fetch_add(rows.size(), std::memory_order_relaxed);
  while (!rows.empty()) {
    const size_t n = std::min(rows.size(), kMaxRowsPerBatch);
    AddBatch(rows.first(n), true);
    rows = rows.subspan(n);
  }
}

void EngineImpl::RegisterMetricNames(std::span<const model::MetricRow> rows) {
  AddBatch(rows, false);
}

void EngineImpl::AddBatch(std::span<const model::MetricRow> rows, bool with_samples) {
  Batch batch;
  batch.rows.reserve(with_samples ? rows.size() : 0);
  const model::TimeRange accepted =
      AcceptedTimestamps(options_.now_ms(), options_.retention_ms, options_.max_backfill_age_ms,
                         options_.future_retention_ms);
  for (const model::MetricRow& row : rows) {
    if (std::isnan(row.value) && !decimal::IsStaleNaN(row.value)) continue;
    if (row.timestamp < accepted.min_timestamp) {
      if (!batch.first_problem) {
        batch.first_problem = fmt::format(
            "cannot insert row with too small timestamp {}; minimum allowed timestamp is {}; "
            "probably you need updating -retentionPeriod or -maxBackfillAge command-line flags; "
            "metricName: {}",
            row.timestamp, accepted.min_timestamp, NameForLog(row.metric_name_raw));
      }
      metrics_.rows_too_small_timestamp.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    if (row.timestamp > accepted.max_timestamp) {
      if (!batch.first_problem) {
        batch.first_problem = fmt::format(
            "cannot insert row with too big timestamp {} exceeding the current time; maximum "
            "allowed timestamp is {}; metricName: {}",
            row.timestamp, accepted.max_timestamp, NameForLog(row.metric_name_raw));
      }
      metrics_.rows_too_big_timestamp.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    const std::optional<model::Tsid> tsid = Resolve(batch, row);
    if (!tsid) continue;
    if (with_samples) {
      batch.rows.push_back({*tsid, row.timestamp, row.value, options_.precision_bits});
    }
  }
  if (!batch.rows.empty()) {
    uint64_t skipped = 0;
    if (Status status = table_->AddRows(batch.rows, &skipped); !status.ok()) {
      VM_FATAL("cannot add rows to {}: {}", options_.path, status.error().message());
    }
    metrics_.rows_added.fetch_add(batch.rows.size() - skipped, std::memory_order_relaxed);
  }
  if (batch.first_problem) WarnAboutRows(*batch.first_problem);
}

std::optional<model::Tsid> EngineImpl::Resolve(Batch& batch, const model::MetricRow& row) {
  const uint64_t date = DateOf(row.timestamp);
  if (batch.previous_tsid && date == batch.previous_date &&
      Equal(batch.previous_raw, row.metric_name_raw)) {
    return batch.previous_tsid;
  }
  auto remember = [&](const model::Tsid& tsid) {
    batch.previous_raw = row.metric_name_raw;
    batch.previous_tsid = tsid;
    batch.previous_date = date;
    return tsid;
  };
  auto complain = [&](const Error& error) {
    if (!batch.first_problem) batch.first_problem = error.message();
  };
  if (!batch.partition || row.timestamp < batch.partition->time_range().min_timestamp ||
      row.timestamp > batch.partition->time_range().max_timestamp) {
    auto partition = table_->GetOrCreatePartition(row.timestamp);
    if (!partition.ok()) {
      VM_FATAL("cannot create partition in {}: {}", options_.path, partition.error().message());
    }
    batch.partition = std::move(partition).value();
  }
  Partition& partition = *batch.partition;

  auto from_cache = [&]() -> std::optional<model::Tsid> {
    auto tsid = tsids_.Get(row.metric_name_raw);
    if (tsid && partition.index().IsDeleted(tsid->metric_id)) tsid.reset();
    return tsid;
  };
  if (const auto tsid = from_cache()) {
    if (registered_.Has(date, static_cast<uint64_t>(tsid->metric_id))) return remember(*tsid);
    if (Status status = EnsureRegistered(partition, *tsid, date, row.metric_name_raw);
        !status.ok()) {
      complain(status.error());
      return std::nullopt;
    }
    return remember(*tsid);
  }

  metrics_.slow_row_inserts.fetch_add(1, std::memory_order_relaxed);
  auto name = model::MetricName::UnmarshalRaw(row.metric_name_raw);
  if (!name.ok()) {
    metrics_.rows_invalid_raw_metric_name.fetch_add(1, std::memory_order_relaxed);
    complain(std::move(name).error().WithContext(
        "cannot unmarshal MetricNameRaw " + ToHex(row.metric_name_raw)));
    return std::nullopt;
  }
  name.value().SortTags();
  MutexLock lock(create_mutexes_[hash::XXH64(row.metric_name_raw) % create_mutexes_.size()]);
  std::optional<model::Tsid> tsid = from_cache();
  if (tsid) {
    // Created by another caller since the look-up above.
    if (Status status = EnsureRegistered(partition, *tsid, date, row.metric_name_raw);
        !status.ok()) {
      complain(status.error());
      return std::nullopt;
    }
    return remember(*tsid);
  }
  auto found = FindOrCreate(partition, date, name.value());
  if (!found.ok()) {
    complain(found.error());
    return std::nullopt;
  }
  tsids_.Put(row.metric_name_raw, found.value());
  registered_.Add(date, static_cast<uint64_t>(found.value().metric_id));
  return remember(found.value());
}

Status EngineImpl::EnsureRegistered(Partition& partition, const model::Tsid& tsid, uint64_t date,
                                    ByteView metric_name_raw) {
  const auto id = static_cast<uint64_t>(tsid.metric_id);
  if (registered_.Has(date, id)) return Ok();
  VM_ASSIGN_OR_RETURN(model::MetricName name, model::MetricName::UnmarshalRaw(metric_name_raw));
  name.SortTags();
  indexdb::IndexDb& index = partition.index();
  VM_ASSIGN_OR_RETURN(const bool has_date, index.HasDate(name.tenant, date, tsid.metric_id));
  if (!has_date) {
    metrics_.slow_per_day_index_inserts.fetch_add(1, std::memory_order_relaxed);
    VM_ASSIGN_OR_RETURN(const bool has_id, index.HasMetricId(name.tenant, tsid.metric_id));
    if (has_id) {
      VM_TRY(index.AddDate(name, tsid, date));
    } else {
      metrics_.timeseries_repopulated.fetch_add(1, std::memory_order_relaxed);
      VM_TRY(index.CreateSeries(name, tsid, date));
    }
  }
  registered_.Add(date, id);
  return Ok();
}

Result<model::Tsid> EngineImpl::FindOrCreate(Partition& partition, uint64_t date,
                                             const model::MetricName& name) {
  indexdb::IndexDb& index = partition.index();
  VM_ASSIGN_OR_RETURN(std::optional<model::Tsid> tsid, index.GetTsidByName(date, name));
  if (tsid) return *tsid;

  // After a cold start the ids of yesterday's series are only on disk; on the 1st in another month.
  if (date > 1) {
    const int64_t yesterday = static_cast<int64_t>(date - 1) * model::kMsecPerDay;
    PartitionRef previous = table_->GetPartition(yesterday);
    if (previous) {
      VM_ASSIGN_OR_RETURN(tsid, previous->index().GetTsidByName(date - 1, name));
    }
    if (tsid && !index.IsDeleted(tsid->metric_id)) {
      metrics_.slow_per_day_index_inserts.fetch_add(1, std::memory_order_relaxed);
      VM_ASSIGN_OR_RETURN(const bool has_id, index.HasMetricId(name.tenant, tsid->metric_id));
      if (has_id) {
        VM_TRY(index.AddDate(name, *tsid, date));
      } else {
        metrics_.timeseries_repopulated.fetch_add(1, std::memory_order_relaxed);
        VM_TRY(index.CreateSeries(name, *tsid, date));
      }
      return *tsid;
    }
  }

  const model::Tsid created = NewTsid(name);
  VM_TRY(index.CreateSeries(name, created, date));
  metrics_.new_timeseries_created.fetch_add(1, std::memory_order_relaxed);
  return created;
}

model::Tsid EngineImpl::NewTsid(const model::MetricName& name) {
  model::Tsid tsid;
  tsid.account_id = name.tenant.account_id;
  tsid.project_id = name.tenant.project_id;
  tsid.metric_group_id = hash::XXH64(AsBytes(name.metric_group));
  if (!name.tags.empty()) {
    tsid.job_id = static_cast<uint32_t>(hash::XXH64(AsBytes(name.tags[0].value)));
  }
  if (name.tags.size() > 1) {
    tsid.instance_id = static_cast<uint32_t>(hash::XXH64(AsBytes(name.tags[1].value)));
  }
  tsid.metric_id =
      static_cast<model::MetricId>(next_metric_id_.fetch_add(1, std::memory_order_relaxed) + 1);
  return tsid;
}

void EngineImpl::WarnAboutRows(const std::string& problem) {
  const int64_t now = options_.now_ms();
  int64_t last = last_warn_ms_.load(std::memory_order_relaxed);
  if (now - last < kWarnIntervalMs && last != 0) return;
  if (!last_warn_ms_.compare_exchange_strong(last, now, std::memory_order_relaxed)) return;
  VM_LOG_WARN("warn occurred during rows addition: {}", problem);
}

uint32_t EngineImpl::MaxMetrics(uint32_t requested) const {
  const uint32_t limit = options_.max_unique_timeseries;
  if (requested == 0) return limit > 0 ? limit : options_.automatic_max_unique_timeseries;
  return limit > 0 ? std::min(requested, limit) : requested;
}

Status EngineImpl::Search(const model::SearchQuery& query, const Deadline& deadline,
                          const BlockSink& sink) {
  if (query.tag_filter_groups.empty()) {
    return Error(ErrorCode::kInvalidInput, "missing tag filters");
  }
  const model::TimeRange range = ClipToRetention(query.time_range);
  if (range.min_timestamp > range.max_timestamp) return Ok();
  const uint32_t max_metrics = MaxMetrics(query.max_metrics);
  const std::vector<PartitionRef> partitions = table_->Partitions(range);
  std::vector<model::Tsid> tsids;
  for (const PartitionRef& partition : partitions) {
    VM_ASSIGN_OR_RETURN(const std::vector<model::MetricId> ids,
                        partition->index().SearchMetricIds(query.tenant, query.tag_filter_groups,
                                                           range, max_metrics, deadline));
    VM_ASSIGN_OR_RETURN(const std::vector<model::Tsid> found,
                        partition->index().GetTsidsByMetricIds(query.tenant, ids, deadline));
    tsids.insert(tsids.end(), found.begin(), found.end());
  }
  std::sort(tsids.begin(), tsids.end());
  tsids.erase(std::unique(tsids.begin(), tsids.end()), tsids.end());
  if (tsids.size() > max_metrics) return TooManySeries(max_metrics);
  if (tsids.empty()) return Ok();

  TableSearch search = table_->Search(tsids, range);
  std::optional<model::MetricId> current;
  std::optional<ByteBuffer> name;
  for (;;) {
    if (deadline.Cancelled()) return Error(ErrorCode::kCancelled, "the request is cancelled");
    if (deadline.Expired()) return Error(ErrorCode::kUnavailable, "deadline exceeded");
    VM_ASSIGN_OR_RETURN(const bool more, search.Next());
    if (!more) return Ok();
    const model::EncodedBlock& block = search.block();
    const model::MetricId id = block.header.tsid.metric_id;
    if (current != id) {
      current = id;
      name.reset();
      for (const PartitionRef& partition : partitions) {
        VM_ASSIGN_OR_RETURN(name, partition->index().GetMetricName(query.tenant, id));
        if (name) break;
      }
    }
    if (!name) continue;
    VM_TRY(sink(*name, block));
  }
}

Result<std::vector<ByteBuffer>> EngineImpl::SearchMetricNames(const model::SearchQuery& query,
                                                              const Deadline& deadline) {
  if (query.tag_filter_groups.empty()) {
    return Error(ErrorCode::kInvalidInput, "missing tag filters");
  }
  const model::TimeRange range = ClipToRetention(query.time_range);
  const uint32_t max_metrics =
      query.max_metrics > 0 ? query.max_metrics : MaxMetrics(query.max_metrics);
  std::set<ByteBuffer> names;
  std::unordered_set<uint64_t> seen;
  for (const PartitionRef& partition : table_->Partitions(range)) {
    VM_ASSIGN_OR_RETURN(const std::vector<model::MetricId> ids,
                        partition->index().SearchMetricIds(query.tenant, query.tag_filter_groups,
                                                           range, max_metrics, deadline));
    for (const model::MetricId id : ids) {
      if (seen.contains(static_cast<uint64_t>(id))) continue;
      if (deadline.Expired()) return Error(ErrorCode::kUnavailable, "deadline exceeded");
      VM_ASSIGN_OR_RETURN(std::optional<ByteBuffer> name,
                          partition->index().GetMetricName(query.tenant, id));
      if (!name) continue;
      seen.insert(static_cast<uint64_t>(id));
      names.insert(std::move(*name));
    }
    if (seen.size() > max_metrics) return TooManySeries(max_metrics);
  }
  return std::vector<ByteBuffer>(names.begin(), names.end());
}

Result<std::vector<std::string>> EngineImpl::SearchLabelNames(const model::SearchQuery& query,
                                                              size_t max_names,
                                                              const Deadline& deadline) {
  const model::TimeRange range = ClipToRetention(query.time_range);
  const uint32_t max_metrics =
      query.max_metrics > 0 ? query.max_metrics : MaxMetrics(query.max_metrics);
  std::set<std::string> names;
  for (const PartitionRef& partition : table_->Partitions(range)) {
    VM_ASSIGN_OR_RETURN(
        const auto found,
        partition->index().SearchLabelNames(query.tenant, query.tag_filter_groups, range,
                                            max_names, max_metrics, deadline));
    names.insert(found.begin(), found.end());
  }
  std::vector<std::string> result(names.begin(), names.end());
  if (result.size() > max_names) result.resize(max_names);
  return result;
}

Result<std::vector<std::string>> EngineImpl::SearchLabelValues(const model::SearchQuery& query,
                                                               std::string_view label_name,
                                                               size_t max_values,
                                                               const Deadline& deadline) {
  const model::TimeRange range = ClipToRetention(query.time_range);
  const uint32_t max_metrics =
      query.max_metrics > 0 ? query.max_metrics : MaxMetrics(query.max_metrics);
  std::set<std::string> values;
  for (const PartitionRef& partition : table_->Partitions(range)) {
    VM_ASSIGN_OR_RETURN(
        const auto found,
        partition->index().SearchLabelValues(query.tenant, label_name, query.tag_filter_groups,
                                             range, max_values, max_metrics, deadline));
    values.insert(found.begin(), found.end());
  }
  values.erase("");
  std::vector<std::string> result(values.begin(), values.end());
  if (result.size() > max_values) result.resize(max_values);
  return result;
}

Result<uint64_t> EngineImpl::SeriesCount(model::Tenant tenant, const Deadline& deadline) {
  uint64_t count = 0;
  for (const PartitionRef& partition : table_->AllPartitions()) {
    VM_ASSIGN_OR_RETURN(const uint64_t n, partition->index().SeriesCount(tenant, deadline));
    count += n;
  }
  return count;
}

void EngineImpl::ForceFlush() {
  if (Status status = table_->FlushToSearchable(); !status.ok()) {
    VM_FATAL("cannot flush {}: {}", options_.path, status.error().message());
  }
}

void EngineImpl::UpdateReadOnly(bool log) {
  auto free = file_system_.FreeSpace(options_.path);
  if (!free.ok()) return;
  const bool now_read_only = free.value() < options_.min_free_disk_space_bytes;
  if (read_only_.exchange(now_read_only, std::memory_order_relaxed) == now_read_only || !log) return;
  if (now_read_only) {
    VM_LOG_WARN(
        "switching the storage at {} to read-only mode, since it has less than "
        "-storage.minFreeDiskSpaceBytes={} of free space: {} bytes left",
        options_.path, options_.min_free_disk_space_bytes, free.value());
  } else {
    VM_LOG_WARN(
        "switching the storage at {} to read-write mode, since it has more than "
        "-storage.minFreeDiskSpaceBytes={} of free space: {} bytes left",
        options_.path, options_.min_free_disk_space_bytes, free.value());
  }
}

void EngineImpl::WatchFreeSpace(std::stop_token stop) {
  while (!stop.stop_requested()) {
    {
      MutexLock lock(wake_mutex_);
      if (!stop.stop_requested()) wake_.WaitFor(wake_mutex_, std::chrono::seconds(1));
    }
    if (!stop.stop_requested()) UpdateReadOnly(true);
  }
}

Status EngineImpl::Close() {
  if (closed_) return Ok();
  closed_ = true;
  if (watcher_.joinable()) {
    {
      MutexLock lock(wake_mutex_);
      watcher_.request_stop();
    }
    wake_.NotifyAll();
    watcher_.join();
  }
  Status status = table_ ? table_->Close() : Ok();
  table_.reset();
  lock_.reset();
  return status;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Open(EngineOptions options) {
  if (options.file_system == nullptr) options.file_system = &fs::RealFileSystem();
  if (!options.now_ms) {
    options.now_ms = [] {
      return static_cast<int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                      std::chrono::system_clock::now().time_since_epoch())
                                      .count());
    };
  }
  VM_ASSIGN_OR_RETURN(auto lock,
                      OpenStorageDirectory(*options.file_system, options.path, options.now_ms()));
  auto engine = std::make_unique<EngineImpl>(std::move(options), std::move(lock));
  VM_TRY(engine->OpenTable());
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace vm::storage
