#include "storage/table/table.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <queue>
#include <random>
#include <set>

#include "lib/log/log.h"

namespace vm::storage {
namespace {

constexpr int64_t kMinTimestamp = model::kMsecPerDay;  // 1970-01-01 stands for "all days" in the index.
constexpr int64_t kMaxTimestamp = 9222422399999;
constexpr int64_t kDropPartitionsIntervalMs = 60'000;
constexpr int64_t kDiskLoopIntervalMs = 500;
constexpr int64_t kMergeRetryIntervalMs = 10'000;
constexpr int64_t kErrorLogIntervalMs = 5'000;
constexpr int64_t kFailedMonthRetryMs = 10'000;
constexpr int64_t kBusyLogAfterMs = 5'000;
constexpr int64_t kBusyLogIntervalMs = 60'000;
constexpr uint32_t kMaxWorkersPerClass = 16;
// Rows wait when memory holds more than its share or searches would have to look into too many parts. In-memory parts
// are at most a 60th of that share; a month that merges keep up with has fewer than a hundred small parts.
constexpr uint64_t kMinMemoryForRows = 64 << 20;
constexpr uint64_t kMaxInmemoryParts = 60;
constexpr uint64_t kMaxSmallParts = 400;

int64_t SteadyMs() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

/// Merges take what CPU rows and queries leave: decision D10. Whether it works changes nothing else.
void RunBehindIngestion() {
  constexpr int kNice = 5;
  static_cast<void>(::setpriority(PRIO_PROCESS, 0, kNice));  // Of this thread, on Linux.
}

}  // namespace

struct TableSearch::State {
  std::vector<PartitionRef> partitions;
  std::vector<std::vector<model::Tsid>> tsids;  // Per partition; elements do not move.
  model::TimeRange range;
  std::vector<std::unique_ptr<PartSearch>> searches;
  std::vector<size_t> heap;  // Searches that have a block, the first one on top.
  bool started = false;

