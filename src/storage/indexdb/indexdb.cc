#include "storage/indexdb/indexdb.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "lib/encoding/int.h"
#include "lib/regex/regex.h"
#include "storage/indexdb/records.h"
#include "storage/indexdb/scan.h"

namespace vm::indexdb {
namespace {

constexpr uint64_t kMaxDaysForPerDaySearch = 40;

Error TooManySeries(uint64_t max_metrics) {
  return Error(ErrorCode::kLimitExceeded,
               fmt::format("the number of matching timeseries exceeds {}; either narrow down the search or increase "
                           "-search.max* command-line flag values (the most likely limit is "
                           "-search.maxUniqueTimeseries); see https://docs.victoriametrics.com/victoriametrics/"
                           "single-server-victoriametrics/#resource-usage-limits",
                           max_metrics));
}

/// A label filter ready to be looked up in rows: the ids that have the label with a value that matches.
struct Filter {
  std::string key;
  bool subtract = false;              // The ids are taken away.
  bool invert = false;                // Values that do not match the regexp count.
  std::vector<std::string> values;  // Not empty: exactly these.
  std::optional<regex::Regex> regex;  // Neither: any value but the empty one.
};

/// Turn one filter into look-ups. A filter that everything passes gives none.
Status AddFilters(std::vector<Filter>& filters, const model::TagFilter& source) {
  const std::string key(LabelKey(source.key));
  const auto any = [&](bool subtract) {
    filters.push_back({.key = key, .subtract = subtract, .invert = false, .values = {}, .regex = std::nullopt});
  };
  if (!source.is_regexp) {
    if (source.value.empty()) {
      any(!source.is_negative);
    } else {
      filters.push_back(
          {.key = key, .subtract = source.is_negative, .invert = false, .values = {source.value}, .regex = {}});
    }
    return Ok();
  }
  if (source.value == ".*") {
    if (source.is_negative) any(true);  // Only series without the label are left, as in the reference.
    return Ok();
  }
  if (source.value == ".+") {
    any(source.is_negative);
    return Ok();
  }
  VM_ASSIGN_OR_RETURN(regex::Regex compiled, regex::Regex::Compile(source.value));
  if (!compiled.Match("")) {
    Filter filter{.key = key,
                  .subtract = source.is_negative,
                  .invert = false,
                  .values = compiled.or_values(),
                  .regex = {}};
    if (filter.values.empty()) filter.regex = std::move(compiled);
    filters.push_back(std::move(filter));
    return Ok();
  }
  if (source.is_negative) {
    // {k!~"|foo"}: the label is there, with another value.
    any(false);
    Filter filter{.key = key, .subtract = true, .invert = false, .values = compiled.or_values(), .regex = {}};
    std::erase(filter.values, "");
    if (filter.values.empty() && !compiled.or_values().empty()) return Ok();
    if (filter.values.empty()) filter.regex = std::move(compiled);
    filters.push_back(std::move(filter));
    return Ok();
  }
  // {k=~"|foo"}: all but those with a value that does not match.
  filters.push_back({.key = key, .subtract = true, .invert = true, .values = {}, .regex = std::move(compiled)});
  return Ok();
}

}  // namespace

Result<std::unique_ptr<IndexDb>> IndexDb::Open(const std::string& path, std::string name, Options options) {
  std::unique_ptr<IndexDb> db(new IndexDb(std::move(name), options));
  mergeset::Options table_options;
  table_options.file_system = options.file_system;
  table_options.prepare_block = MergeTagRows;
  table_options.max_memory_bytes = options.max_memory_bytes;
  table_options.wants_work = options.wants_work;
  VM_ASSIGN_OR_RETURN(db->table_, mergeset::Table::Open(path, std::move(table_options)));
  VM_TRY(db->LoadDeleted());
  return db;
}

Status IndexDb::LoadDeleted() {
  auto ids = std::make_shared<IdSet>();
  const ByteBuffer prefix{static_cast<uint8_t>(RecordKind::kDeletedId)};
  mergeset::Search search = table_->NewSearch();
  for (bool more = search.Seek(prefix); more && StartsWith(search.item(), prefix); more = search.Next()) {
    ByteView tail = search.item().subspan(1);
    VM_ASSIGN_OR_RETURN(const uint64_t id, encoding::TakeUint<uint64_t>(tail));
    ids->insert(id);
  }
  VM_TRY(search.status());
  MutexLock lock(deleted_mutex_);
  deleted_ = std::move(ids);
  return Ok();
}

std::shared_ptr<const IndexDb::IdSet> IndexDb::Deleted() const {
  MutexLock lock(deleted_mutex_);
  return deleted_;
}

bool IndexDb::IsDeleted(model::MetricId id) const { return Deleted()->contains(static_cast<uint64_t>(id)); }

void IndexDb::AddGlobalItems(std::vector<ByteBuffer>& items, const model::MetricName& name,
                             const model::Tsid& tsid) const {
  ByteBuffer item = RecordPrefix(RecordKind::kIdToName, name.tenant);
  AppendBigEndian(item, static_cast<uint64_t>(tsid.metric_id));
  name.Marshal(item);
  items.push_back(std::move(item));
  item = RecordPrefix(RecordKind::kIdToTsid, name.tenant);
  AppendBigEndian(item, static_cast<uint64_t>(tsid.metric_id));
  model::MarshalTsid(item, tsid);
  items.push_back(std::move(item));
  if (options_.disable_per_day_index) {
    item = {static_cast<uint8_t>(RecordKind::kNameToTsid)};
    name.Marshal(item);
    item.push_back(kNameSeparator);
    model::MarshalTsid(item, tsid);
    items.push_back(std::move(item));
  }
  AppendTagRows(items, RecordPrefix(RecordKind::kTagToIds, name.tenant), name, tsid.metric_id);
}

void IndexDb::AddDateItems(std::vector<ByteBuffer>& items, const model::MetricName& name, const model::Tsid& tsid,
                           uint64_t date) const {
  if (options_.disable_per_day_index) return;
  ByteBuffer item = DatePrefix(RecordKind::kDateToId, name.tenant, date);
  AppendBigEndian(item, static_cast<uint64_t>(tsid.metric_id));
  items.push_back(std::move(item));
  item = {static_cast<uint8_t>(RecordKind::kDateNameToTsid)};
  AppendBigEndian(item, date);
  name.Marshal(item);
  item.push_back(kNameSeparator);
  model::MarshalTsid(item, tsid);
  items.push_back(std::move(item));
  AppendTagRows(items, DatePrefix(RecordKind::kDateTagToIds, name.tenant, date), name, tsid.metric_id);
}

Status IndexDb::AddItems(const std::vector<ByteBuffer>& items) {
  const std::vector<ByteView> views(items.begin(), items.end());
  return table_->AddItems(views);
}

Status IndexDb::CreateSeries(const model::MetricName& name, const model::Tsid& tsid, uint64_t date) {
  std::vector<ByteBuffer> items;
  AddGlobalItems(items, name, tsid);
  AddDateItems(items, name, tsid, date);
  return AddItems(items);
}

Status IndexDb::AddGlobal(const model::MetricName& name, const model::Tsid& tsid) {
  std::vector<ByteBuffer> items;
  AddGlobalItems(items, name, tsid);
  return AddItems(items);
}

Status IndexDb::AddDate(const model::MetricName& name, const model::Tsid& tsid, uint64_t date) {
  std::vector<ByteBuffer> items;
  AddDateItems(items, name, tsid, date);
  return AddItems(items);
}

Result<bool> IndexDb::HasMetricId(const model::Tenant& tenant, model::MetricId id) const {
  ByteBuffer key = RecordPrefix(RecordKind::kIdToTsid, tenant);
  AppendBigEndian(key, static_cast<uint64_t>(id));
  mergeset::Search search = table_->NewSearch();
  const bool found = search.SeekPrefix(key);
  VM_TRY(search.status());
  return found;
}

Result<bool> IndexDb::HasDate(const model::Tenant& tenant, uint64_t date, model::MetricId id) const {
  ByteBuffer key = DatePrefix(RecordKind::kDateToId, tenant, date);
  AppendBigEndian(key, static_cast<uint64_t>(id));
  mergeset::Search search = table_->NewSearch();
  const bool found = search.SeekPrefix(key);
  VM_TRY(search.status());
  return found;
}

Result<std::optional<model::Tsid>> IndexDb::GetTsidByName(uint64_t date, const model::MetricName& name) const {
  ByteBuffer key;
  if (options_.disable_per_day_index) {
    key = {static_cast<uint8_t>(RecordKind::kNameToTsid)};
  } else {
    key = {static_cast<uint8_t>(RecordKind::kDateNameToTsid)};
    AppendBigEndian(key, date);
  }
  name.Marshal(key);
  key.push_back(kNameSeparator);
  const auto deleted = Deleted();
  mergeset::Search search = table_->NewSearch();
  for (bool more = search.Seek(key); more && StartsWith(search.item(), key); more = search.Next()) {
    ByteView tail = search.item().subspan(key.size());
    VM_ASSIGN_OR_RETURN(const model::Tsid tsid, model::UnmarshalTsid(tail));
    if (!tail.empty()) return Error(ErrorCode::kCorrupted, "bytes left over after the TSID of a name record");
    if (!deleted->contains(static_cast<uint64_t>(tsid.metric_id))) return std::optional<model::Tsid>(tsid);
  }
  VM_TRY(search.status());
  return std::optional<model::Tsid>();
}

std::optional<std::vector<uint64_t>> IndexDb::DatesToSearch(const model::TimeRange& time_range) const {
  const model::TimeRange& own = options_.time_range;
  model::TimeRange clipped{.min_timestamp = std::max({time_range.min_timestamp, own.min_timestamp, model::kMsecPerDay}),
                           .max_timestamp = std::min(time_range.max_timestamp, own.max_timestamp)};
  if (clipped.max_timestamp < clipped.min_timestamp) return std::vector<uint64_t>();
  if (options_.disable_per_day_index || clipped == own) return std::nullopt;
  const model::DateRange dates = model::DatesOf(clipped);
  if (dates.max_date - dates.min_date > kMaxDaysForPerDaySearch) return std::nullopt;
  std::vector<uint64_t> result;
  for (uint64_t date = dates.min_date; date <= dates.max_date; ++date) result.push_back(date);
  return result;
}

std::vector<ByteBuffer> IndexDb::TagPrefixes(const model::Tenant& tenant,
                                             const std::optional<std::vector<uint64_t>>& dates) {
  std::vector<ByteBuffer> prefixes;
  if (!dates) {
    prefixes.push_back(RecordPrefix(RecordKind::kTagToIds, tenant));
    return prefixes;
  }
  for (const uint64_t date : *dates) prefixes.push_back(DatePrefix(RecordKind::kDateTagToIds, tenant, date));
  return prefixes;
}

Result<std::vector<uint64_t>> IndexDb::SearchGroup(const ByteBuffer& prefix,
                                                   const std::vector<model::TagFilter>& sources,
                                                   uint64_t max_metrics, const Deadline& deadline) const {
  std::vector<Filter> filters;
  for (const model::TagFilter& source : sources) VM_TRY(AddFilters(filters, source));
  mergeset::Search search = table_->NewSearch();
  Pacer pacer(deadline);

  const auto add_ids = [](ByteView ids, Ids& result) {
    while (ids.size() >= 8) result.push_back(TakeBigEndian<uint64_t>(ids));
  };
  const auto scan = [&](const Filter& filter, Ids& result) -> Status {
    ByteBuffer key_prefix = prefix;
    model::MarshalTagValue(key_prefix, filter.key);
    if (!filter.values.empty()) {
      for (const std::string& value : filter.values) {
        ByteBuffer row = key_prefix;
        model::MarshalTagValue(row, value);
        for (bool more = search.Seek(row); more && StartsWith(search.item(), row); more = search.Next()) {
          VM_TRY(pacer.Check());
          add_ids(search.item().subspan(row.size()), result);
        }
      }
      return search.status();
    }
    ByteBuffer start = key_prefix;
    if (filter.regex && !filter.invert && !filter.regex->prefix().empty()) {
      model::MarshalTagValue(start, filter.regex->prefix());
      start.pop_back();
    }
    std::string value;
    std::string last_value;
    bool have_last = false;
    bool last_matched = false;
    bool more = search.Seek(start);
    while (more && StartsWith(search.item(), start)) {
      VM_TRY(pacer.Check());
      ByteView tail = search.item().subspan(key_prefix.size());
      value.clear();
      VM_TRY(model::UnmarshalTagValue(tail, value));
      if (!have_last || value != last_value) {
        last_matched = filter.regex ? filter.regex->Match(value) != filter.invert : !value.empty();
        last_value = value;
        have_last = true;
      }
      if (last_matched) {
        add_ids(tail, result);
        more = search.Next();
        continue;
      }
      ByteBuffer next = key_prefix;
      model::MarshalTagValue(next, value);
      more = search.Seek(PrefixEnd(std::move(next)));
    }
    return search.status();
  };
  // Cheap ones first, and at least one that adds.
  std::stable_sort(filters.begin(), filters.end(), [](const Filter& a, const Filter& b) {
    const auto cost = [](const Filter& f) { return (f.subtract ? 4 : 0) + (f.values.empty() ? (f.regex ? 1 : 2) : 0); };
    return cost(a) < cost(b);
  });
  Ids result;
  if (filters.empty() || filters.front().subtract) {
    // All series have a row for the metric name, also an empty one.
    ByteBuffer row = prefix;
    model::MarshalTagValue(row, "");
    for (bool more = search.Seek(row); more && StartsWith(search.item(), row); more = search.Next()) {
      VM_TRY(pacer.Check());
      ByteView tail = search.item().subspan(row.size());
      std::string value;
      VM_TRY(model::UnmarshalTagValue(tail, value));
      add_ids(tail, result);
    }
    VM_TRY(search.status());
    SortUnique(result);
  }
  bool first = !filters.empty() && !filters.front().subtract;
  for (const Filter& filter : filters) {
    if (!first && result.empty()) break;
    Ids ids;
    VM_TRY(scan(filter, ids));
    SortUnique(ids);
    if (first) {
      result = std::move(ids);
    } else {
      result = filter.subtract ? Difference(result, ids) : Intersection(result, ids);
    }
    first = false;
  }
  if (max_metrics > 0 && result.size() > max_metrics) return TooManySeries(max_metrics);
  return result;
}

Result<std::vector<uint64_t>> IndexDb::SearchIds(const model::Tenant& tenant, const FilterGroups& groups,
                                                 const std::optional<std::vector<uint64_t>>& dates,
                                                 uint64_t max_metrics, const Deadline& deadline) const {
  const std::vector<ByteBuffer> prefixes = TagPrefixes(tenant, dates);
  Ids result;
  for (const auto& group : groups) {
    for (const ByteBuffer& prefix : prefixes) {
      VM_ASSIGN_OR_RETURN(const Ids ids, SearchGroup(prefix, group, max_metrics, deadline));
      result = result.empty() ? ids : Union(result, ids);
      if (max_metrics > 0 && result.size() > max_metrics) return TooManySeries(max_metrics);
    }
  }
  const auto deleted = Deleted();
  if (!deleted->empty()) std::erase_if(result, [&](uint64_t id) { return deleted->contains(id); });
  return result;
}

Result<std::vector<model::MetricId>> IndexDb::SearchMetricIds(const model::Tenant& tenant, const FilterGroups& groups,
                                                              const model::TimeRange& time_range,
                                                              uint64_t max_metrics, const Deadline& deadline) const {
  VM_ASSIGN_OR_RETURN(const Ids ids, SearchIds(tenant, groups, DatesToSearch(time_range), max_metrics, deadline));
  std::vector<model::MetricId> result;
  result.reserve(ids.size());
  for (const uint64_t id : ids) result.push_back(static_cast<model::MetricId>(id));
  return result;
}

Result<std::vector<model::Tsid>> IndexDb::GetTsidsByMetricIds(const model::Tenant& tenant,
                                                              const std::vector<model::MetricId>& ids,
                                                              const Deadline& deadline) const {
  std::vector<model::Tsid> tsids;
  tsids.reserve(ids.size());
  mergeset::Search search = table_->NewSearch();
  Pacer pacer(deadline);
  for (const model::MetricId id : ids) {
    VM_TRY(pacer.Check());
    ByteBuffer key = RecordPrefix(RecordKind::kIdToTsid, tenant);
    AppendBigEndian(key, static_cast<uint64_t>(id));
    if (!search.SeekPrefix(key)) {
      VM_TRY(search.status());
      continue;
    }
    ByteView tail = search.item().subspan(key.size());
    VM_ASSIGN_OR_RETURN(const model::Tsid tsid, model::UnmarshalTsid(tail));
    tsids.push_back(tsid);
  }
  std::sort(tsids.begin(), tsids.end());
  return tsids;
}

Result<std::optional<ByteBuffer>> IndexDb::GetMetricName(const model::Tenant& tenant, model::MetricId id) const {
  ByteBuffer key = RecordPrefix(RecordKind::kIdToName, tenant);
  AppendBigEndian(key, static_cast<uint64_t>(id));
  mergeset::Search search = table_->NewSearch();
  if (!search.SeekPrefix(key)) {
    VM_TRY(search.status());
    return std::optional<ByteBuffer>();
  }
  const ByteView name = search.item().subspan(key.size());
  return std::optional<ByteBuffer>(ByteBuffer(name.begin(), name.end()));
}

Result<std::vector<model::MetricId>> IndexDb::DeleteSeries(const model::Tenant& tenant, const FilterGroups& groups,
                                                           uint64_t max_metrics, const Deadline& deadline) {
  VM_ASSIGN_OR_RETURN(const Ids ids, SearchIds(tenant, groups, std::nullopt, max_metrics, deadline));
  std::vector<model::MetricId> result;
  if (ids.empty()) return result;
  std::vector<ByteBuffer> items;
  for (const uint64_t id : ids) {
    result.push_back(static_cast<model::MetricId>(id));
    ByteBuffer item{static_cast<uint8_t>(RecordKind::kDeletedId)};
    AppendBigEndian(item, id);
    items.push_back(std::move(item));
  }
  {
    MutexLock lock(deleted_mutex_);
    auto deleted = std::make_shared<IdSet>(*deleted_);
    deleted->insert(ids.begin(), ids.end());
    deleted_ = std::move(deleted);
  }
  VM_TRY(AddItems(items));
  return result;
}

Status IndexDb::FlushToDisk() { return table_->FlushToDisk(); }
Status IndexDb::Close() { return table_->Close(); }

}  // namespace vm::indexdb
