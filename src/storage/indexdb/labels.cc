#include <fmt/format.h>

#include <set>

#include "lib/encoding/int.h"
#include "storage/indexdb/indexdb.h"
#include "storage/indexdb/records.h"
#include "storage/indexdb/scan.h"

// Which names, values and tenants there are.
namespace vm::indexdb {
namespace {

/// Up to so many series their names are read instead of scanning all rows.
constexpr size_t kMaxNamesToRead = 100000;

}  // namespace

Result<std::vector<std::string>> IndexDb::SearchLabelNames(const model::Tenant& tenant, const FilterGroups& groups,
                                                           const model::TimeRange& time_range, size_t limit,
                                                           uint64_t max_metrics, const Deadline& deadline) const {
  const auto dates = DatesToSearch(time_range);
  std::set<std::string> names;
  Pacer pacer(deadline);
  std::optional<Ids> wanted;
  if (!groups.empty()) {
    VM_ASSIGN_OR_RETURN(wanted, SearchIds(tenant, groups, dates, max_metrics, deadline));
    if (wanted->size() <= kMaxNamesToRead) {
      for (const uint64_t id : *wanted) {
        VM_TRY(pacer.Check());
        VM_ASSIGN_OR_RETURN(const auto bytes, GetMetricName(tenant, static_cast<model::MetricId>(id)));
        if (!bytes) continue;
        VM_ASSIGN_OR_RETURN(const model::MetricName name, model::MetricName::Unmarshal(*bytes));
        names.insert("__name__");
        for (const model::Tag& tag : name.tags) names.insert(tag.key);
        if (names.size() >= limit) break;
      }
      return std::vector<std::string>(names.begin(), names.end());
    }
  }
  const auto deleted = Deleted();
  std::vector<ByteBuffer> prefixes = TagPrefixes(tenant, dates);
  mergeset::Search search = table_->NewSearch();
  TagRow row;
  for (const ByteBuffer& prefix : prefixes) {
    bool more = search.Seek(prefix);
    while (more && StartsWith(search.item(), prefix) && names.size() < limit) {
      VM_TRY(pacer.Check());
      VM_TRY(UnmarshalTagRow(search.item().subspan(prefix.size()), row));
      bool hit = IsArtificialKey(row.key);
      for (ByteView ids = row.ids; !hit && !ids.empty();) {
        const uint64_t id = TakeBigEndian<uint64_t>(ids);
        hit = !deleted->contains(id) && (!wanted || std::binary_search(wanted->begin(), wanted->end(), id));
      }
      if (!hit) {
        more = search.Next();
        continue;
      }
      if (!IsArtificialKey(row.key)) names.insert(row.key.empty() ? "__name__" : row.key);
      ByteBuffer key = prefix;
      if (IsArtificialKey(row.key)) {
        key.push_back(static_cast<uint8_t>(row.key[0]));
      } else {
        model::MarshalTagValue(key, row.key);
      }
      more = search.Seek(PrefixEnd(std::move(key)));
    }
    VM_TRY(search.status());
  }
  return std::vector<std::string>(names.begin(), names.end());
}

Result<std::vector<std::string>> IndexDb::SearchLabelValues(const model::Tenant& tenant, std::string_view label,
                                                            const FilterGroups& groups,
                                                            const model::TimeRange& time_range, size_t limit,
                                                            uint64_t max_metrics, const Deadline& deadline) const {
  const auto dates = DatesToSearch(time_range);
  std::optional<Ids> wanted;
  if (!groups.empty()) {
    VM_ASSIGN_OR_RETURN(wanted, SearchIds(tenant, groups, dates, max_metrics, deadline));
    if (wanted->empty()) return std::vector<std::string>();
  }
  const auto deleted = Deleted();
  std::set<std::string> values;
  std::vector<ByteBuffer> prefixes = TagPrefixes(tenant, dates);
  Pacer pacer(deadline);
  mergeset::Search search = table_->NewSearch();
  for (ByteBuffer& prefix : prefixes) {
    model::MarshalTagValue(prefix, LabelKey(label));
    bool more = search.Seek(prefix);
    while (more && StartsWith(search.item(), prefix) && values.size() < limit) {
      VM_TRY(pacer.Check());
      ByteView tail = search.item().subspan(prefix.size());
      std::string value;
      VM_TRY(model::UnmarshalTagValue(tail, value));
      bool hit = false;
      while (!hit && tail.size() >= 8) {
        const uint64_t id = TakeBigEndian<uint64_t>(tail);
        hit = !deleted->contains(id) && (!wanted || std::binary_search(wanted->begin(), wanted->end(), id));
      }
      if (!hit) {
        more = search.Next();
        continue;
      }
      ByteBuffer key = prefix;
      model::MarshalTagValue(key, value);
      if (!value.empty()) values.insert(std::move(value));
      more = search.Seek(PrefixEnd(std::move(key)));
    }
    VM_TRY(search.status());
  }
  return std::vector<std::string>(values.begin(), values.end());
}

Result<uint64_t> IndexDb::SeriesCount(const model::Tenant& tenant, const Deadline& deadline) const {
  const ByteBuffer prefix = RecordPrefix(RecordKind::kIdToTsid, tenant);
  Pacer pacer(deadline);
  mergeset::Search search = table_->NewSearch();
  uint64_t count = 0;
  for (bool more = search.Seek(prefix); more && StartsWith(search.item(), prefix); more = search.Next()) {
    VM_TRY(pacer.Check());
    ++count;
  }
  VM_TRY(search.status());
  return count;
}

Result<std::set<std::string>> IndexDb::SearchTagValueSuffixes(const model::Tenant& tenant,
                                                              const model::TimeRange& time_range,
                                                              std::string_view key, std::string_view value_prefix,
                                                              char delimiter, size_t limit,
                                                              const Deadline& deadline) const {
  std::set<std::string> suffixes;
  const auto deleted = Deleted();
  Pacer pacer(deadline);
  mergeset::Search search = table_->NewSearch();
  TagRow row;
  for (const ByteBuffer& day : TagPrefixes(tenant, DatesToSearch(time_range))) {
    ByteBuffer prefix = day;
    model::MarshalTagValue(prefix, LabelKey(key));
    model::MarshalTagValue(prefix, value_prefix);
    prefix.pop_back();  // Longer values too.
    bool more = search.Seek(prefix);
    while (more && StartsWith(search.item(), prefix) && suffixes.size() < limit) {
      VM_TRY(pacer.Check());
      VM_TRY(UnmarshalTagRow(search.item().subspan(day.size()), row));
      bool alive = false;
      for (ByteView ids = row.ids; !alive && !ids.empty();) alive = !deleted->contains(TakeBigEndian<uint64_t>(ids));
      if (!alive) {
        more = search.Next();
        continue;
      }
      std::string suffix = row.value.substr(value_prefix.size());
      const size_t end = suffix.find(delimiter);
      if (end != std::string::npos) suffix.resize(end + 1);
      ByteBuffer next = prefix;
      model::MarshalTagValue(next, suffix);
      if (end != std::string::npos) next.pop_back();  // All that goes on after the delimiter.
      suffixes.insert(std::move(suffix));
      more = search.Seek(PrefixEnd(std::move(next)));
    }
    VM_TRY(search.status());
  }
  return suffixes;
}

Result<std::vector<model::Tenant>> IndexDb::SearchTenants(const model::TimeRange& time_range,
                                                          const Deadline& deadline) const {
  const auto dates = DatesToSearch(time_range);
  const auto kind = dates ? RecordKind::kDateTagToIds : RecordKind::kTagToIds;
  const ByteBuffer kind_prefix{static_cast<uint8_t>(kind)};
  Pacer pacer(deadline);
  std::set<model::Tenant> tenants;
  mergeset::Search search = table_->NewSearch();
  bool more = search.Seek(kind_prefix);
  while (more && StartsWith(search.item(), kind_prefix)) {
    VM_TRY(pacer.Check());
    ByteView tail = search.item().subspan(1);
    model::Tenant tenant;
    VM_ASSIGN_OR_RETURN(tenant.account_id, encoding::TakeUint<uint32_t>(tail));
    VM_ASSIGN_OR_RETURN(tenant.project_id, encoding::TakeUint<uint32_t>(tail));
    bool seen = !dates;
    if (dates) {
      for (const uint64_t date : *dates) {
        seen = seen || search.SeekPrefix(DatePrefix(kind, tenant, date));
      }
      VM_TRY(search.status());
    }
    if (seen) tenants.insert(tenant);
    more = search.Seek(PrefixEnd(RecordPrefix(kind, tenant)));
  }
  VM_TRY(search.status());
  return std::vector<model::Tenant>(tenants.begin(), tenants.end());
}

}  // namespace vm::indexdb