  bool Later(size_t a, size_t b) const {
    const model::BlockHeader& x = searches[a]->block().header;
    const model::BlockHeader& y = searches[b]->block().header;
    if (x.tsid != y.tsid) return y.tsid < x.tsid;
    if (x.min_timestamp != y.min_timestamp) return y.min_timestamp < x.min_timestamp;
    return b < a;
  }
  Status Advance(size_t i) {
    VM_ASSIGN_OR_RETURN(const bool found, searches[i]->Next());
    if (!found) return Ok();
    heap.push_back(i);
    std::push_heap(heap.begin(), heap.end(), [this](size_t a, size_t b) { return Later(a, b); });
    return Ok();
  }
};

TableSearch::TableSearch(std::vector<PartitionRef> partitions, std::span<const model::Tsid> tsids,
                         const model::TimeRange& range)
    : state_(std::make_unique<State>()) {
  state_->partitions = std::move(partitions);
  state_->range = range;
  state_->tsids.reserve(state_->partitions.size());
  for (const PartitionRef& partition : state_->partitions) {
    // A series that was deleted here may go on, under the same id, in a later month.
    std::vector<model::Tsid>& wanted = state_->tsids.emplace_back(tsids.begin(), tsids.end());
    std::erase_if(wanted, [&](const model::Tsid& tsid) { return partition->index().IsDeleted(tsid.metric_id); });
    for (PartRef& part : partition->Parts()) {
      const PartHeader& h = part->header();
      if (!range.Overlaps({h.min_timestamp, h.max_timestamp})) continue;
      state_->searches.push_back(std::make_unique<PartSearch>(std::move(part), wanted, range));
    }
  }
}
TableSearch::~TableSearch() = default;
TableSearch::TableSearch(TableSearch&&) noexcept = default;

Result<bool> TableSearch::Next() {
  State& s = *state_;
  if (!s.started) {
    s.started = true;
    for (size_t i = 0; i < s.searches.size(); ++i) VM_TRY(s.Advance(i));
  } else if (!s.heap.empty()) {
    std::pop_heap(s.heap.begin(), s.heap.end(), [&](size_t a, size_t b) { return s.Later(a, b); });
    const size_t current = s.heap.back();
    s.heap.pop_back();
    VM_TRY(s.Advance(current));
  }
  return !s.heap.empty();
}

const model::EncodedBlock& TableSearch::block() const { return state_->searches[state_->heap.front()]->block(); }

Table::Table(TableOptions options) : options_(std::move(options)) {}

Table::~Table() { StopThreads(); }

Result<std::unique_ptr<Table>> Table::Open(TableOptions options) {
  std::unique_ptr<Table> table(new Table(std::move(options)));
  if (table->options_.partition.index_blocks == nullptr) {
    table->options_.partition.index_blocks = std::make_shared<IndexBlockCache>(
        static_cast<size_t>(table->options_.partition.memory_limit_bytes / 10));  // The share it has in the original.
  }
  table->options_.partition.parts_added = [t = table.get()] {
    MutexLock lock(t->wake_mutex_);
    ++t->merge_tickets_;
    t->wake_.NotifyAll();
  };
  VM_TRY(table->OpenPartitions());
  if (table->options_.background) table->StartThreads();
  return table;
}

Status Table::OpenPartitions() {
  fs::FileSystem& files = *options_.partition.fs;
  std::set<std::string> names;
  std::vector<std::pair<std::string, std::string>> empty;  // Name and path.
  VM_TRY(fs::CreateDirectoriesSynced(files, options_.partition.data_path));
  for (const char* kind : {"small", "big", "indexdb"}) {
    const std::string parent = fs::Join(options_.partition.data_path, kind);
    VM_TRY(fs::CreateDirectoriesSynced(files, parent));
    VM_ASSIGN_OR_RETURN(const std::vector<fs::DirEntry> entries, files.ListDirectory(parent));
    for (const fs::DirEntry& entry : entries) {
      if (!entry.is_directory || entry.name == "snapshots") continue;
      const std::string path = fs::Join(parent, entry.name);
      VM_ASSIGN_OR_RETURN(const std::vector<fs::DirEntry> content, files.ListDirectory(path));
      if (content.empty()) {
        empty.emplace_back(entry.name, path);
        continue;
      }
      VM_ASSIGN_OR_RETURN(const bool removed, fs::IsPartiallyRemoved(files, path));
      if (removed) {
        VM_TRY(fs::RemoveDirectory(files, path));
        continue;
      }
      if (!PartitionTimeRange(entry.name).ok()) {
        return Error(ErrorCode::kCorrupted,
                     fmt::format("cannot obtain partition time range from smallPartsPath \"{}\"",
                                 fs::Join(fs::Join(options_.partition.data_path, "small"), entry.name)));
      }
      names.insert(entry.name);
    }
  }
  // What a removal left last. The empty folder of a month that lives stays: a full disk might not take it anew.
  for (const auto& [name, path] : empty) {
    if (!names.contains(name)) VM_TRY(files.RemoveEmptyDirectory(path));
  }
  for (const std::string& name : names) {
    VM_ASSIGN_OR_RETURN(PartitionRef partition, Partition::Open(name, options_.partition));
    MutexLock lock(mutex_);
    partitions_.push_back(std::move(partition));
  }
  return Ok();
}

Room Table::room() const {
  const uint64_t max_bytes = std::max(options_.partition.memory_limit_bytes / 10, kMinMemoryForRows);
  Partition::Load most;
  bool busy = false;
  for (const PartitionRef& partition : AllPartitions()) {
    const Partition::Load load = partition->GetLoad();
    most.memory_bytes += load.memory_bytes;
    most.inmemory_parts = std::max(most.inmemory_parts, load.inmemory_parts);
    most.small_parts = std::max(most.small_parts, load.small_parts);
    most.index_memory_sets = std::max(most.index_memory_sets, load.index_memory_sets);
    // Waiting does not help when merges wait for room on the disk.
    busy = busy || load.inmemory_parts >= kMaxInmemoryParts ||
           (load.small_parts >= kMaxSmallParts && !load.lacks_space) ||
           load.index_memory_sets >= mergeset::kMaxMemorySets;
  }
  if (!busy && most.memory_bytes < max_bytes) {
    if (busy_since_ms_.load(std::memory_order_relaxed) != 0) busy_since_ms_.store(0, std::memory_order_relaxed);
    return Room::kFree;
  }
  LogBusy(most, max_bytes);
  return flush_failing_.load(std::memory_order_relaxed) ? Room::kFailing : Room::kBusy;
}

void Table::LogBusy(const Partition::Load& most, uint64_t max_bytes) const {
  const int64_t now = SteadyMs();
  int64_t since = 0;
  if (busy_since_ms_.compare_exchange_strong(since, now, std::memory_order_relaxed)) return;
  int64_t last = busy_log_ms_.load(std::memory_order_relaxed);
  if (now - since < kBusyLogAfterMs || (last != INT64_MIN && now - last < kBusyLogIntervalMs)) return;
  if (!busy_log_ms_.compare_exchange_strong(last, now, std::memory_order_relaxed)) return;
  VM_LOG_WARN("rows have been waiting for {} seconds, since files do not keep up: {} of {} bytes in memory, and in one "
              "month {} of {} parts in memory, {} of {} small parts, {} of {} sets of index items",
              (now - since) / 1000, most.memory_bytes, max_bytes, most.inmemory_parts, kMaxInmemoryParts,
              most.small_parts, kMaxSmallParts, most.index_memory_sets, mergeset::kMaxMemorySets);
}

model::TimeRange Table::AcceptedRange() const {
  const int64_t now = options_.partition.now_ms() / 1000 * 1000;
  const int64_t retention = options_.partition.retention_ms;
  return {retention > 0 ? std::max(now - retention, kMinTimestamp) : kMinTimestamp,
          std::min(now + options_.future_retention_ms, kMaxTimestamp)};
}

Status Table::AddRows(std::span<const RawRow> rows, SkippedRows* skipped) {
  const model::TimeRange accepted = AcceptedRange();
  SkippedRows nobody_asks;
  if (skipped == nullptr) skipped = &nobody_asks;
  PartitionRef partition;
  for (size_t i = 0; i < rows.size();) {
    const int64_t timestamp = rows[i].timestamp;
    if (timestamp < accepted.min_timestamp || timestamp > accepted.max_timestamp) {
      ++(timestamp < accepted.min_timestamp ? skipped->too_old : skipped->too_new);
      ++i;
      continue;
    }
    auto found = GetOrCreatePartition(timestamp);
    if (!found.ok()) {
      if (found.error().code() != ErrorCode::kCorrupted) return std::move(found).error();
      ++skipped->of_unreadable_months;
      ++i;
      continue;
    }
    partition = std::move(found).value();
    const int64_t from = std::max(partition->time_range().min_timestamp, accepted.min_timestamp);
    const int64_t to = std::min(partition->time_range().max_timestamp, accepted.max_timestamp);
    size_t end = i + 1;
    while (end < rows.size() && rows[end].timestamp >= from && rows[end].timestamp <= to) ++end;
    partition->AddRows(rows.subspan(i, end - i));
    i = end;
  }
  return Ok();
}

PartitionRef Table::GetPartition(int64_t timestamp_ms) const {
  MutexLock lock(mutex_);
  for (const PartitionRef& partition : partitions_) {
    const model::TimeRange& range = partition->time_range();
    if (timestamp_ms >= range.min_timestamp && timestamp_ms <= range.max_timestamp) return partition;
  }
  return nullptr;
}

Result<PartitionRef> Table::GetOrCreatePartition(int64_t timestamp_ms) {
  if (PartitionRef partition = GetPartition(timestamp_ms)) return partition;
  MutexLock create_lock(create_mutex_);
  if (PartitionRef partition = GetPartition(timestamp_ms)) return partition;
  const std::string name = PartitionName(timestamp_ms);
  const int64_t now = options_.partition.now_ms();
  const auto failed = failed_months_.find(name);
  if (failed != failed_months_.end()) {
    const int64_t tried_ms = failed->second.tried_ms;
    if (now >= tried_ms && now - tried_ms < kFailedMonthRetryMs) return failed->second.error;
  }
  auto opened = Partition::Open(name, options_.partition);
  if (!opened.ok()) {
    Error error = std::move(opened).error();
    if (error.code() == ErrorCode::kCorrupted) {
      // Refusing them would have vminsert send the rest of their packet again and again, which is in already.
      VM_LOG_ERROR("rows of month {} are dropped until its files are mended or moved away: {}", name, error.message());
      failed_months_.insert_or_assign(name, FailedMonth{now, error});
    }
    return error;
  }
  if (failed != failed_months_.end()) failed_months_.erase(failed);
  const PartitionRef created = std::move(opened).value();
  MutexLock lock(mutex_);
  const auto at = std::lower_bound(partitions_.begin(), partitions_.end(), created,
                                   [](const PartitionRef& a, const PartitionRef& b) {
                                     return a->time_range().min_timestamp < b->time_range().min_timestamp;
                                   });
  partitions_.insert(at, created);
  return created;
}

std::vector<PartitionRef> Table::Partitions(const model::TimeRange& range) const {
  std::vector<PartitionRef> found;
  MutexLock lock(mutex_);
  for (const PartitionRef& partition : partitions_) {
    if (partition->time_range().Overlaps(range)) found.push_back(partition);
  }
  return found;
}

std::vector<PartitionRef> Table::AllPartitions() const {
  MutexLock lock(mutex_);
  return partitions_;
}

TableSearch Table::Search(std::span<const model::Tsid> tsids, model::TimeRange range) const {
  if (options_.partition.retention_ms > 0) {
    range.min_timestamp =
        std::max(range.min_timestamp, options_.partition.now_ms() - options_.partition.retention_ms);
  }
  if (range.min_timestamp > range.max_timestamp) return TableSearch({}, tsids, range);
  return TableSearch(Partitions(range), tsids, range);
}

Status Table::FlushToSearchable() {
  for (const PartitionRef& partition : AllPartitions()) VM_TRY(partition->FlushRawRows());
  return Ok();
}

Status Table::FlushToDisk() {
  VM_TRY(FlushToSearchable());
  Status first = Ok();
  const auto keep = [&](Status status) {
    if (!status.ok() && first.ok()) first = std::move(status);
  };
  for (const PartitionRef& partition : AllPartitions()) {
    keep(partition->FlushInmemoryParts(true));
    keep(partition->index().FlushToDisk());
  }
  flush_failing_.store(!first.ok(), std::memory_order_relaxed);
  return first;
}

Status Table::ForceMerge(std::string_view prefix) {
  for (const PartitionRef& partition : AllPartitions()) {
    if (partition->name().starts_with(prefix)) VM_TRY(partition->ForceMerge());
  }
  return Ok();
}

Status Table::DropOldPartitions() {
  const int64_t now = options_.partition.now_ms();
  const int64_t oldest = options_.partition.retention_ms > 0 ? now - options_.partition.retention_ms : INT64_MIN;
  const int64_t newest = now + options_.future_retention_ms;
  std::vector<PartitionRef> dropped;
  {
    MutexLock lock(mutex_);
    std::erase_if(partitions_, [&](const PartitionRef& partition) {
      const model::TimeRange& range = partition->time_range();
      if (range.max_timestamp >= oldest && range.min_timestamp <= newest) return false;
      dropped.push_back(partition);
      return true;
    });
  }
  // Readers keep a month until they are done; what is only in memory is not written any more.
  for (const PartitionRef& partition : dropped) partition->DropOnLastRelease();
  dropped.clear();
  Status first = Ok();
  for (const PartitionRef& partition : AllPartitions()) {
    if (Status status = partition->DropStaleParts(); !status.ok() && first.ok()) first = std::move(status);
  }
  return first;
}

Status Table::RunFinalDedup() {
  const std::string current = PartitionName(options_.partition.now_ms());
  for (const PartitionRef& partition : AllPartitions()) {
    if (partition->name() == current || !partition->NeedsFinalDedup()) continue;
    VM_LOG_INFO("start removing duplicate samples for partition {}", partition->name());
    const auto start = std::chrono::steady_clock::now();
    VM_TRY(partition->ForceMerge());
    VM_LOG_INFO("finished removing duplicate samples for partition {} in {:.3f} seconds", partition->name(),
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return Ok();
}

void Table::StopMerges() {
  for (const PartitionRef& partition : AllPartitions()) partition->StopMerges();
}

PartitionStats Table::Stats() const {
  PartitionStats sum;
  const auto add = [](PartsStats& to, const PartsStats& from) {
    to.parts += from.parts;
    to.blocks += from.blocks;
    to.rows += from.rows;
    to.size_bytes += from.size_bytes;
    to.active_merges += from.active_merges;
    to.merges += from.merges;
    to.rows_merged += from.rows_merged;
    to.rows_deleted += from.rows_deleted;
    to.lacking_space += from.lacking_space;
  };
  for (const PartitionRef& partition : AllPartitions()) {
    const PartitionStats stats = partition->Stats();
    add(sum.inmemory, stats.inmemory);
    add(sum.small, stats.small);
    add(sum.big, stats.big);
    sum.pending_rows += stats.pending_rows;
    sum.lossy_blocks += stats.lossy_blocks;
    sum.rows_deduplicated += stats.rows_deduplicated;
    sum.index_memory_sets += stats.index_memory_sets;
  }
  sum.background_errors = background_errors_.load(std::memory_order_relaxed);
  return sum;
}

Status Table::Close() {
  StopMerges();
  StopThreads();
  if (closed_) return Ok();
  Status first = Ok();
  for (const PartitionRef& partition : AllPartitions()) {
    if (Status status = partition->Close(); !status.ok() && first.ok()) first = std::move(status);
  }
  closed_ = first.ok();
  return first;
}

void Table::StartThreads() {
  threads_.emplace_back([this](std::stop_token stop) { RowsLoop(stop); });
  threads_.emplace_back([this](std::stop_token stop) { DiskLoop(stop); });
  // As many at once as the original allows for each class, so that a long merge of one does not hold up another.
  const uint32_t cpus = std::clamp<uint32_t>(std::thread::hardware_concurrency(), 1, kMaxWorkersPerClass);
  const auto start = [this](uint32_t count, std::optional<PartClass> part_class) {
    for (uint32_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, part_class](std::stop_token stop) { MergeLoop(stop, part_class); });
    }
  };
  start(cpus, PartClass::kInmemory);
  start(std::max(cpus, 4u), PartClass::kSmall);
  start(std::max(cpus, 4u), PartClass::kBig);
  start(std::max(cpus, 4u), std::nullopt);
  if (options_.partition.dedup_interval_ms > 0) {
    threads_.emplace_back([this](std::stop_token stop) { FinalDedupLoop(stop); });
  }
}

void Table::StopThreads() {
  {
    MutexLock lock(wake_mutex_);
    for (std::jthread& thread : threads_) thread.request_stop();
    wake_.NotifyAll();
  }
  threads_.clear();
}

bool Table::Sleep(std::stop_token stop, int64_t milliseconds) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point until = Clock::now() + std::chrono::milliseconds(milliseconds);
  MutexLock lock(wake_mutex_);
  while (!stop.stop_requested()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) return true;
    wake_.WaitFor(wake_mutex_, left);
  }
  return false;
}

