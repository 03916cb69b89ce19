#include <fmt/format.h>

#include <algorithm>

#include "storage/indexdb/filters.h"
#include "storage/indexdb/indexdb.h"
#include "storage/indexdb/records.h"
#include "storage/indexdb/scan.h"

// From label filters to metric ids.
namespace vm::indexdb {
namespace {

/// A scan of tag rows may take so many steps for each id that is left before the names of those are read instead.
constexpr uint64_t kStepsPerId = 150;
/// While it is open which filter gives the first set, each is read a bit, then so many times as much.
constexpr uint64_t kNextTry = 16;
/// A filter that selects so many times the allowed number of series cannot give the first set.
constexpr uint64_t kMaxFirstSet = 50;
/// What matching a value costs against reading a row.
constexpr uint64_t kStepsPerMatch = 10;
/// Rows with so many ids are worth a seek when their value does not match.
constexpr size_t kIdsWorthASeek = 32;

Error TooManySeries(uint64_t max_metrics) {
  return Error(ErrorCode::kLimitExceeded,
               fmt::format("the number of matching timeseries exceeds {}; either narrow down the search or increase "
                           "-search.max* command-line flag values (the most likely limit is "
                           "-search.maxUniqueTimeseries); see https://docs.victoriametrics.com/victoriametrics/"
                           "single-server-victoriametrics/#resource-usage-limits",
                           max_metrics));
}

/// Whether Graphite paths are looked for, which the index has to be asked about.
bool HasGraphite(const FilterGroups& groups) {
  return std::any_of(groups.begin(), groups.end(), [](const std::vector<model::TagFilter>& group) {
    return std::any_of(group.begin(), group.end(), [](const model::TagFilter& f) { return f.key == kGraphiteKey; });
  });
}

/// How the marshalled names of a tenant begin.
ByteBuffer NamePrefix(const model::Tenant& tenant) {
  ByteBuffer bytes;
  AppendBigEndian(bytes, tenant.account_id);
  AppendBigEndian(bytes, tenant.project_id);
  return bytes;
}

void AddIds(ByteView bytes, Ids& ids) {
  while (bytes.size() >= 8) ids.push_back(TakeBigEndian<uint64_t>(bytes));
}

}  // namespace

/// Evaluates one group of filters on the tag rows of one day, or on the global ones.
class IndexDb::GroupSearch {
 public:
  GroupSearch(const IndexDb& index, const model::Tenant& tenant, const ByteBuffer& prefix, uint64_t max_metrics,
              const Deadline& deadline)
      : index_(index),
        tenant_(tenant),
        prefix_(prefix),
        max_metrics_(max_metrics),
        max_first_set_(max_metrics > 0 ? kMaxFirstSet * (max_metrics + 1) : UINT64_MAX),
        pacer_(deadline),
        search_(index.table_->NewSearch()) {}

  Result<Ids> Run(std::vector<Filter> filters) {
    if (filters.empty()) filters.emplace_back();  // {__name__!=""}
    std::stable_sort(filters.begin(), filters.end(),
                     [](const Filter& a, const Filter& b) { return a.Rank() < b.Rank(); });
    Ids ids;
    VM_ASSIGN_OR_RETURN(const size_t first, FindFirstSet(filters, ids));
    std::vector<const Filter*> later;
    for (const bool subtract : {false, true}) {
      for (size_t i = 0; i < filters.size(); ++i) {
        if (i == first || filters[i].subtract != subtract || ids.empty()) continue;
        Ids found;
        const uint64_t steps = std::max(index_.options_.min_scan_steps, kStepsPerId * ids.size());
        VM_ASSIGN_OR_RETURN(const Scan scan, Read(filters[i], steps, UINT64_MAX, found));
        if (scan != Scan::kComplete) {
          later.push_back(&filters[i]);
          continue;
        }
        SortUnique(found);
        ids = subtract ? Difference(ids, found) : Intersection(ids, found);
      }
    }
    if (!later.empty()) VM_TRY(KeepMatchingNames(later, ids));
    return ids;
  }

