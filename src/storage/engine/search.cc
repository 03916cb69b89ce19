#include <algorithm>
#include <numeric>
#include <set>
#include <unordered_set>

#include <fmt/format.h>

#include "lib/base/still_busy.h"
#include "lib/log/log.h"
#include "storage/engine/engine_impl.h"
#include "storage/engine/time_limits.h"

namespace vm::storage {
namespace {

constexpr size_t kNamesPerStillBusy = 32;

/// What the reference says where an index fails: `failed to <operation> in indexDB "<month>"`.
Error InIndex(Error error, std::string_view operation, const indexdb::IndexDb& index) {
  return std::move(error).WithContext(fmt::format("failed to {} in indexDB \"{}\"", operation, index.name()));
}

Error MissingFilters() { return Error(ErrorCode::kInvalidInput, "missing tag filters"); }

/// "744h0m0s"
std::string DurationText(int64_t ms) {
  return fmt::format("{}h{}m{}s", ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60);
}

}  // namespace

EngineImpl::SearchedIndexes EngineImpl::IndexesToSearch(model::TimeRange range) const {
  SearchedIndexes indexes;
  range.min_timestamp = std::max(range.min_timestamp, model::kMsecPerDay);
  if (range.max_timestamp < range.min_timestamp) return indexes;
  indexes.partitions = table_->Partitions(range);
  indexes.legacy = legacy_->All();
  for (const PartitionRef& partition : indexes.partitions) indexes.all.push_back(&partition->index());
  for (auto table = indexes.legacy.rbegin(); table != indexes.legacy.rend(); ++table) {
    indexes.all.push_back(&(*table)->index());
  }
  return indexes;
}

uint32_t EngineImpl::MaxMetrics(uint32_t requested) const {
  const uint32_t limit = options_.max_unique_timeseries;
  if (requested == 0) return limit > 0 ? limit : options_.automatic_max_unique_timeseries;
  return limit > 0 ? std::min(requested, limit) : requested;
}

Status EngineImpl::CheckTimeRange(const model::TimeRange& range) const {
  if (!options_.deny_queries_outside_retention) return Ok();
  const model::TimeRange kept = table_->AcceptedRange();
  if (kept.min_timestamp <= range.min_timestamp && range.max_timestamp <= kept.max_timestamp) return Ok();
  return Error(ErrorCode::kInvalidInput,
               fmt::format("the given time range {} is outside the allowed -retentionPeriod={}, -futureRetention={} "
                           "according to -denyQueriesOutsideRetention",
                           model::TimeRangeToString(range), DurationText(options_.retention_ms),
                           DurationText(options_.future_retention_ms)));
}

Result<std::vector<model::Tsid>> EngineImpl::SearchTsids(const model::SearchQuery& query,
                                                         const SearchedIndexes& indexes,
                                                         const Deadline& deadline) const {
  VM_TRY(CheckTimeRange(query.time_range));
  const uint32_t max_metrics = MaxMetrics(query.max_metrics);
  std::vector<model::Tsid> tsids;
  for (indexdb::IndexDb* index : indexes.all) {
    auto ids = index->SearchMetricIds(query.tenant, query.tag_filter_groups, query.time_range,
                                                  max_metrics, deadline);
    if (!ids.ok()) {
      return InIndex(std::move(ids).error().WithContext("failed to search metricIDs"), "search TSIDs", *index);
    }
    auto found = index->GetTsidsByMetricIds(query.tenant, ids.value(), deadline);
    if (!found.ok()) return InIndex(std::move(found).error(), "search TSIDs", *index);
    if (tsids.empty()) {
      tsids = std::move(found).value();
      continue;
    }
    const auto middle = static_cast<ptrdiff_t>(tsids.size());
    tsids.insert(tsids.end(), found.value().begin(), found.value().end());
    std::inplace_merge(tsids.begin(), tsids.begin() + middle, tsids.end());
  }
  tsids.erase(std::unique(tsids.begin(), tsids.end()), tsids.end());
  return tsids;
}

namespace {

/// Names of the series of a search. They are read ahead in the order of their ids, since those of series that follow each
/// other in a part are spread over the whole index.
class SeriesNames {
 public:
  /// `tsids` are sorted.
  SeriesNames(const model::Tenant& tenant, const std::vector<indexdb::IndexDb*>& indexes, std::span<const model::Tsid> tsids)
      : tsids_(tsids.begin(), tsids.end()) {
    for (const indexdb::IndexDb* index : indexes) readers_.emplace_back(*index, tenant);
  }