void Table::Report(const Status& status) {
  if (status.ok() || status.error().code() == ErrorCode::kCancelled) return;
  background_errors_.fetch_add(1, std::memory_order_relaxed);
  if (options_.on_background_error) {
    options_.on_background_error(status.error());
    return;
  }
  if (status.error().code() == ErrorCode::kCorrupted) VM_FATAL("{}", status.error().message());
  const int64_t now = SteadyMs();
  int64_t last = last_error_log_ms_.load(std::memory_order_relaxed);
  if (last != INT64_MIN && now - last < kErrorLogIntervalMs) return;
  if (!last_error_log_ms_.compare_exchange_strong(last, now, std::memory_order_relaxed)) return;
  VM_LOG_ERROR("cannot write below \"{}\"; this is tried again, {} times in vain so far: {}",
               options_.partition.data_path, background_errors_.load(std::memory_order_relaxed),
               status.error().message());
}

void Table::RowsLoop(std::stop_token stop) {
  while (Sleep(stop, options_.rows_flush_interval_ms)) Report(FlushToSearchable());
}

void Table::DiskLoop(std::stop_token stop) {
  int64_t until_drop_ms = kDropPartitionsIntervalMs;
  while (Sleep(stop, kDiskLoopIntervalMs)) {
    bool failed = false;
    const auto report = [&](const Status& status) {
      failed = failed || !status.ok();
      Report(status);
    };
    for (const PartitionRef& partition : AllPartitions()) {
      report(partition->FlushInmemoryParts(false));
      report(partition->FlushIndexIfDue());
    }
    flush_failing_.store(failed, std::memory_order_relaxed);
    until_drop_ms -= kDiskLoopIntervalMs;
    if (until_drop_ms <= 0) {
      until_drop_ms = kDropPartitionsIntervalMs;
      Report(DropOldPartitions());
    }
  }
}

