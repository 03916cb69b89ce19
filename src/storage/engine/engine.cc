#include "storage/engine/engine.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "lib/encoding/int.h"
#include "lib/log/log.h"
#include "storage/engine/cache_file.h"
#include "storage/engine/directory.h"
#include "storage/engine/engine_impl.h"
#include "storage/engine/time_limits.h"

namespace vm::storage {
namespace {

/// (date, id) pairs remembered as registered: some 50 bytes each.
constexpr size_t kMaxRegisteredPairs = 4'000'000;
constexpr int64_t kSnapshotCheckIntervalMs = 11'000;

}  // namespace

EngineImpl::EngineImpl(EngineOptions options, std::unique_ptr<fs::FileLock> lock)
    : options_(std::move(options)),
      file_system_(*options_.file_system),
      lock_(std::move(lock)),
      index_caches_(std::make_shared<mergeset::Caches>(options_.index_headers_cache_bytes,
                                                       options_.index_items_cache_bytes)),
      tsids_(options_.tsid_cache_bytes),
      registered_(kMaxRegisteredPairs),
      metadata_(options_.metadata_bytes),
      name_usage_(options_.name_usage_bytes, options_.now_ms()),
      hourly_series_(options_.max_hourly_series, 3'600'000, options_.now_ms()),
      daily_series_(options_.max_daily_series, model::kMsecPerDay, options_.now_ms()),
      next_metric_id_(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                                std::chrono::system_clock::now().time_since_epoch())
                                                .count())),
      next_snapshot_(next_metric_id_.load()) {}

EngineImpl::~EngineImpl() {
  if (Status status = Close(); !status.ok()) {
    VM_LOG_ERROR("cannot close storage {}: {}", options_.path, status.error().message());
  }
}

Status EngineImpl::OpenTable() {
  UpdateReadOnly(false);
  VM_TRY(RemoveUnfinishedSnapshots());
  TableOptions table_options;
  table_options.partition.fs = &file_system_;
  table_options.partition.data_path = options_.path + "/data";
  table_options.partition.inmemory_flush_interval_ms = options_.inmemory_data_flush_interval_ms;
  table_options.partition.dedup_interval_ms = options_.dedup_interval_ms;
  table_options.partition.retention_ms = options_.retention_ms;
  table_options.partition.memory_limit_bytes = options_.memory_limit_bytes;
  table_options.partition.min_free_disk_space_bytes = options_.min_free_disk_space_bytes;
  table_options.partition.index_caches = index_caches_;
  table_options.partition.filter_cache_bytes = options_.filter_cache_bytes;
  table_options.partition.now_ms = options_.now_ms;
  table_options.partition.disable_per_day_index = options_.disable_per_day_index;
  table_options.final_dedup_interval_ms = options_.final_dedup_interval_ms;
  table_options.future_retention_ms = options_.future_retention_ms;
  table_options.background = options_.start_background;
  VM_ASSIGN_OR_RETURN(table_, Table::Open(std::move(table_options)));
  VM_TRY(InitMetricIds());
  VM_TRY(OpenLegacyIndexes());
  // As the original does: the months of the current hour and of the next day always exist.
  const int64_t now = options_.now_ms();
  for (const int64_t at : {now, now + model::kMsecPerDay}) {
    VM_ASSIGN_OR_RETURN(const PartitionRef partition, table_->GetOrCreatePartition(at));
  }
  if (options_.start_background) {
    watcher_ = std::jthread([this](std::stop_token stop) { WatchDisk(std::move(stop)); });
  }
  return Ok();
}

Status EngineImpl::OpenLegacyIndexes() {
  VM_ASSIGN_OR_RETURN(const ByteBuffer since,
                      file_system_.ReadFile(options_.path + "/metadata/minTimestampForCompositeIndex"));
  if (since.size() == 8) composite_since_ms_ = encoding::UnZigZag64(LoadBigEndian<uint64_t>(since.data()));
  VM_ASSIGN_OR_RETURN(legacy_, LegacyIndexes::Open(file_system_, options_.path + "/indexdb", composite_since_ms_,
                                                   index_caches_));
  // What was deleted there stays hidden in all months.
  for (const auto& table : legacy_->All()) {
    const auto deleted = table->index().DeletedIds();
    for (const PartitionRef& partition : table_->AllPartitions()) partition->index().HideIds(deleted);
    for (const auto& other : legacy_->All()) other->index().HideIds(deleted);
  }
  next_legacy_deadline_s_ = NextLegacyDeadline(options_.now_ms() / 1000, options_.retention_ms / 1000,
                                               options_.retention_timezone_offset_ms / 1000);
  return Ok();
}

void EngineImpl::RotateLegacyIndexes() {
  const int64_t now_s = options_.now_ms() / 1000;
  if (legacy_->empty() || now_s < next_legacy_deadline_s_.load()) return;
  legacy_->DropOldest();
  next_legacy_deadline_s_ = now_s + options_.retention_ms / 1000;
}

