#include <algorithm>
#include <cmath>

#include "lib/decimal/decimal.h"
#include "lib/hash/rendezvous.h"
#include "lib/hash/xxhash.h"
#include "lib/log/log.h"
#include "storage/engine/engine_impl.h"
#include "storage/engine/time_limits.h"

namespace vm::storage {
namespace {

/// Rows handed to the table at once: they and what is remembered about them stay in the cache of the CPU.
constexpr size_t kMaxRowsPerBatch = 2048;
/// Names whose entries in the TSID cache are read ahead together: as many cache misses as a CPU has under way at once.
constexpr size_t kNamesReadAhead = 32;
/// At most one line about bad rows in this time.
constexpr int64_t kWarnIntervalMs = 5000;
constexpr int64_t kMsecPerHour = 3'600'000;
constexpr int64_t kPrefillWindowMs = kMsecPerHour;

/// Whether the series belongs to the tenant of the raw name.
bool IsTenantOf(const model::Tsid& tsid, ByteView metric_name_raw) {
  return metric_name_raw.size() >= 8 && LoadBigEndian<uint32_t>(metric_name_raw.data()) == tsid.account_id &&
         LoadBigEndian<uint32_t>(metric_name_raw.data() + 4) == tsid.project_id;
}

/// "AccountID=0, ProjectID=0, name{a="b"}", for log lines.
std::string NameForLog(const model::MetricName& n) {
  std::string text = fmt::format("AccountID={}, ProjectID={}, {}{{", n.tenant.account_id,
                                 n.tenant.project_id, n.metric_group);
  for (size_t i = 0; i < n.tags.size(); ++i) {
    if (i > 0) text += ",";
    text += n.tags[i].key + "=\"" + n.tags[i].value + "\"";
  }
  return text + "}";
}

std::string NameForLog(ByteView metric_name_raw) {
  const auto name = model::MetricName::UnmarshalRaw(metric_name_raw);
  return name.ok() ? NameForLog(name.value()) : ToHex(metric_name_raw);
}

uint32_t HourAt(int64_t now_ms) { return static_cast<uint32_t>(std::max<int64_t>(now_ms, 0) / kMsecPerHour); }

/// Scope of the pairs (month, id) beside those of (date, id).
uint64_t GlobalScope(const Partition& partition) {
  return (uint64_t{1} << 32) + DateOf(partition.time_range().min_timestamp);
}

}  // namespace

Status EngineImpl::AddRows(std::span<const model::MetricRow> rows) {
  metrics_.rows_received.fetch_add(rows.size(), std::memory_order_relaxed);
  while (!rows.empty()) {
    const size_t n = std::min(rows.size(), kMaxRowsPerBatch);
    VM_TRY(AddBatch(rows.first(n), true));
    rows = rows.subspan(n);
  }
  return Ok();
}

Status EngineImpl::RegisterMetricNames(std::span<const model::MetricRow> rows) {
  return AddBatch(rows, false);
}

Status EngineImpl::AddBatch(std::span<const model::MetricRow> rows, bool with_samples) {
  Batch batch;
  batch.rows.reserve(with_samples ? rows.size() : 0);
  const model::TimeRange accepted =
      AcceptedTimestamps(options_.now_ms(), options_.retention_ms, options_.max_backfill_age_ms,
                         options_.future_retention_ms);
  batch.prefill = PrefillAt(options_.now_ms());
  batch.hour = HourAt(options_.now_ms());
  batch.hour_range = {batch.hour * kMsecPerHour, (batch.hour + 1) * kMsecPerHour - 1};
  std::array<containers::Key128, kNamesReadAhead> keys;
  for (size_t i = 0; i < rows.size(); ++i) {
    const size_t at = i % kNamesReadAhead;
    if (at == 0) {
      const auto names = rows.subspan(i, std::min(kNamesReadAhead, rows.size() - i));
      std::transform(names.begin(), names.end(), keys.begin(),
                     [this](const model::MetricRow& row) { return tsids_.Prepare(row.metric_name_raw); });
    }
    const model::MetricRow& row = rows[i];
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
    const std::optional<model::Tsid> tsid = Resolve(batch, row, keys[at]);
    if (!batch.failure.ok()) return batch.failure;
    if (!tsid) continue;
    if (batch.prefill.share > 0 && row.timestamp >= batch.prefill.first_timestamp) RegisterAhead(batch, *tsid, row);
    if (with_samples) {
      batch.rows.push_back({*tsid, row.timestamp, row.value, options_.precision_bits});
    }
  }
  if (!batch.rows.empty()) {
    SkippedRows skipped;
    VM_TRY(table_->AddRows(batch.rows, &skipped));
    metrics_.rows_added.fetch_add(batch.rows.size() - skipped.all(), std::memory_order_relaxed);
    // The clock, or the month, may have changed since the rows were looked at.
    metrics_.rows_too_small_timestamp.fetch_add(skipped.too_old, std::memory_order_relaxed);
    metrics_.rows_too_big_timestamp.fetch_add(skipped.too_new, std::memory_order_relaxed);
    metrics_.rows_of_unreadable_months.fetch_add(skipped.of_unreadable_months, std::memory_order_relaxed);
  }
  if (batch.first_problem) WarnAboutRows(*batch.first_problem);
  return Ok();
}

EngineImpl::Prefill EngineImpl::PrefillAt(int64_t now_ms) const {
  if (options_.disable_per_day_index || now_ms < 0) return {};
  const uint64_t today = DateOf(now_ms);
  const int64_t midnight = static_cast<int64_t>(today + 1) * model::kMsecPerDay;
  const bool is_other_month = MonthOf(midnight) != MonthOf(now_ms);
  // Tomorrow's records alone, or all of them when tomorrow is in another month.
  const int64_t window = is_other_month ? options_.idb_prefill_start_ms : kPrefillWindowMs;
  const int64_t left = midnight - now_ms;
  if (window <= 0 || left > window) return {};
  Prefill prefill;
  prefill.share = static_cast<uint64_t>(static_cast<double>(window - left) / static_cast<double>(window) * 0x1p32);
  prefill.date = today + 1;
  prefill.first_timestamp = now_ms / 3'600'000 * 3'600'000;
  return prefill;
}

void EngineImpl::RegisterAhead(Batch& batch, const model::Tsid& tsid, const model::MetricRow& row) {
  const auto id = static_cast<uint64_t>(tsid.metric_id);
  if ((hash::Mix(id) & 0xffffffff) >= batch.prefill.share || registered_.Has(batch.prefill.date, id)) return;
  auto partition = table_->GetOrCreatePartition(static_cast<int64_t>(batch.prefill.date) * model::kMsecPerDay);
  if (!partition.ok()) return;  // Midnight comes anyway, and then it is told.
  auto has_id = HasGlobalRecords(*partition.value(), {tsid.account_id, tsid.project_id}, tsid.metric_id);
  if (!has_id.ok()) return;
  if (!has_id.value()) metrics_.timeseries_precreated.fetch_add(1, std::memory_order_relaxed);
  const Status status =
      EnsureRegistered(*partition.value(), tsid, batch.prefill.date, row.metric_name_raw, /*count=*/false);
  if (!status.ok() && !batch.first_problem) {
    batch.first_problem = "cannot prefill next indexdb: " + status.error().message();
  }
}

std::optional<EngineImpl::KnownSeries> EngineImpl::FindKnown(const Partition& partition, ByteView metric_name_raw,
                                                             const containers::Key128& key) {
  auto known = tsids_.Get(key);
  if (known && !IsTenantOf(known->tsid, metric_name_raw)) {
    // Keys are hashes: one of another tenant must never be taken.
    metrics_.tsid_cache_collisions.fetch_add(1, std::memory_order_relaxed);
    known.reset();
  }
  if (known && partition.index().IsDeleted(known->tsid.metric_id)) known.reset();
  return known;
}

std::optional<model::Tsid> EngineImpl::Resolve(Batch& batch, const model::MetricRow& row,
                                               const containers::Key128& key) {
  const uint64_t date = DateOf(row.timestamp);
  if (key == batch.previous_key && date == batch.previous_date) return batch.previous_tsid;
  auto remember = [&](const model::Tsid& tsid) {
    batch.previous_key = key;
    batch.previous_tsid = tsid;
    batch.previous_date = date;
    return tsid;
  };
  auto complain = [&](const Error& error) {
    if (!batch.first_problem) batch.first_problem = error.message();
  };
  // The index could not be read or written: a row that is acknowledged now would be lost.
  const auto fail = [&](Error error) -> std::optional<model::Tsid> {
    batch.failure = std::move(error).WithContext("cannot register a series in " + options_.path);
    return std::nullopt;
  };
  if (!batch.partition || row.timestamp < batch.partition->time_range().min_timestamp ||
      row.timestamp > batch.partition->time_range().max_timestamp) {
    auto partition = table_->GetOrCreatePartition(row.timestamp);
    if (!partition.ok()) {
      if (partition.error().code() == ErrorCode::kCorrupted) {
        // Logged already. The peer would send the row for ever.
        metrics_.rows_of_unreadable_months.fetch_add(1, std::memory_order_relaxed);
      } else {
        batch.failure = std::move(partition).error().WithContext("cannot open partition in " + options_.path);
      }
      return std::nullopt;
    }
    batch.partition = std::move(partition).value();
  }
  Partition& partition = *batch.partition;
  if (!PassesSeriesLimits(row.metric_name_raw)) return std::nullopt;

  // Registers what the cache knows on the row's day, too.
  const bool is_of_this_hour =
      row.timestamp >= batch.hour_range.min_timestamp && row.timestamp <= batch.hour_range.max_timestamp;
  const auto use_known = [&](const KnownSeries& known) -> std::optional<model::Tsid> {
    const bool is_counted = !is_of_this_hour || known.hour == batch.hour;
    if (known.date == date && is_counted) return remember(known.tsid);
    if (known.date != date) {
      if (Status status = EnsureRegistered(partition, known.tsid, date, row.metric_name_raw); !status.ok()) {
        return fail(std::move(status).error());
      }
    }
    tsids_.Put(key, {known.tsid, static_cast<uint32_t>(date), is_counted ? known.hour : batch.hour});
    if (!is_counted) CountActiveSeries(batch.hour);
    return remember(known.tsid);
  };
  if (const auto known = FindKnown(partition, row.metric_name_raw, key)) return use_known(*known);

  metrics_.slow_row_inserts.fetch_add(1, std::memory_order_relaxed);
  auto name = model::MetricName::UnmarshalRaw(row.metric_name_raw);
  if (!name.ok()) {
    metrics_.rows_invalid_raw_metric_name.fetch_add(1, std::memory_order_relaxed);
    complain(std::move(name).error().WithContext(
        "cannot unmarshal MetricNameRaw " + ToHex(row.metric_name_raw)));
    return std::nullopt;
  }
  name.value().SortTags();
  if (options_.track_metric_names_stats) {
    name_usage_.AddName(name.value().tenant, name.value().metric_group);
  }
  MutexLock lock(create_mutexes_[key.low % create_mutexes_.size()]);
  // Created by another caller since the look-up above?
  if (const auto known = FindKnown(partition, row.metric_name_raw, key)) return use_known(*known);
  auto found = FindOrCreate(partition, date, name.value());
  if (!found.ok()) return fail(std::move(found).error());
  tsids_.Put(key, {found.value(), static_cast<uint32_t>(date), is_of_this_hour ? batch.hour : 0});
  if (is_of_this_hour) CountActiveSeries(batch.hour);
  registered_.Add(date, static_cast<uint64_t>(found.value().metric_id));
  return remember(found.value());
}

void EngineImpl::CountActiveSeries(uint32_t hour) {
  uint64_t old = active_series_.load(std::memory_order_relaxed);
  uint64_t next = 0;
  do {
    if (old >> 32 > hour) return;  // Another caller's clock has gone on.
    next = old >> 32 == hour ? old + 1 : (uint64_t{hour} << 32) + 1;
  } while (!active_series_.compare_exchange_weak(old, next, std::memory_order_relaxed));
}

uint64_t EngineImpl::ActiveSeries() const {
  const uint64_t active = active_series_.load(std::memory_order_relaxed);
  return active >> 32 == HourAt(options_.now_ms()) ? active & 0xffffffff : 0;
}

Result<bool> EngineImpl::HasGlobalRecords(Partition& partition, const model::Tenant& tenant, model::MetricId id) {
  // The index is asked about what is on disk only: the set knows what has just been added.
  if (registered_.Has(GlobalScope(partition), static_cast<uint64_t>(id))) return true;
  return OrNothing(partition.index().HasMetricId(tenant, id));
}

Status EngineImpl::EnsureRegistered(Partition& partition, const model::Tsid& tsid, uint64_t date,
                                    ByteView metric_name_raw, bool count) {
  const auto id = static_cast<uint64_t>(tsid.metric_id);
  if (registered_.Has(date, id)) return Ok();
  VM_ASSIGN_OR_RETURN(model::MetricName name, model::MetricName::UnmarshalRaw(metric_name_raw));
  name.SortTags();
  indexdb::IndexDb& index = partition.index();
  VM_ASSIGN_OR_RETURN(const bool has_date, OrNothing(index.HasDate(name.tenant, date, tsid.metric_id)));
  if (!has_date) {
    if (count) metrics_.slow_per_day_index_inserts.fetch_add(1, std::memory_order_relaxed);
    VM_ASSIGN_OR_RETURN(const bool has_id, HasGlobalRecords(partition, name.tenant, tsid.metric_id));
    if (has_id) {
      VM_TRY(index.AddDate(name, tsid, date));
    } else {
      if (count) metrics_.timeseries_repopulated.fetch_add(1, std::memory_order_relaxed);
      VM_TRY(index.CreateSeries(name, tsid, date));
      registered_.Add(GlobalScope(partition), id);
    }
  }
  registered_.Add(date, id);
  return Ok();
}

Result<model::Tsid> EngineImpl::FindOrCreate(Partition& partition, uint64_t date,
                                             const model::MetricName& name) {
  indexdb::IndexDb& index = partition.index();
  VM_ASSIGN_OR_RETURN(std::optional<model::Tsid> tsid, OrNothing(index.GetTsidByName(date, name)));
  if (tsid) return *tsid;

  // After a cold start the ids of yesterday's series are only on disk; on the 1st in another month.
  if (date > 1) {
    const int64_t yesterday = static_cast<int64_t>(date - 1) * model::kMsecPerDay;
    PartitionRef previous = table_->GetPartition(yesterday);
    if (previous) {
      VM_ASSIGN_OR_RETURN(tsid, OrNothing(previous->index().GetTsidByName(date - 1, name)));
    }
    if (!tsid) {
      VM_ASSIGN_OR_RETURN(tsid, OrNothing(FindInLegacyIndexes(date, name)));
    }
    if (tsid && !index.IsDeleted(tsid->metric_id)) {
      metrics_.slow_per_day_index_inserts.fetch_add(1, std::memory_order_relaxed);
      VM_ASSIGN_OR_RETURN(const bool has_id, HasGlobalRecords(partition, name.tenant, tsid->metric_id));
      if (has_id) {
        VM_TRY(index.AddDate(name, *tsid, date));
      } else {
        metrics_.timeseries_repopulated.fetch_add(1, std::memory_order_relaxed);
        VM_TRY(index.CreateSeries(name, *tsid, date));
        registered_.Add(GlobalScope(partition), static_cast<uint64_t>(tsid->metric_id));
      }
      return *tsid;
    }
  }

  const model::Tsid created = NewTsid(name);
  VM_TRY(index.CreateSeries(name, created, date));
  registered_.Add(GlobalScope(partition), static_cast<uint64_t>(created.metric_id));
  metrics_.new_timeseries_created.fetch_add(1, std::memory_order_relaxed);
  if (LogsNewSeries()) VM_LOG_INFO("new series created: {}", NameForLog(name));
  return created;
}

Result<std::optional<model::Tsid>> EngineImpl::FindInLegacyIndexes(uint64_t date,
                                                                   const model::MetricName& name) const {
  const auto tables = legacy_->All();
  for (const uint64_t day : {date, date - 1}) {
    for (auto table = tables.rbegin(); table != tables.rend(); ++table) {
      VM_ASSIGN_OR_RETURN(const std::optional<model::Tsid> tsid, (*table)->index().GetTsidByName(day, name));
      if (tsid) return tsid;
    }
  }
  return std::optional<model::Tsid>();
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

bool EngineImpl::PassesSeriesLimits(ByteView metric_name_raw) {
  if (hourly_series_.max_series() == 0 && daily_series_.max_series() == 0) return true;
  const uint64_t key = hash::XXH64(metric_name_raw);
  const int64_t now = options_.now_ms();
  const bool hourly_passes = hourly_series_.Add(key, now);
  if (hourly_passes && daily_series_.Add(key, now)) return true;
  int64_t last = last_limit_warn_ms_.load(std::memory_order_relaxed);
  if ((last == 0 || now - last >= kWarnIntervalMs) &&
      last_limit_warn_ms_.compare_exchange_strong(last, now, std::memory_order_relaxed)) {
    VM_LOG_WARN("skip series {} because {}={} reached", NameForLog(metric_name_raw),
                hourly_passes ? "-storage.maxDailySeries" : "-storage.maxHourlySeries",
                hourly_passes ? daily_series_.max_series() : hourly_series_.max_series());
  }
  return false;
}

void EngineImpl::WarnAboutRows(const std::string& problem) {
  const int64_t now = options_.now_ms();
  int64_t last = last_warn_ms_.load(std::memory_order_relaxed);
  if (now - last < kWarnIntervalMs && last != 0) return;
  if (!last_warn_ms_.compare_exchange_strong(last, now, std::memory_order_relaxed)) return;
  VM_LOG_WARN("warn occurred during rows addition: {}", problem);
}

}  // namespace vm::storage