void Table::MergeLoop(std::stop_token stop, std::optional<PartClass> part_class) {
  RunBehindIngestion();
  uint64_t seen = 0;
  bool retry_later = false;
  while (true) {
    {
      MutexLock lock(wake_mutex_);
      if (stop.stop_requested()) return;
      // Without news there is still a look now and then: the disk may have got room.
      if (seen == merge_tickets_ || retry_later) {
        wake_.WaitFor(wake_mutex_, std::chrono::milliseconds(kMergeRetryIntervalMs));
      }
      if (stop.stop_requested()) return;
      seen = merge_tickets_;
    }
    retry_later = false;
    for (const PartitionRef& partition : AllPartitions()) {
      bool merged = true;
      while (merged && !stop.stop_requested()) {
        auto done = part_class ? partition->TryMerge(*part_class) : partition->index().TryMerge();
        merged = done.ok() && done.value();
        if (!done.ok()) {
          retry_later = true;
          Report(std::move(done).error());
        }
      }
    }
  }
}

void Table::FinalDedupLoop(std::stop_token stop) {
  RunBehindIngestion();
  // Jitter, so that nodes started together do not merge together.
  std::mt19937_64 random(std::random_device{}());
  const auto most = static_cast<uint64_t>(options_.final_dedup_interval_ms / 4 + 1);
  const int64_t interval = options_.final_dedup_interval_ms + static_cast<int64_t>(random() % most);
  while (Sleep(stop, interval)) Report(RunFinalDedup());
}

}  // namespace vm::storage
