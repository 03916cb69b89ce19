#include "storage/table/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <queue>
#include <set>

namespace vm::storage {
namespace {

constexpr int64_t kMinTimestamp = model::kMsecPerDay;  // 1970-01-01 stands for "all days" in the index.
constexpr int64_t kMaxTimestamp = 9222422399999;
constexpr int64_t kDropPartitionsIntervalMs = 60'000;
constexpr int64_t kDiskLoopIntervalMs = 500;
constexpr int64_t kMergeRetryIntervalMs = 10'000;

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
  for (const char* kind : {"small", "big", "indexdb"}) {
    const std::string parent = fs::Join(options_.partition.data_path, kind);
    VM_TRY(files.CreateDirectories(parent));
    VM_TRY(fs::SyncDirectoryAndParent(files, parent));
    VM_ASSIGN_OR_RETURN(const std::vector<fs::DirEntry> entries, files.ListDirectory(parent));
    for (const fs::DirEntry& entry : entries) {
      if (!entry.is_directory || entry.name == "snapshots") continue;
      const std::string path = fs::Join(parent, entry.name);
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
  for (const std::string& name : names) {
    VM_ASSIGN_OR_RETURN(PartitionRef partition, Partition::Open(name, options_.partition));
    MutexLock lock(mutex_);
    partitions_.push_back(std::move(partition));
  }
  return Ok();
}

model::TimeRange Table::AcceptedRange() const {
  const int64_t now = options_.partition.now_ms() / 1000 * 1000;
  const int64_t retention = options_.partition.retention_ms;
  return {retention > 0 ? std::max(now - retention, kMinTimestamp) : kMinTimestamp,
          std::min(now + options_.future_retention_ms, kMaxTimestamp)};
}

Status Table::AddRows(std::span<const RawRow> rows, uint64_t* skipped) {
  const model::TimeRange accepted = AcceptedRange();
  PartitionRef partition;
  for (size_t i = 0; i < rows.size();) {
    const int64_t timestamp = rows[i].timestamp;
    if (timestamp < accepted.min_timestamp || timestamp > accepted.max_timestamp) {
      if (skipped != nullptr) ++*skipped;
      ++i;
      continue;
    }
    VM_ASSIGN_OR_RETURN(partition, GetOrCreatePartition(timestamp));
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
  VM_ASSIGN_OR_RETURN(PartitionRef created, Partition::Open(PartitionName(timestamp_ms), options_.partition));
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
  for (const PartitionRef& partition : AllPartitions()) {
    VM_TRY(partition->FlushInmemoryParts(true));
    VM_TRY(partition->index().FlushToDisk());
  }
  return Ok();
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
  for (const PartitionRef& partition : dropped) {
    VM_TRY(partition->Close());
    partition->DropOnLastRelease();
  }
  for (const PartitionRef& partition : AllPartitions()) VM_TRY(partition->DropStaleParts());
  return Ok();
}

PartitionStats Table::Stats() const {
  PartitionStats sum;
  const auto add = [](PartsStats& to, const PartsStats& from) {
    to.parts += from.parts;
    to.blocks += from.blocks;
    to.rows += from.rows;
    to.size_bytes += from.size_bytes;
  };
  for (const PartitionRef& partition : AllPartitions()) {
    const PartitionStats stats = partition->Stats();
    add(sum.inmemory, stats.inmemory);
    add(sum.small, stats.small);
    add(sum.big, stats.big);
    sum.pending_rows += stats.pending_rows;
  }
  return sum;
}

Status Table::Close() {
  StopThreads();
  if (std::exchange(closed_, true)) return Ok();
  for (const PartitionRef& partition : AllPartitions()) VM_TRY(partition->Close());
  return Ok();
}

void Table::StartThreads() {
  threads_.emplace_back([this](std::stop_token stop) { RowsLoop(stop); });
  threads_.emplace_back([this](std::stop_token stop) { DiskLoop(stop); });
  for (uint32_t i = 0; i < options_.merge_workers; ++i) {
    threads_.emplace_back([this](std::stop_token stop) { MergeLoop(stop); });
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
  if (options_.on_background_error) {
    options_.on_background_error(status.error());
    return;
  }
  std::fprintf(stderr, "FATAL: %s\n", status.error().message().c_str());
  std::_Exit(1);
}

void Table::RowsLoop(std::stop_token stop) {
  while (Sleep(stop, options_.rows_flush_interval_ms)) Report(FlushToSearchable());
}

void Table::DiskLoop(std::stop_token stop) {
  int64_t until_drop_ms = kDropPartitionsIntervalMs;
  while (Sleep(stop, kDiskLoopIntervalMs)) {
    for (const PartitionRef& partition : AllPartitions()) Report(partition->FlushInmemoryParts(false));
    until_drop_ms -= kDiskLoopIntervalMs;
    if (until_drop_ms <= 0) {
      until_drop_ms = kDropPartitionsIntervalMs;
      Report(DropOldPartitions());
    }
  }
}

void Table::MergeLoop(std::stop_token stop) {
  uint64_t seen = 0;
  while (true) {
    {
      MutexLock lock(wake_mutex_);
      if (stop.stop_requested()) return;
      if (seen == merge_tickets_) wake_.WaitFor(wake_mutex_, std::chrono::milliseconds(kMergeRetryIntervalMs));
      if (stop.stop_requested()) return;
      if (seen == merge_tickets_) continue;
      seen = merge_tickets_;
    }
    for (const PartitionRef& partition : AllPartitions()) {
      bool merged = true;
      while (merged && !stop.stop_requested()) {
        auto done = partition->TryMerge();
        merged = done.ok() && done.value();
        if (!done.ok()) Report(std::move(done).error());
      }
    }
  }
}

}  // namespace vm::storage