  /// The marshalled name, empty when there is none; valid until the next call. Cheap for growing ids.
  Result<ByteView> Find(const model::Tsid& tsid) {
    if (next_ < entries_.size() && tsids_[first_ + next_].metric_id == tsid.metric_id) return NameAt(next_++);
    const auto at = static_cast<size_t>(std::lower_bound(tsids_.begin(), tsids_.end(), tsid) - tsids_.begin());
    if (at == tsids_.size() || tsids_[at].metric_id != tsid.metric_id) return ByteView();
    if (at < first_ || at >= first_ + entries_.size()) VM_TRY(ReadFrom(at));
    next_ = at - first_ + 1;
    return NameAt(at - first_);
  }

 private:
  static constexpr size_t kFirstBatch = 64;
  static constexpr size_t kMaxBatch = 16384;  // Some megabytes.

  struct Entry {
    size_t begin = 0;
    size_t size = 0;
  };

  ByteView NameAt(size_t i) const { return ByteView(bytes_).subspan(entries_[i].begin, entries_[i].size); }

  Status ReadFrom(size_t at) {
    batch_ = std::min(kMaxBatch, batch_ * 4);
    first_ = at;
    entries_.assign(std::min(batch_, tsids_.size() - at), {});
    bytes_.clear();
    order_.resize(entries_.size());
    std::iota(order_.begin(), order_.end(), 0);
    const auto id = [&](size_t i) { return tsids_[first_ + i].metric_id; };
    std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) { return id(a) < id(b); });
    size_t names_read = 0;
    for (const uint32_t i : order_) {
      if (names_read++ % kNamesPerStillBusy == 0) StillBusy();
      for (indexdb::IndexDb::NameReader& reader : readers_) {
        VM_ASSIGN_OR_RETURN(const bool found, reader.Read(id(i)));
        if (!found) continue;
        const ByteView name = reader.name();
        entries_[i] = {bytes_.size(), name.size()};
        Append(bytes_, name);
        break;
      }
    }
    return Ok();
  }

  const std::vector<model::Tsid> tsids_;
  std::vector<indexdb::IndexDb::NameReader> readers_;  // One per index.
  size_t batch_ = kFirstBatch / 4;
  size_t first_ = 0;  // The entries are those of tsids_ from here on.
  size_t next_ = 0;   // The entry that is likely to be asked for.
  std::vector<Entry> entries_;
  std::vector<uint32_t> order_;
  ByteBuffer bytes_;
};

}  // namespace

/// The blocks of one search with the names of their series.
class EngineImpl::Cursor final : public rpc::BlockCursor {
 public:
  Cursor(EngineImpl& engine, const model::SearchQuery& query, Deadline deadline, SearchedIndexes indexes,
         std::span<const model::Tsid> tsids, const model::TimeRange& range)
      : engine_(engine),
        query_(query),
        deadline_(std::move(deadline)),
        indexes_(std::move(indexes)),
        retention_deadline_(engine.RetentionDeadline()),
        search_(engine.table_->Search(tsids, range)),
        names_(query_.tenant, indexes_.all, tsids) {}
  ~Cursor() override { PassOnCount(); }

  Result<bool> Next() override {
    auto found = FindNext();
    if (!found.ok()) return WithQuery(std::move(found).error(), query_);
    return found;
  }
  ByteView metric_name() const override { return name_; }
  const model::EncodedBlock& block() const override { return search_.block(); }

  static Error WithQuery(Error error, const model::SearchQuery& query) {
    std::string filters;
    for (const auto& group : query.tag_filter_groups) {
      if (!filters.empty()) filters += " ";
      filters += indexdb::FiltersToString(query.tenant, group);
    }
    return std::move(error).WithContext(fmt::format("error when searching for tagFilters=[{}] on the time range {}",
                                                    filters, model::TimeRangeToString(query.time_range)));
  }