 private:
  enum class Scan : uint8_t { kComplete, kTooManySteps, kTooManyIds };

  /// Returns which filter gave `ids`; the number of filters when none did.
  Result<size_t> FindFirstSet(const std::vector<Filter>& filters, Ids& ids) {
    std::vector<size_t> candidates;
    for (size_t i = 0; i < filters.size(); ++i) {
      if (!filters[i].subtract) candidates.push_back(i);
    }
    const bool any = candidates.empty();
    for (uint64_t steps = index_.options_.min_scan_steps; !candidates.empty(); steps *= kNextTry) {
      if (candidates.size() == 1) steps = UINT64_MAX / kNextTry;
      std::vector<size_t> next;
      for (const size_t i : candidates) {
        ids.clear();
        VM_ASSIGN_OR_RETURN(const Scan scan, Read(filters[i], steps, max_first_set_, ids));
        if (scan == Scan::kComplete) {
          SortUnique(ids);
          return i;
        }
        if (scan == Scan::kTooManySteps) next.push_back(i);
      }
      candidates = std::move(next);
    }
    if (!any) return TooManySeries(max_metrics_);
    // Nothing but exclusions: start with everything that has a name record.
    ids.clear();
    VM_ASSIGN_OR_RETURN(const Scan scan, ReadAll(ids));
    if (scan != Scan::kComplete) return TooManySeries(max_metrics_);
    SortUnique(ids);
    return filters.size();
  }

  /// Ids of all series: each has one row for its metric name, even for the empty one.
  Result<Scan> ReadAll(Ids& ids) {
    ByteBuffer start = prefix_;
    model::MarshalTagValue(start, "");
    for (bool more = search_.Seek(start); more && StartsWith(search_.item(), start); more = search_.Next()) {
      VM_TRY(pacer_.Check());
      ByteView tail = search_.item().subspan(start.size());
      VM_TRY(model::UnmarshalTagValue(tail, value_));
      AddIds(tail, ids);
      if (ids.size() >= max_first_set_) return Scan::kTooManyIds;
    }
    VM_TRY(search_.status());
    return Scan::kComplete;
  }

  /// Add the ids of rows with matching values, unsorted.
  Result<Scan> Read(const Filter& filter, uint64_t max_steps, uint64_t max_ids, Ids& ids) {
    ByteBuffer key = prefix_;
    model::MarshalTagValue(key, filter.RowKey());
    uint64_t steps = 0;
    const auto check = [&]() -> Result<Scan> {
      VM_TRY(pacer_.Check());
      if (ids.size() >= max_ids) return Scan::kTooManyIds;
      return steps > max_steps ? Scan::kTooManySteps : Scan::kComplete;
    };
    if (filter.kind == Filter::Kind::kValues) {
      for (const std::string& value : filter.values) {
        ByteBuffer row = key;
        model::MarshalTagValue(row, value);
        for (bool more = search_.Seek(row); more && StartsWith(search_.item(), row); more = search_.Next()) {
          const ByteView tail = search_.item().subspan(row.size());
          AddIds(tail, ids);
          steps += tail.size() / 8;
          VM_ASSIGN_OR_RETURN(const Scan scan, check());
          if (scan != Scan::kComplete) return scan;
        }
        VM_TRY(search_.status());
      }
      return Scan::kComplete;
    }
    ByteBuffer start = key;
    if (filter.kind == Filter::Kind::kRegex && !filter.invert && !filter.regex->prefix().empty()) {
      model::MarshalTagValue(start, filter.regex->prefix());
      start.pop_back();  // Longer values too.
    }
    bool have_last = false, last_matched = false;
    ByteBuffer last_value;
    bool more = search_.Seek(start);
    while (more && StartsWith(search_.item(), start)) {
      const ByteView value_and_ids = search_.item().subspan(key.size());
      ByteView tail = value_and_ids;
      value_.clear();
      VM_TRY(model::UnmarshalTagValue(tail, value_));
      const ByteView value_bytes = value_and_ids.first(value_and_ids.size() - tail.size());
      if (!have_last || !Equal(value_bytes, last_value)) {
        last_matched = filter.MatchesValue(value_);
        last_value.assign(value_bytes.begin(), value_bytes.end());
        have_last = true;
        if (filter.kind == Filter::Kind::kRegex) steps += kStepsPerMatch;
      }
      ++steps;
      if (last_matched) {
        AddIds(tail, ids);
        steps += tail.size() / 8;
      }
      VM_ASSIGN_OR_RETURN(const Scan scan, check());
      if (scan != Scan::kComplete) return scan;
      if (!last_matched && tail.size() / 8 >= kIdsWorthASeek) {
        ByteBuffer next = key;
        Append(next, last_value);
        more = search_.Seek(PrefixEnd(std::move(next)));
      } else {
        more = search_.Next();
      }
    }
    VM_TRY(search_.status());
    return Scan::kComplete;
  }

