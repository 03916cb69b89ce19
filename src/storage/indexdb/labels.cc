#include <fmt/format.h>

#include <set>

#include "lib/encoding/int.h"
#include "storage/indexdb/filters.h"
#include "storage/indexdb/indexdb.h"
#include "storage/indexdb/records.h"
#include "storage/indexdb/scan.h"

// Which names, values and tenants there are.
namespace vm::indexdb {
namespace {

/// Up to so many series their names are read instead of scanning all rows.
constexpr size_t kMaxNamesToRead = 100000;

/// Whether one of the ids counts: not deleted and, when some are wanted, one of those.
class AliveIds {
 public:
  AliveIds(std::shared_ptr<const std::unordered_set<uint64_t>> deleted, const std::optional<Ids>& wanted)
      : deleted_(std::move(deleted)), wanted_(wanted) {}

  bool Any(ByteView ids) const {
    while (ids.size() >= 8) {
      const uint64_t id = TakeBigEndian<uint64_t>(ids);
      if (deleted_->contains(id)) continue;
      if (!wanted_ || std::binary_search(wanted_->begin(), wanted_->end(), id)) return true;
    }
    return false;
  }

 private:
  const std::shared_ptr<const std::unordered_set<uint64_t>> deleted_;
  const std::optional<Ids>& wanted_;
};

/// The rest of a composite key after its metric name.
Result<std::string_view> LabelOfCompositeKey(std::string_view key) {
  ByteView tail = AsBytes(key.substr(1));
  VM_ASSIGN_OR_RETURN(const uint64_t size, encoding::TakeVarUint64(tail));
  if (size > tail.size()) return Error(ErrorCode::kCorrupted, "the metric name of a composite key is cut off");
  return AsText(tail.subspan(size));
}

}  // namespace

Result<std::vector<std::string>> IndexDb::SearchLabelNames(const model::Tenant& tenant, const FilterGroups& groups,
                                                           const model::TimeRange& time_range, size_t limit,
                                                           uint64_t max_metrics, const Deadline& deadline) const {
  const auto dates = DatesToSearch(time_range);
  std::set<std::string> names;
  Pacer pacer(deadline);
  std::optional<Ids> wanted;
  const std::optional<std::string_view> metric = HasComposite(dates) ? SingleName(groups) : std::nullopt;
  if (!groups.empty() && !metric) {
    VM_ASSIGN_OR_RETURN(wanted, SearchIds(tenant, groups, dates, max_metrics, deadline));
    if (wanted->size() <= kMaxNamesToRead) {
      NameReader reader(*this, tenant);
      for (const uint64_t id : *wanted) {
        VM_TRY(pacer.Check());
        VM_ASSIGN_OR_RETURN(const bool found, reader.Read(static_cast<model::MetricId>(id)));
        if (!found) continue;
        VM_ASSIGN_OR_RETURN(const model::MetricName name, model::MetricName::Unmarshal(reader.name()));
        names.insert("__name__");
        for (const model::Tag& tag : name.tags) names.insert(tag.key);
        if (names.size() >= limit) break;
      }
      return std::vector<std::string>(names.begin(), names.end());
    }
  }
  const AliveIds alive(Deleted(), wanted);
  mergeset::Search search = table_->NewSearch();
  TagRow row;
  for (const ByteBuffer& day : TagPrefixes(tenant, dates)) {
    ByteBuffer prefix = day;
    if (metric) {
      // A name without labels has no composite rows.
      ByteBuffer name_row = day;
      model::MarshalTagValue(name_row, "");
      model::MarshalTagValue(name_row, *metric);
      for (bool more = search.Seek(name_row); more && StartsWith(search.item(), name_row); more = search.Next()) {
        if (!alive.Any(search.item().subspan(name_row.size()))) continue;
        names.insert("__name__");
        break;
      }
      model::MarshalTagValue(prefix, CompositeKey(*metric, ""));
      prefix.pop_back();
    }
    bool more = search.Seek(prefix);
    while (more && StartsWith(search.item(), prefix) && names.size() < limit) {
      VM_TRY(pacer.Check());
      VM_TRY(UnmarshalTagRow(search.item().subspan(day.size()), row));
      ByteBuffer key = day;
      if (!metric && IsArtificialKey(row.key)) {
        key.push_back(static_cast<uint8_t>(row.key[0]));
        more = search.Seek(PrefixEnd(std::move(key)));
        continue;
      }
      if (!alive.Any(row.ids)) {
        more = search.Next();
        continue;
      }
      if (metric) {
        VM_ASSIGN_OR_RETURN(const std::string_view label, LabelOfCompositeKey(row.key));
        names.emplace(label);
      } else {
        names.insert(row.key.empty() ? "__name__" : row.key);
      }
      model::MarshalTagValue(key, row.key);
      more = search.Seek(PrefixEnd(std::move(key)));
    }
    VM_TRY(search.status());
  }
  return std::vector<std::string>(names.begin(), names.end());
}

Result<std::set<std::string>> IndexDb::ScanValues(const model::Tenant& tenant, std::string_view row_key,
                                                  const std::optional<std::vector<uint64_t>>& dates,
                                                  const std::optional<std::vector<uint64_t>>& wanted, size_t limit,
                                                  const Deadline& deadline) const {
  const AliveIds alive(Deleted(), wanted);
  std::set<std::string> values;
  Pacer pacer(deadline);
  mergeset::Search search = table_->NewSearch();
  for (ByteBuffer& prefix : TagPrefixes(tenant, dates)) {
    model::MarshalTagValue(prefix, row_key);
    bool more = search.Seek(prefix);
    while (more && StartsWith(search.item(), prefix) && values.size() < limit) {
      VM_TRY(pacer.Check());
      ByteView tail = search.item().subspan(prefix.size());
      std::string value;
      VM_TRY(model::UnmarshalTagValue(tail, value));
      if (!alive.Any(tail)) {
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
  return values;
}

Result<std::vector<std::string>> IndexDb::SearchLabelValues(const model::Tenant& tenant, std::string_view label,
                                                            const FilterGroups& groups,
                                                            const model::TimeRange& time_range, size_t limit,
                                                            uint64_t max_metrics, const Deadline& deadline) const {
  label = LabelKey(label);
  const auto dates = DatesToSearch(time_range);
  const auto to_list = [](const std::set<std::string>& values) {
    return std::vector<std::string>(values.begin(), values.end());
  };
  if (groups.size() == 1 && groups[0].size() == 1 && LabelKey(groups[0][0].key) == label) {
    // All values, then those that match: cheaper than the ids of each.
    const size_t max_values = max_metrics > 0 ? max_metrics : SIZE_MAX;
    VM_ASSIGN_OR_RETURN(std::set<std::string> values,
                        ScanValues(tenant, label, dates, std::nullopt, max_values, deadline));
    const bool is_all = values.size() < max_values;
    for (const Filter& filter : CompileFilters(groups[0])) {
      std::erase_if(values, [&](const std::string& value) { return filter.MatchesValue(value) == filter.subtract; });
    }
    if (is_all || values.size() >= limit) return to_list(values);
  }
  const std::optional<std::string_view> metric = HasComposite(dates) ? SingleName(groups) : std::nullopt;
  if (metric && !label.empty()) {
    VM_ASSIGN_OR_RETURN(const auto values, ScanValues(tenant, CompositeKey(*metric, label), dates, std::nullopt, limit,
                                                      deadline));
    return to_list(values);
  }
  std::optional<Ids> wanted;
  if (!groups.empty()) {
    VM_ASSIGN_OR_RETURN(wanted, SearchIds(tenant, groups, dates, max_metrics, deadline));
    if (wanted->size() <= kMaxNamesToRead) {
      std::set<std::string> values;
      NameReader reader(*this, tenant);
      Pacer pacer(deadline);
      for (const uint64_t id : *wanted) {
        VM_TRY(pacer.Check());
        VM_ASSIGN_OR_RETURN(const bool found, reader.Read(static_cast<model::MetricId>(id)));
        if (!found) continue;
        VM_ASSIGN_OR_RETURN(model::MetricName name, model::MetricName::Unmarshal(reader.name()));
        if (label.empty()) {
          if (!name.metric_group.empty()) values.insert(std::move(name.metric_group));
        } else {
          for (model::Tag& tag : name.tags) {
            if (tag.key == label && !tag.value.empty()) values.insert(std::move(tag.value));
          }
        }
        if (values.size() >= limit) break;
      }
      return to_list(values);
    }
  }
  VM_ASSIGN_OR_RETURN(const auto values, ScanValues(tenant, label, dates, wanted, limit, deadline));
  return to_list(values);
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
                                                              std::string_view label, std::string_view value_prefix,
                                                              char delimiter, size_t limit,
                                                              const Deadline& deadline) const {
  return SearchSuffixes(tenant, DatesToSearch(time_range), label, value_prefix, delimiter, limit, deadline);
}

Result<std::set<std::string>> IndexDb::SearchSuffixes(const model::Tenant& tenant,
                                                      const std::optional<std::vector<uint64_t>>& dates,
                                                      std::string_view label, std::string_view value_prefix,
                                                      char delimiter, size_t limit, const Deadline& deadline) const {
  std::set<std::string> suffixes;
  const auto deleted = Deleted();
  Pacer pacer(deadline);
  mergeset::Search search = table_->NewSearch();
  TagRow row;
  for (const ByteBuffer& day : TagPrefixes(tenant, dates)) {
    ByteBuffer prefix = day;
    model::MarshalTagValue(prefix, LabelKey(label));
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