 private:
  static constexpr uint64_t kBlocksPerDeadlineCheck = 64;
  static constexpr uint64_t kBlocksPerStillBusy = 16;

  Result<bool> FindNext() {
    for (;;) {
      // The clock is not free.
      if (blocks_ % kBlocksPerStillBusy == 0) StillBusy();
      if (blocks_++ % kBlocksPerDeadlineCheck == 0 && (deadline_.Expired() || deadline_.Cancelled())) {
        return Error(ErrorCode::kCancelled, "deadline exceeded");
      }
      VM_ASSIGN_OR_RETURN(const bool more, search_.Next());
      if (!more) return false;
      const model::BlockHeader& header = search_.block().header;
      const model::MetricId id = header.tsid.metric_id;
      if (current_ != id) {
        // Blocks that follow one that is kept are not asked again.
        if (header.max_timestamp < retention_deadline_) continue;
        current_ = id;
        VM_ASSIGN_OR_RETURN(name_, names_.Find(header.tsid));
        if (name_.empty()) {
          engine_.metrics_.missing_metric_names.fetch_add(1, std::memory_order_relaxed);
          continue;
        }
        CountQuery();
      }
      if (!name_.empty()) return true;
    }
  }
  void CountQuery() {
    if (!engine_.options_.track_metric_names_stats) return;
    const ByteView group = name_.subspan(8);
    const bool same = !counted_group_.empty() && group.size() >= counted_group_.size() &&
                      Equal(group.first(counted_group_.size()), counted_group_);
    if (!same) {
      PassOnCount();
      ByteView rest = group;
      std::string text;
      if (auto status = model::UnmarshalTagValue(rest, text); !status.ok()) return;
      const ByteView marshalled = group.first(group.size() - rest.size());
      counted_group_.assign(marshalled.begin(), marshalled.end());
      counted_group_text_ = std::move(text);
    }
    ++counted_series_;
  }
  void PassOnCount() {
    if (counted_series_ == 0) return;
    engine_.name_usage_.AddQueries(query_.tenant, counted_group_text_, counted_series_, engine_.options_.now_ms());
    counted_series_ = 0;
  }

  EngineImpl& engine_;
  const model::SearchQuery query_;
  const Deadline deadline_;
  const SearchedIndexes indexes_;
  const int64_t retention_deadline_;
  TableSearch search_;
  std::optional<model::MetricId> current_;
  SeriesNames names_;
  ByteView name_;  // Of the current series, in `names_`; empty when it has none.
  uint64_t blocks_ = 0;
  ByteBuffer counted_group_;  // Marshalled, with its end.
  std::string counted_group_text_;
  uint64_t counted_series_ = 0;  // Of counted_group_, not yet told to the tracker.
};

Result<std::unique_ptr<rpc::BlockCursor>> EngineImpl::StartSearch(const model::SearchQuery& query,
                                                                  const Deadline& deadline) {
  if (query.tag_filter_groups.empty()) return MissingFilters();
  SearchedIndexes indexes = IndexesToSearch(query.time_range);
  auto tsids = SearchTsids(query, indexes, deadline);
  if (!tsids.ok()) return Cursor::WithQuery(std::move(tsids).error(), query);
  model::TimeRange range = query.time_range;
  range.min_timestamp = std::max(range.min_timestamp, RetentionDeadline());
  if (range.max_timestamp < range.min_timestamp) tsids.value().clear();
  return std::unique_ptr<rpc::BlockCursor>(
      std::make_unique<Cursor>(*this, query, deadline, std::move(indexes), tsids.value(), range));
}

Status Engine::Search(const model::SearchQuery& query, const Deadline& deadline, const BlockSink& sink) {
  VM_ASSIGN_OR_RETURN(const auto cursor, StartSearch(query, deadline));
  for (;;) {
    VM_ASSIGN_OR_RETURN(const bool more, cursor->Next());
    if (!more) return Ok();
    VM_TRY(sink(cursor->metric_name(), cursor->block()));
  }
}

