#include "storage/indexdb/indexdb.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "lib/encoding/int.h"
#include "storage/indexdb/records.h"
#include "storage/indexdb/scan.h"

namespace vm::indexdb {
namespace {

constexpr uint64_t kMaxDaysForPerDaySearch = 40;

/// Bytes of the marshalled name, unless something in it has to be escaped.
size_t MarshalledSize(const model::MetricName& name) {
  size_t size = 2 * sizeof(uint32_t) + name.metric_group.size() + 1;
  for (const model::Tag& tag : name.tags) size += tag.key.size() + tag.value.size() + 2;
  return size;
}

/// Go to the record of `id`, whose key becomes `key`. `last_id` is where the last call found one: ids follow each other
/// often, and then the next record is the one wanted.
bool SeekId(mergeset::Search& search, RecordKind kind, const model::Tenant& tenant, model::MetricId id,
            std::optional<uint64_t>& last_id, ByteBuffer& key) {
  const auto number = static_cast<uint64_t>(id);
  key.clear();
  key.push_back(static_cast<uint8_t>(kind));
  AppendBigEndian(key, tenant.account_id);
  AppendBigEndian(key, tenant.project_id);
  AppendBigEndian(key, number);
  const bool follows = last_id && number == *last_id + 1;
  last_id.reset();
  const bool found = (follows && search.Next() && StartsWith(search.item(), key)) || search.SeekPrefix(key);
  if (found) last_id = number;
  return found;
}

}  // namespace

Result<std::unique_ptr<IndexDb>> IndexDb::Open(const std::string& path, std::string name, Options options) {
  std::unique_ptr<IndexDb> db(new IndexDb(std::move(name), options));
  mergeset::Options table_options;
  table_options.file_system = options.file_system;
  table_options.prepare_block = MergeTagRows;
  table_options.lookup_key = LookupKeyOf;
  table_options.max_filter_bytes = options.max_filter_bytes;
  table_options.max_memory_bytes = options.max_memory_bytes;
  table_options.min_merge_free_space_bytes = options.min_merge_free_space_bytes;
  table_options.wants_work = options.wants_work;
  table_options.caches = options.caches;
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
  has_deleted_.store(!ids->empty(), std::memory_order_release);
  deleted_ = std::move(ids);
  return Ok();
}

std::shared_ptr<const IndexDb::IdSet> IndexDb::Deleted() const {
  MutexLock lock(deleted_mutex_);
  return deleted_;
}

void IndexDb::HideIds(const std::vector<model::MetricId>& ids) {
  if (ids.empty()) return;
  MutexLock lock(deleted_mutex_);
  auto deleted = std::make_shared<IdSet>(*deleted_);
  for (const model::MetricId id : ids) deleted->insert(static_cast<uint64_t>(id));
  deleted_ = std::move(deleted);
  has_deleted_.store(true, std::memory_order_release);
}

std::vector<model::MetricId> IndexDb::DeletedIds() const {
  std::vector<model::MetricId> ids;
  for (const uint64_t id : *Deleted()) ids.push_back(static_cast<model::MetricId>(id));
  return ids;
}

bool IndexDb::IsDeleted(model::MetricId id) const {
  if (!has_deleted_.load(std::memory_order_acquire)) return false;
  return Deleted()->contains(static_cast<uint64_t>(id));
}

ByteBuffer IndexDb::NameKey(const model::MetricName& name, uint64_t date) const {
  ByteBuffer key;
  key.reserve(MarshalledSize(name) + 64);  // Callers append the TSID.
  if (options_.disable_per_day_index) {
    key.push_back(static_cast<uint8_t>(RecordKind::kNameToTsid));
  } else {
    key.push_back(static_cast<uint8_t>(RecordKind::kDateNameToTsid));
    AppendBigEndian(key, date);
  }
  name.Marshal(key);
  key.push_back(kNameSeparator);
  return key;
}

void IndexDb::AddGlobalItems(mergeset::ItemRun& items, const model::MetricName& name, const model::Tsid& tsid) const {
  ByteBuffer item = RecordPrefix(RecordKind::kIdToName, name.tenant);
  item.reserve(MarshalledSize(name) + 32);
  AppendBigEndian(item, static_cast<uint64_t>(tsid.metric_id));
  name.Marshal(item);
  items.Add(item);
  item = RecordPrefix(RecordKind::kIdToTsid, name.tenant);
  AppendBigEndian(item, static_cast<uint64_t>(tsid.metric_id));
  model::MarshalTsid(item, tsid);
  items.Add(item);
  if (options_.disable_per_day_index) {
    item = NameKey(name, 0);
    model::MarshalTsid(item, tsid);
    items.Add(item);
  }
}

void IndexDb::AddDateItems(mergeset::ItemRun& items, const model::MetricName& name, const model::Tsid& tsid,
                           uint64_t date) const {
  ByteBuffer item = DatePrefix(RecordKind::kDateToId, name.tenant, date);
  AppendBigEndian(item, static_cast<uint64_t>(tsid.metric_id));
  items.Add(item);
  item = NameKey(name, date);
  model::MarshalTsid(item, tsid);
  items.Add(item);
}

Status IndexDb::AddItems(const mergeset::ItemRun& items, const mergeset::Postings& postings) {
  std::vector<ByteView> views(items.size());
  for (size_t i = 0; i < views.size(); ++i) views[i] = items.Item(i);
  return table_->AddItems(views, postings);
}

Status IndexDb::AddSeries(const model::MetricName& name, const model::Tsid& tsid, bool global,
                          std::optional<uint64_t> date) {
  const bool by_day = date.has_value() && !options_.disable_per_day_index;
  mergeset::ItemRun items, tails;
  const size_t name_size = MarshalledSize(name);
  items.Reserve(2 * name_size + 256, 8);  // The name itself and the key by which it is found.
  tails.Reserve(2 * name_size + name.tags.size() * (name.metric_group.size() + 8), 2 * name.tags.size() + 2);
  ByteBuffer prefixes[2];
  size_t prefixes_count = 0;
  if (global) {
    AddGlobalItems(items, name, tsid);
    prefixes[prefixes_count++] = RecordPrefix(RecordKind::kTagToIds, name.tenant);
  }
  if (by_day) {
    AddDateItems(items, name, tsid, *date);
    prefixes[prefixes_count++] = DatePrefix(RecordKind::kDateTagToIds, name.tenant, *date);
  }
  if (prefixes_count == 0) return Ok();
  AppendTagKeys(tails, name);
  const ByteView prefix_views[2] = {prefixes[0], prefixes[1]};
  std::vector<ByteView> tail_views(tails.size());
  for (size_t i = 0; i < tail_views.size(); ++i) tail_views[i] = tails.Item(i);
  VM_TRY(AddItems(items, {.prefixes = std::span(prefix_views).first(prefixes_count),
                          .tails = tail_views,
                          .id = static_cast<uint64_t>(tsid.metric_id)}));
  for (size_t i = 0; i < items.size(); ++i) {
    if (const ByteView key = LookupKeyOf(items.Item(i)); !key.empty()) recent_names_.Put(key, tsid, table_->epoch());
  }
  recent_series_.Add(name, static_cast<uint64_t>(tsid.metric_id), global, by_day ? date : std::nullopt);
  return Ok();
}

Status IndexDb::CreateSeries(const model::MetricName& name, const model::Tsid& tsid, uint64_t date) {
  return AddSeries(name, tsid, true, date);
}

Status IndexDb::AddGlobal(const model::MetricName& name, const model::Tsid& tsid) {
  return AddSeries(name, tsid, true, std::nullopt);
}

Status IndexDb::AddDate(const model::MetricName& name, const model::Tsid& tsid, uint64_t date) {
  return AddSeries(name, tsid, false, date);
}

Result<bool> IndexDb::HasMetricId(const model::Tenant& tenant, model::MetricId id) const {
  ByteBuffer key = RecordPrefix(RecordKind::kIdToTsid, tenant);
  AppendBigEndian(key, static_cast<uint64_t>(id));
  mergeset::Search search = table_->NewSearch(mergeset::SearchScope::kParts);
  const bool found = search.SeekPrefix(key);
  VM_TRY(search.status());
  return found;
}

Result<bool> IndexDb::HasDate(const model::Tenant& tenant, uint64_t date, model::MetricId id) const {
  ByteBuffer key = DatePrefix(RecordKind::kDateToId, tenant, date);
  AppendBigEndian(key, static_cast<uint64_t>(id));
  mergeset::Search search = table_->NewSearch(mergeset::SearchScope::kParts);
  const bool found = search.SeekPrefix(key);
  VM_TRY(search.status());
  return found;
}

Result<std::optional<model::Tsid>> IndexDb::GetTsidByName(uint64_t date, const model::MetricName& name) const {
  const ByteBuffer key = NameKey(name, date);
  const auto deleted = Deleted();
  if (const auto tsid = recent_names_.Find(key, table_->written_epoch());
      tsid && !deleted->contains(static_cast<uint64_t>(tsid->metric_id))) {
    return std::optional<model::Tsid>(*tsid);
  }
  mergeset::Search search = table_->NewLookup(key);
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

Result<std::vector<model::Tsid>> IndexDb::GetTsidsByMetricIds(const model::Tenant& tenant,
                                                              const std::vector<model::MetricId>& ids,
                                                              const Deadline& deadline) const {
  std::vector<model::Tsid> tsids;
  tsids.reserve(ids.size());
  mergeset::Search search = table_->NewSearch();
  std::optional<uint64_t> last_id;
  ByteBuffer key;
  Pacer pacer(deadline);
  for (const model::MetricId id : ids) {
    VM_TRY(pacer.Check());
    if (!SeekId(search, RecordKind::kIdToTsid, tenant, id, last_id, key)) {
      VM_TRY(search.status());
      counters_.missing_tsids.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    ByteView tail = search.item().subspan(key.size());
    VM_ASSIGN_OR_RETURN(const model::Tsid tsid, model::UnmarshalTsid(tail));
    tsids.push_back(tsid);
  }
  std::sort(tsids.begin(), tsids.end());
  return tsids;
}

Result<bool> IndexDb::NameReader::Read(model::MetricId id) {
  const bool found = SeekId(search_, RecordKind::kIdToName, tenant_, id, last_id_, key_);
  VM_TRY(search_.status());
  return found;
}

Result<std::optional<ByteBuffer>> IndexDb::GetMetricName(const model::Tenant& tenant, model::MetricId id) const {
  NameReader reader(*this, tenant);
  VM_ASSIGN_OR_RETURN(const bool found, reader.Read(id));
  if (!found) return std::optional<ByteBuffer>();
  const ByteView name = reader.name();
  return std::optional<ByteBuffer>(ByteBuffer(name.begin(), name.end()));
}

Result<std::vector<model::MetricId>> IndexDb::DeleteSeries(const model::Tenant& tenant, const FilterGroups& groups,
                                                           uint64_t max_metrics, const Deadline& deadline) {
  VM_ASSIGN_OR_RETURN(const Ids ids, SearchIds(tenant, groups, std::nullopt, max_metrics, deadline));
  std::vector<model::MetricId> result;
  if (ids.empty()) return result;
  mergeset::ItemRun items;
  for (const uint64_t id : ids) {
    result.push_back(static_cast<model::MetricId>(id));
    ByteBuffer item{static_cast<uint8_t>(RecordKind::kDeletedId)};
    AppendBigEndian(item, id);
    items.Add(item);
  }
  HideIds(result);
  VM_TRY(AddItems(items));
  return result;
}

Status IndexDb::FlushToDisk() { return table_->FlushToDisk(); }
Status IndexDb::Close() { return table_->Close(); }

}  // namespace vm::indexdb