  Status KeepMatchingNames(const std::vector<const Filter*>& filters, Ids& ids) {
    Ids kept;
    NameReader reader(index_, tenant_);
    for (const uint64_t id : ids) {
      VM_TRY(pacer_.Check());
      VM_ASSIGN_OR_RETURN(const bool found, reader.Read(static_cast<model::MetricId>(id)));
      if (!found) continue;
      VM_ASSIGN_OR_RETURN(const model::MetricName name, model::MetricName::Unmarshal(reader.name()));
      const bool passes = std::all_of(filters.begin(), filters.end(), [&](const Filter* f) { return f->Passes(name); });
      if (passes) kept.push_back(id);
    }
    ids = std::move(kept);
    return Ok();
  }

  const IndexDb& index_;
  const model::Tenant tenant_;
  const ByteBuffer& prefix_;
  const uint64_t max_metrics_;
  const uint64_t max_first_set_;
  Pacer pacer_;
  mergeset::Search search_;
  std::string value_;
};

Result<std::vector<std::vector<Filter>>> IndexDb::PrepareGroup(const model::Tenant& tenant,
                                                               const std::vector<model::TagFilter>& group,
                                                               const std::optional<std::vector<uint64_t>>& dates,
                                                               uint64_t max_metrics, const Deadline& deadline) const {
  std::vector<Filter> filters = CompileFilters(group);
  for (const model::TagFilter& source : group) {
    if (source.key != kGraphiteKey) continue;
    std::set<std::string> paths;
    const size_t limit = max_metrics > 0 ? max_metrics : SIZE_MAX;
    auto status = SearchGraphitePaths(tenant, dates, "", ToGraphiteWildcards(source.value), limit, deadline, paths);
    if (!status.ok()) {
      return std::move(status).error().WithContext(
          fmt::format("error when searching for Graphite paths for query \"{}\"", source.value));
    }
    if (paths.size() >= limit) {
      return Error(ErrorCode::kLimitExceeded,
                   fmt::format("more than {} time series match Graphite query \"{}\"; either narrow down the query or "
                               "increase the corresponding -search.max* command-line flag value at vmselect nodes; "
                               "see https://docs.victoriametrics.com/victoriametrics/single-server-victoriametrics/"
                               "#resource-usage-limits",
                               limit, source.value));
    }
    Filter filter;
    filter.kind = Filter::Kind::kValues;
    filter.subtract = source.is_negative;
    filter.values.assign(paths.begin(), paths.end());
    filters.push_back(std::move(filter));
  }
  bool converted = false;
  std::vector<std::vector<Filter>> groups;
  if (HasComposite(dates)) {
    groups = ToComposite(std::move(filters), converted);
  } else {
    groups.push_back(std::move(filters));
  }
  (converted ? counters_.composite_success : counters_.composite_missing).fetch_add(1, std::memory_order_relaxed);
  return groups;
}

Status IndexDb::SearchGraphitePaths(const model::Tenant& tenant, const std::optional<std::vector<uint64_t>>& dates,
                                    const std::string& head, std::string_view query, size_t limit,
                                    const Deadline& deadline, std::set<std::string>& paths) const {
  const size_t wildcard = query.find_first_of("*[{");
  if (wildcard == std::string_view::npos) {
    const std::string path = head + std::string(query);
    VM_ASSIGN_OR_RETURN(const auto suffixes, SearchSuffixes(tenant, dates, "", path, '.', 1, deadline));
    if (suffixes.contains("")) paths.insert(path);
    return Ok();
  }
  const std::string prefix = head + std::string(query.substr(0, wildcard));
  VM_ASSIGN_OR_RETURN(const auto suffixes, SearchSuffixes(tenant, dates, "", prefix, '.', limit, deadline));
  if (suffixes.size() >= limit) {
    return Error(ErrorCode::kLimitExceeded, fmt::format("failed to search graphite paths in indexDB \"{}\": more than "
                                                        "maxPaths={} suffixes found",
                                                        name_, limit));
  }
  query.remove_prefix(wildcard);
  const size_t dot = query.find('.');
  const bool is_leaf = dot == std::string_view::npos;
  const std::string_view node = is_leaf ? query : query.substr(0, dot + 1);
  VM_ASSIGN_OR_RETURN(const regex::Regex regex, GraphiteNodeRegex(node));
  for (const std::string& suffix : suffixes) {
    if (paths.size() > limit) return Ok();
    if (!regex.Match(suffix)) continue;
    if (is_leaf) {
      paths.insert(prefix + suffix);
    } else {
      VM_TRY(SearchGraphitePaths(tenant, dates, prefix + suffix, query.substr(dot + 1), limit, deadline, paths));
    }
  }
  return Ok();
}

Result<std::vector<uint64_t>> IndexDb::SearchIds(const model::Tenant& tenant, const FilterGroups& groups,
                                                 const std::optional<std::vector<uint64_t>>& dates,
                                                 uint64_t max_metrics, const Deadline& deadline) const {
  (dates ? counters_.date_range_searches : counters_.global_searches).fetch_add(1, std::memory_order_relaxed);
  if (dates && dates->empty()) return Ids();
  const std::string key = CacheKey(tenant, groups, dates);
  auto [cached, seen] = id_cache_.Get(key);
  if (cached != nullptr && seen < recent_series_.generation()) {
    const auto added = recent_series_.Since(seen);
    if (!added || HasGraphite(groups)) {
      id_cache_.CountMiss();
      cached = nullptr;
    } else {
      if (auto joined = WithRecent(*cached, *added, tenant, groups, dates)) cached = std::move(joined);
      id_cache_.Put(key, added->generation, cached);
    }
  }
  if (cached == nullptr) {
    recent_series_.Want();
    const uint64_t generation = recent_series_.generation();
    const std::vector<ByteBuffer> prefixes = TagPrefixes(tenant, dates);
    Ids ids;
    for (const auto& group : groups) {
      VM_ASSIGN_OR_RETURN(const auto compiled, PrepareGroup(tenant, group, dates, max_metrics, deadline));
      for (const auto& filters : compiled) {
        for (const ByteBuffer& prefix : prefixes) {
          GroupSearch search(*this, tenant, prefix, max_metrics, deadline);
          VM_ASSIGN_OR_RETURN(Ids found, search.Run(filters));
          ids = ids.empty() ? std::move(found) : Union(ids, found);
          if (max_metrics > 0 && ids.size() > max_metrics) return TooManySeries(max_metrics);
        }
      }
    }
    cached = std::make_shared<const Ids>(std::move(ids));
    id_cache_.Put(key, generation, cached);
  } else if (dates) {
    counters_.date_range_hits.fetch_add(1, std::memory_order_relaxed);
  }
  // Deleted ids count here, as in the reference.
  if (max_metrics > 0 && cached->size() > max_metrics) return TooManySeries(max_metrics);
  Ids ids = *cached;
  const auto deleted = Deleted();
  if (!deleted->empty()) std::erase_if(ids, [&](uint64_t id) { return deleted->contains(id); });
  return ids;
}

IdCache::Ids IndexDb::WithRecent(const Ids& ids, const RecentSeries::Added& added, const model::Tenant& tenant,
                                 const FilterGroups& groups, const std::optional<std::vector<uint64_t>>& dates) const {
  std::vector<std::vector<Filter>> compiled;
  const ByteBuffer name_prefix = NamePrefix(tenant);
  Ids found;
  for (const auto& series : added.series) {
    const bool searched =
        dates ? series->date && dates->front() <= *series->date && *series->date <= dates->back() : series->global;
    if (!searched || !StartsWith(series->name, name_prefix)) continue;
    if (compiled.empty()) {
      for (const auto& group : groups) {
        compiled.push_back(CompileFilters(group));
        if (compiled.back().empty()) compiled.back().emplace_back();  // {__name__!=""}
      }
    }
    const auto name = model::MetricName::Unmarshal(series->name);
    VM_CHECK(name.ok());
    const bool matches = std::any_of(compiled.begin(), compiled.end(), [&](const std::vector<Filter>& filters) {
      return std::all_of(filters.begin(), filters.end(), [&](const Filter& f) { return f.Passes(name.value()); });
    });
    if (matches) found.push_back(series->id);
  }
  if (found.empty()) return nullptr;
  SortUnique(found);
  return std::make_shared<const Ids>(Union(ids, found));
}

std::string IndexDb::CacheKey(const model::Tenant& tenant, const FilterGroups& groups,
                              const std::optional<std::vector<uint64_t>>& dates) {
  ByteBuffer key = RecordPrefix(dates ? RecordKind::kDateTagToIds : RecordKind::kTagToIds, tenant);
  if (dates) {
    AppendBigEndian(key, dates->front());
    AppendBigEndian(key, dates->back());
  }
  for (const auto& group : groups) {
    key.push_back(kNameSeparator);
    for (const model::TagFilter& filter : group) {
      key.push_back(static_cast<uint8_t>('0' + (filter.is_negative ? 2 : 0) + (filter.is_regexp ? 1 : 0)));
      model::MarshalTagValue(key, filter.key);
      model::MarshalTagValue(key, filter.value);
    }
  }
  return std::string(AsText(key));
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

IndexStats& IndexStats::operator+=(const IndexStats& other) {
  table.items_added += other.table.items_added;
  table.too_long_items_dropped += other.table.too_long_items_dropped;
  table.memory_items += other.table.memory_items;
  table.memory_bytes += other.table.memory_bytes;
  table.memory_sets += other.table.memory_sets;
  table.file_parts += other.table.file_parts;
  table.file_blocks += other.table.file_blocks;
  table.file_items += other.table.file_items;
  table.file_bytes += other.table.file_bytes;
  table.merges += other.table.merges;
  table.items_merged += other.table.items_merged;
  table.active_merges += other.table.active_merges;
  table.lacking_space += other.table.lacking_space;
  filter_cache.entries += other.filter_cache.entries;
  filter_cache.size_bytes += other.filter_cache.size_bytes;
  filter_cache.max_bytes += other.filter_cache.max_bytes;
  filter_cache.requests += other.filter_cache.requests;
  filter_cache.misses += other.filter_cache.misses;
  filter_cache.resets += other.filter_cache.resets;
  deleted_ids += other.deleted_ids;
  date_range_searches += other.date_range_searches;
  date_range_hits += other.date_range_hits;
  global_searches += other.global_searches;
  composite_success += other.composite_success;
  composite_missing += other.composite_missing;
  missing_tsids += other.missing_tsids;
  return *this;
}

IndexStats IndexDb::Figures() const {
  IndexStats stats;
  stats.table = table_->stats();
  stats.filter_cache = id_cache_.figures();
  stats.deleted_ids = Deleted()->size();
  const auto read = [](const std::atomic<uint64_t>& counter) { return counter.load(std::memory_order_relaxed); };
  stats.date_range_searches = read(counters_.date_range_searches);
  stats.date_range_hits = read(counters_.date_range_hits);
  stats.global_searches = read(counters_.global_searches);
  stats.composite_success = read(counters_.composite_success);
  stats.composite_missing = read(counters_.composite_missing);
  stats.missing_tsids = read(counters_.missing_tsids);
  return stats;
}

}  // namespace vm::indexdb