Result<std::vector<ByteBuffer>> EngineImpl::SearchMetricNames(const model::SearchQuery& query,
                                                              const Deadline& deadline) {
  if (query.tag_filter_groups.empty()) return MissingFilters();
  VM_TRY(CheckTimeRange(query.time_range));
  const uint32_t max_metrics = MaxMetricsOrDefault(query.max_metrics);
  std::vector<ByteBuffer> names;
  std::unordered_set<uint64_t> seen;
  const SearchedIndexes indexes = IndexesToSearch(query.time_range);
  for (indexdb::IndexDb* index : indexes.all) {
    auto ids = index->SearchMetricIds(query.tenant, query.tag_filter_groups, query.time_range,
                                                  max_metrics, deadline);
    if (!ids.ok()) {
      return InIndex(std::move(ids).error().WithContext("failed to search metricIDs"), "search metric names",
                     *index);
    }
    indexdb::IndexDb::NameReader reader(*index, query.tenant);
    const bool is_last = index == indexes.all.back();
    for (size_t i = 0; i < ids.value().size(); ++i) {
      const model::MetricId id = ids.value()[i];
      if (!seen.empty() && seen.contains(static_cast<uint64_t>(id))) continue;
      // The clock is not free.
      if (i % kNamesPerStillBusy == 0) {
        StillBusy();
        if (deadline.Expired() || deadline.Cancelled()) {
          return InIndex(Error(ErrorCode::kCancelled, "deadline exceeded"), "search metric names", *index);
        }
      }
      VM_ASSIGN_OR_RETURN(const bool found, reader.Read(id));
      if (!found) continue;
      if (!is_last) seen.insert(static_cast<uint64_t>(id));
      const ByteView name = reader.name();
      names.emplace_back(name.begin(), name.end());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<std::vector<std::string>> EngineImpl::SearchLabelNames(const model::SearchQuery& query, size_t max_names,
                                                              const Deadline& deadline) {
  const uint32_t max_metrics = MaxMetricsOrDefault(query.max_metrics);
  std::set<std::string> names;
  const SearchedIndexes indexes = IndexesToSearch(query.time_range);
  for (indexdb::IndexDb* index : indexes.all) {
    auto found = index->SearchLabelNames(query.tenant, query.tag_filter_groups, query.time_range,
                                                     max_names, max_metrics, deadline);
    if (!found.ok()) return InIndex(std::move(found).error(), "search label names", *index);
    names.insert(found.value().begin(), found.value().end());
  }
  std::vector<std::string> result(names.begin(), names.end());
  if (result.size() > max_names) result.resize(max_names);
  return result;
}

Result<std::vector<std::string>> EngineImpl::SearchLabelValues(const model::SearchQuery& query,
                                                               std::string_view label_name, size_t max_values,
                                                               const Deadline& deadline) {
  const uint32_t max_metrics = MaxMetricsOrDefault(query.max_metrics);
  std::set<std::string> values;
  const SearchedIndexes indexes = IndexesToSearch(query.time_range);
  for (indexdb::IndexDb* index : indexes.all) {
    auto found = index->SearchLabelValues(query.tenant, label_name, query.tag_filter_groups,
                                                      query.time_range, max_values, max_metrics, deadline);
    if (!found.ok()) return InIndex(std::move(found).error(), "search label values", *index);
    values.insert(found.value().begin(), found.value().end());
  }
  values.erase("");
  std::vector<std::string> result(values.begin(), values.end());
  if (result.size() > max_values) result.resize(max_values);
  return result;
}

Result<std::vector<std::string>> EngineImpl::SearchTagValueSuffixes(model::Tenant tenant,
                                                                    const model::TimeRange& time_range,
                                                                    std::string_view label_name,
                                                                    std::string_view value_prefix, char delimiter,
                                                                    size_t max_suffixes, const Deadline& deadline) {
  std::set<std::string> suffixes;
  const SearchedIndexes indexes = IndexesToSearch(time_range);
  for (indexdb::IndexDb* index : indexes.all) {
    auto found = index->SearchTagValueSuffixes(tenant, time_range, label_name, value_prefix, delimiter,
                                                           max_suffixes, deadline);
    if (!found.ok()) return InIndex(std::move(found).error(), "search tag value suffixes", *index);
    suffixes.merge(found.value());
  }
  std::vector<std::string> result(suffixes.begin(), suffixes.end());
  if (result.size() > max_suffixes) result.resize(max_suffixes);
  return result;
}

Result<uint64_t> EngineImpl::SeriesCount(model::Tenant tenant, const Deadline& deadline) {
  uint64_t count = 0;
  const SearchedIndexes indexes = IndexesToSearch({0, options_.now_ms()});
  for (indexdb::IndexDb* index : indexes.all) {
    auto n = index->SeriesCount(tenant, deadline);
    if (!n.ok()) return InIndex(std::move(n).error(), "get series count", *index);
    count += n.value();
  }
  return count;
}

Result<model::TsdbStatus> EngineImpl::GetTsdbStatus(const model::SearchQuery& query, std::string_view focus_label,
                                                    size_t top_n, const Deadline& deadline) {
  if (query.time_range.min_timestamp < 0) return model::TsdbStatus();
  const uint64_t date = DateOf(query.time_range.min_timestamp);
  const int64_t day = static_cast<int64_t>(date) * model::kMsecPerDay;
  if (table_->GetPartition(day) == nullptr) return model::TsdbStatus();
  model::TsdbStatus status;
  const SearchedIndexes indexes = IndexesToSearch({day, day});
  // The first index that knows something about the day: they cannot be added up.
  for (indexdb::IndexDb* index : indexes.all) {
    auto found = index->GetTsdbStatus(query.tenant, query.tag_filter_groups, date, focus_label, top_n,
                                      MaxMetricsOrDefault(query.max_metrics), deadline);
    if (!found.ok()) return InIndex(std::move(found).error(), "collect TSDB status", *index);
    status = std::move(found).value();
    if (!status.series_count_by_label_value_pair.empty()) break;
  }
  if (options_.track_metric_names_stats) {
    status.query_stats_by_metric_name = name_usage_.Find(query.tenant, status.series_count_by_metric_name);
  }
  return status;
}

Result<std::vector<model::Tenant>> EngineImpl::SearchTenants(const model::TimeRange& time_range,
                                                             const Deadline& deadline) {
  std::set<model::Tenant> tenants;
  const SearchedIndexes indexes = IndexesToSearch(time_range);
  for (indexdb::IndexDb* index : indexes.all) {
    VM_ASSIGN_OR_RETURN(const auto found, index->SearchTenants(time_range, deadline));
    tenants.insert(found.begin(), found.end());
  }
  return std::vector<model::Tenant>(tenants.begin(), tenants.end());
}

Result<uint64_t> EngineImpl::DeleteSeries(const model::SearchQuery& query, const Deadline& deadline) {
  if (query.tag_filter_groups.empty()) return MissingFilters();
  const uint32_t max_metrics = MaxMetricsOrDefault(query.max_metrics);
  std::unordered_set<uint64_t> deleted;
  const auto delete_in = [&](indexdb::IndexDb& index) -> Result<std::vector<model::MetricId>> {
    auto ids = index.DeleteSeries(query.tenant, query.tag_filter_groups, max_metrics, deadline);
    if (!ids.ok()) return InIndex(std::move(ids).error(), "delete series", index);
    for (const model::MetricId id : ids.value()) deleted.insert(static_cast<uint64_t>(id));
    return ids;
  };
  const std::vector<PartitionRef> partitions = table_->AllPartitions();
  const auto legacy = legacy_->All();
  for (const auto& table : legacy) {
    VM_ASSIGN_OR_RETURN(const auto ids, delete_in(table->index()));
    // The samples lie in the months.
    for (const PartitionRef& partition : partitions) partition->index().HideIds(ids);
  }
  if (!legacy.empty()) VM_TRY(legacy_->Flush());
  for (const PartitionRef& partition : partitions) VM_TRY(delete_in(partition->index()));
  return deleted.size();
}

void EngineImpl::ResetMetricNamesStats() {
  VM_LOG_INFO("resetting metric names tracker state");
  name_usage_.Reset(options_.now_ms());
  if (Status status = SaveNameUsage(); !status.ok()) {
    VM_LOG_ERROR("cannot save the metric names tracker state: {}", status.error().message());
  }
  // Names become known again with the next slow insert of a series.
  tsids_.Clear();
}

}  // namespace vm::storage