Status EngineImpl::InitMetricIds() {
  // Names of index parts come from a clock that is read when the process starts, as ids do. A process makes no more ids
  // than the index has items, so this is above the ids of each process that wrote a part.
  uint64_t newest = 0, items = 0;
  for (const PartitionRef& partition : table_->AllPartitions()) {
    VM_ASSIGN_OR_RETURN(const auto entries,
                        file_system_.ListDirectory(options_.path + "/data/indexdb/" + partition->name()));
    for (const fs::DirEntry& entry : entries) {
      uint64_t number = 0;
      const char* end = entry.name.data() + entry.name.size();
      const auto parsed = std::from_chars(entry.name.data(), end, number, 16);
      if (parsed.ec == std::errc() && parsed.ptr == end && number < (uint64_t{1} << 63)) {
        newest = std::max(newest, number);
      }
    }
    items += partition->index().stats().file_items;
  }
  const uint64_t now = next_metric_id_.load(std::memory_order_relaxed);
  if (newest > now) {
    VM_LOG_WARN("the clock is behind the newest index part {:016X}; ids of new series start after it", newest);
  }
  next_metric_id_.store(std::max(now, newest + items), std::memory_order_relaxed);
  return Ok();
}

EngineStats EngineImpl::Stats() {
  EngineStats stats;
  stats.table = table_->Stats();
  const auto partitions = table_->AllPartitions();
  stats.months = partitions.size();
  for (const PartitionRef& partition : partitions) stats.index += partition->index().Figures();
  for (const auto& table : legacy_->All()) stats.index += table->index().Figures();
  if (!legacy_->empty()) stats.next_legacy_deadline_s = next_legacy_deadline_s_.load() - options_.now_ms() / 1000;
  if (!partitions.empty()) stats.last_month = partitions.back()->Stats();
  stats.tsid_cache = {tsids_.entries(), tsids_.size_bytes(), options_.tsid_cache_bytes, tsids_.requests(),
                      tsids_.misses()};
  const auto of_cache = [](const containers::PieceCacheStats& s) {
    return CacheStats{s.entries, s.size_bytes, s.max_bytes, s.requests, s.misses};
  };
  stats.index_blocks = of_cache(table_->IndexBlocksStats());
  stats.index_headers = of_cache(index_caches_->headers.stats());
  stats.index_items = of_cache(index_caches_->blocks.stats());
  stats.composite_since_ms = composite_since_ms_;
  stats.active_series = ActiveSeries();
  stats.registered_pairs = registered_.entries();
  stats.registered_bytes = registered_.size_bytes();
  stats.name_usage = {name_usage_.entries(), name_usage_.size_bytes(), name_usage_.max_bytes(), 0, 0};
  const auto limit = [](const SeriesLimiter& limiter) {
    return SeriesLimitStats{limiter.current_series(), limiter.max_series(), limiter.dropped()};
  };
  stats.hourly_series = limit(hourly_series_);
  stats.daily_series = limit(daily_series_);
  stats.metadata_entries = metadata_.entries();
  stats.metadata_bytes = metadata_.size_bytes();
  stats.metadata_max_bytes = metadata_.max_bytes();
  if (auto names = ListSnapshots(); names.ok()) stats.snapshots = names.value().size();
  if (auto free = file_system_.FreeSpace(options_.path); free.ok()) stats.free_bytes = free.value();
  return stats;
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

void EngineImpl::WatchDisk(std::stop_token stop) {
  int64_t next_snapshot_check = options_.now_ms() + kSnapshotCheckIntervalMs;
  while (!stop.stop_requested()) {
    {
      MutexLock lock(wake_mutex_);
      if (!stop.stop_requested()) wake_.WaitFor(wake_mutex_, std::chrono::seconds(1));
    }
    if (stop.stop_requested()) return;
    UpdateReadOnly(true);
    RotateLegacyIndexes();
    if (options_.snapshots_max_age_ms <= 0 || options_.now_ms() < next_snapshot_check) continue;
    next_snapshot_check = options_.now_ms() + kSnapshotCheckIntervalMs;
    if (Status status = DeleteStaleSnapshots(options_.snapshots_max_age_ms); !status.ok()) {
      VM_LOG_ERROR("cannot delete old snapshots of {}: {}", options_.path, status.error().message());
    }
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
  const Status legacy_status = legacy_ ? legacy_->Close() : Ok();
  Status status = Ok();
  if (table_) {
    // What is only in memory is lost after this: a disk that fails for a moment gets another chance, six seconds in all.
    for (auto pause = std::chrono::milliseconds(50);; pause *= 2) {
      status = table_->Close();
      if (status.ok() || pause > std::chrono::seconds(4)) break;
      VM_LOG_ERROR("cannot write to {}, which is tried again: {}", options_.path, status.error().message());
      std::this_thread::sleep_for(pause);
    }
    if (status.ok()) SaveCaches();
  }
  table_.reset();
  lock_.reset();
  return status.ok() ? legacy_status : status;
}

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
  fs::FileSystem& file_system = *options.file_system;
  const std::string data_path = options.path + "/data";
  auto engine = std::make_unique<EngineImpl>(std::move(options), std::move(lock));
  // Before this month's partition is made.
  VM_ASSIGN_OR_RETURN(const uint64_t digest, DigestOfParts(file_system, data_path));
  VM_TRY(engine->OpenTable());
  engine->LoadCaches(digest);
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace vm::storage
