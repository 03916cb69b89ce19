#include "select/promql/rollup_cache.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "lib/base/still_busy.h"
#include "lib/encoding/int.h"
#include "lib/encoding/zstd.h"
#include "lib/log/log.h"
#include "select/promql/names.h"

namespace vm::select {
namespace {

using SeriesList = std::vector<TimeSeries>;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kZstdLevel = 1;
// Part of keys: another layout of what is packed gets another number.
constexpr char kVersion = 1;
constexpr size_t kMaxNameSize = 64 << 20;

// Packed: start and step of the grid (i64), points, series (u64), the names (size as varuint, then the marshalled name),
// the values, series by series (f64, as in memory).
struct PackedHead {
  int64_t start = 0;
  int64_t step = 0;
  uint64_t points_count = 0;
  uint64_t series_count = 0;
};
constexpr size_t kHeadSize = 4 * sizeof(uint64_t);
// Values at one time are kept under this, as their time is found in them.
constexpr model::TimeRange kAnyTime{0, 0};

void AppendNumber(std::string& dst, int64_t number) { dst.append(reinterpret_cast<const char*>(&number), sizeof(number)); }

std::string KeyOf(char kind, const EvalContext& c, const metricsql::Expr& expr, int64_t window) {
  std::string key;
  key += kVersion;
  key += kind;
  key += c.is_multitenant ? 'm' : 't';
  if (!c.is_multitenant) {
    AppendNumber(key, c.tenant.account_id);
    AppendNumber(key, c.tenant.project_id);
  }
  AppendNumber(key, window);
  AppendNumber(key, c.step);
  AppendNumber(key, c.lookback_delta);
  for (const auto& group : c.enforced_filters) {
    for (const auto& filter : group) {
      AppendNumber(key, static_cast<int64_t>(filter.key.size()));
      key += filter.key;
      AppendNumber(key, static_cast<int64_t>(filter.value.size()));
      key += filter.value;
      key += static_cast<char>('0' + 2 * filter.is_negative + filter.is_regexp);
    }
    key += '|';
  }
  key += metricsql::ToString(expr);
  return key;
}

size_t PackedSize(const SeriesList& list, size_t points_count) {
  size_t size = kHeadSize;
  for (const auto& s : list) size += MemoryOf(s.name) + points_count * sizeof(double);
  return size;
}

ByteBuffer Pack(const PackedHead& head, const SeriesList& list) {
  ByteBuffer bytes, name;
  bytes.reserve(PackedSize(list, head.points_count));
  for (const uint64_t number : {static_cast<uint64_t>(head.start), static_cast<uint64_t>(head.step), head.points_count, head.series_count}) {
    AppendBigEndian<uint64_t>(bytes, number);
  }
  for (const auto& s : list) {
    StillBusy();
    name.clear();
    s.name.Marshal(name);
    encoding::AppendVarUint64(bytes, name.size());
    Append(bytes, name);
  }
  for (const auto& s : list) {
    const auto* const values = reinterpret_cast<const uint8_t*>(s.values.data());
    bytes.insert(bytes.end(), values, values + head.points_count * sizeof(double));
  }
  ByteBuffer packed;
  encoding::CompressZstd(packed, bytes, kZstdLevel);
  return packed;
}

Error Broken() { return Error(ErrorCode::kCorrupted, "cannot unpack a kept rollup result"); }

Result<PackedHead> TakeHead(ByteView& src) {
  if (src.size() < kHeadSize) return Broken();
  PackedHead head;
  head.start = static_cast<int64_t>(TakeBigEndian<uint64_t>(src));
  head.step = static_cast<int64_t>(TakeBigEndian<uint64_t>(src));
  head.points_count = TakeBigEndian<uint64_t>(src);
  head.series_count = TakeBigEndian<uint64_t>(src);
  const bool is_good = head.step > 0 && head.points_count > 0 && head.points_count <= src.size() / sizeof(double) &&
                       head.series_count <= src.size() / (head.points_count * sizeof(double));
  if (!is_good) return Broken();
  return head;
}

/// Those of the values that lie on the grid from `start` to `end`; none when it does not begin on one of their points.
Result<SeriesList> UnpackPart(ByteView src, int64_t start, int64_t end) {
  SeriesList list;
  VM_ASSIGN_OR_RETURN(const PackedHead head, TakeHead(src));
  const int64_t last = head.start + head.step * static_cast<int64_t>(head.points_count - 1);
  if (start < head.start || start > last || (start - head.start) % head.step != 0) return list;
  const auto first = static_cast<size_t>((start - head.start) / head.step);
  const size_t count = static_cast<size_t>((std::min(end, last) - start) / head.step) + 1;
  list.resize(head.series_count);
  for (auto& s : list) {
    StillBusy();
    VM_ASSIGN_OR_RETURN(const uint64_t size, encoding::TakeVarUint64(src));
    if (size > src.size() || size > kMaxNameSize) return Broken();
    VM_TRY(model::MetricName::UnmarshalTo(src.first(size), s.name));
    src = src.subspan(size);
  }
  const size_t row_size = head.points_count * sizeof(double);
  if (src.size() != head.series_count * row_size) return Broken();
  for (auto& s : list) {
    s.values.resize(count);
    std::memcpy(s.values.data(), src.data() + first * sizeof(double), count * sizeof(double));
    src = src.subspan(row_size);
  }
  return list;
}

/// The bytes of what is kept; `charge` holds their memory. Errors: kCorrupted; kLimitExceeded when there is no memory.
Result<ByteBuffer> Decompress(const EvalContext& c, ByteView packed, std::shared_ptr<void>& charge) {
  const auto size = encoding::ZstdContentSize(packed);
  if (!size) return Broken();
  if (c.source != nullptr) {
    VM_ASSIGN_OR_RETURN(charge, c.source->Hold(*size));
  }
  ByteBuffer bytes(*size);
  VM_TRY(encoding::DecompressZstdTo(bytes, packed));
  return bytes;
}

std::unordered_map<std::string, TimeSeries*> ByName(SeriesList& list) {
  std::unordered_map<std::string, TimeSeries*> by_name;
  by_name.reserve(list.size());
  for (auto& s : list) by_name.emplace(NameKey(s.name), &s);
  return by_name;
}

}  // namespace

RollupCache::RollupCache(RollupCacheOptions options)
    : options_(std::move(options)),
      results_(options_.max_bytes),
      registry_(options_.registry != nullptr ? *options_.registry : own_registry_),
      requests_(registry_.GetCounter("vm_rollup_result_cache_requests_total")),
      full_hits_(registry_.GetCounter("vm_rollup_result_cache_full_hits_total")),
      partial_hits_(registry_.GetCounter("vm_rollup_result_cache_partial_hits_total")),
      misses_(registry_.GetCounter("vm_rollup_result_cache_miss_total")),
      resets_(registry_.GetCounter("vm_rollup_result_cache_resets_total")),
      too_big_(registry_.GetCounter("vm_too_big_rollup_results_total")) {
  const auto add = [this](const char* name, auto read) {
    registry_.SetGaugeCallback(std::string(name) + "{type=\"promql/rollupResult\"}",
                               [this, read] { return static_cast<double>(read(results_.stats())); });
  };
  add("vm_cache_entries", [](const ResultCache::Stats& s) { return s.entries; });
  add("vm_cache_size_bytes", [](const ResultCache::Stats& s) { return s.size_bytes; });
  add("vm_cache_size_max_bytes", [](const ResultCache::Stats& s) { return s.max_size_bytes; });
  add("vm_cache_requests_total", [](const ResultCache::Stats& s) { return s.requests; });
  add("vm_cache_misses_total", [](const ResultCache::Stats& s) { return s.misses; });
}

RollupCache::~RollupCache() {
  for (const char* name : {"vm_cache_entries", "vm_cache_size_bytes", "vm_cache_size_max_bytes", "vm_cache_requests_total", "vm_cache_misses_total"}) {
    registry_.RemoveGaugeCallback(std::string(name) + "{type=\"promql/rollupResult\"}");
  }
}

int64_t RollupCache::NowMs() const {
  if (options_.now_ms) return options_.now_ms();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string RollupCache::RangeKey(const EvalContext& context, const metricsql::Expr& expr, int64_t window) {
  return KeyOf('r', context, expr, window);
}

std::string RollupCache::InstantKey(const EvalContext& context, const metricsql::Expr& expr, int64_t window) {
  return KeyOf('i', context, expr, window);
}

Result<std::vector<TimeSeries>> RollupCache::Load(const EvalContext& c, const std::string& key, model::TimeRange range,
                                                  int64_t* at) {
  const auto packed = results_.Find(key, range);
  if (packed == nullptr) return SeriesList();
  std::shared_ptr<void> charge;
  auto bytes = Decompress(c, *packed, charge);
  Result<SeriesList> list = SeriesList();
  if (bytes.ok()) {
    ByteView rest = bytes.value();
    if (at != nullptr) {
      VM_ASSIGN_OR_RETURN(const PackedHead head, TakeHead(rest));
      *at = head.start;
      range = {head.start, head.start};
    }
    list = UnpackPart(bytes.value(), range.min_timestamp, range.max_timestamp);
  } else {
    list = std::move(bytes).error();
  }
  if (list.ok() || list.error().code() != ErrorCode::kCorrupted) return list;
  // It came from a file and its checksum was right: somebody else wrote it.
  VM_LOG_ERROR("{}", list.error().message());
  results_.Remove(key);
  return SeriesList();
}

Result<RollupCache::Front> RollupCache::Get(const EvalContext& c, const std::string& key) {
  requests_.Inc();
  Front front;
  front.next = c.start;
  VM_ASSIGN_OR_RETURN(front.series, Load(c, key, {c.start, c.end}, nullptr));
  if (!front.series.empty()) front.next += static_cast<int64_t>(front.series[0].values.size()) * c.step;
  (front.next > c.end ? full_hits_ : front.next > c.start ? partial_hits_ : misses_).Inc();
  return front;
}

void RollupCache::Put(const EvalContext& c, const std::string& key, const std::vector<TimeSeries>& series) {
  // They could not be joined with others.
  if (series.empty() || HasDuplicates(series)) return;
  const int64_t end = NowMs() - c.step - options_.timestamp_offset_ms;
  if (c.start > end) return;
  const size_t points_count = std::min(c.PointsCount(), static_cast<size_t>((end - c.start) / c.step) + 1);
  if (results_.Covers(key, {c.start, c.start + static_cast<int64_t>(points_count - 1) * c.step})) return;
  ByteBuffer packed = PackWithin(c, c.start, points_count, series);
  if (!packed.empty()) results_.Put(key, {c.start, c.start + static_cast<int64_t>(points_count - 1) * c.step}, std::move(packed));
}

ByteBuffer RollupCache::PackWithin(const EvalContext& c, int64_t start, size_t points_count, const std::vector<TimeSeries>& series) {
  const size_t size = PackedSize(series, points_count);
  if (size > options_.max_bytes / 4) {
    too_big_.Inc();
    return {};
  }
  std::shared_ptr<void> charge;
  if (c.source != nullptr) {
    auto taken = c.source->Hold(2 * size);
    if (!taken.ok()) return {};
    charge = std::move(taken).value();
  }
  return Pack({start, c.step, points_count, series.size()}, series);
}

Result<std::vector<TimeSeries>> RollupCache::GetInstant(const EvalContext& c, const std::string& key, int64_t& timestamp) {
  return Load(c, key, kAnyTime, &timestamp);
}

void RollupCache::PutInstant(const EvalContext& c, const std::string& key, int64_t timestamp, const std::vector<TimeSeries>& series) {
  if (series.empty()) return;
  ByteBuffer packed = PackWithin(c, timestamp, 1, series);
  if (packed.empty()) return;
  results_.Remove(key);
  results_.Put(key, kAnyTime, std::move(packed));
}

void RollupCache::Reset() {
  results_.Reset();
  resets_.Inc();
  VM_LOG_INFO("rollupResult cache has been cleared");
}

void RollupCache::LoadFrom(fs::FileSystem& fs, const std::string& path) {
  if (!fs.Exists(path)) return;
  VM_LOG_INFO("loading rollupResult cache from \"{}\"...", path);
  const auto from = std::chrono::steady_clock::now();
  if (const auto loaded = results_.Load(fs, path, options_.fingerprint); !loaded.ok()) {
    VM_LOG_WARN("cannot load the whole rollupResult cache: {}", loaded.error().message());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - from;
  const auto stats = results_.stats();
  VM_LOG_INFO("loaded rollupResult cache from \"{}\" in {:.3f} seconds; entriesCount: {}, sizeBytes: {}", path, took.count(), stats.entries,
              stats.size_bytes);
  if (const auto removed = fs.RemoveFile(path); !removed.ok()) {
    VM_LOG_ERROR("cannot remove the loaded rollupResult cache: {}", removed.error().message());
  }
}

void RollupCache::SaveTo(fs::FileSystem& fs, const std::string& path) const {
  if (const auto saved = results_.Save(fs, path, options_.fingerprint); !saved.ok()) {
    VM_LOG_ERROR("cannot save the rollupResult cache: {}", saved.error().message());
  }
}

bool HasDuplicates(const std::vector<TimeSeries>& series) {
  if (series.size() < 2) return false;
  std::unordered_set<std::string> names;
  names.reserve(series.size());
  for (const auto& s : series) {
    StillBusy();
    if (!names.insert(NameKey(s.name)).second) return true;
  }
  return false;
}

bool JoinFront(std::vector<TimeSeries> front, std::vector<TimeSeries>& rest, size_t front_points, size_t points_count) {
  if (HasDuplicates(rest)) return false;
  auto by_name = ByName(front);
  if (by_name.size() != front.size()) return false;
  for (auto& s : rest) {
    StillBusy();
    std::vector<double> values;
    if (const auto found = by_name.find(NameKey(s.name)); found != by_name.end()) values = std::move(found->second->values);
    values.reserve(points_count);
    values.resize(front_points, kNaN);
    values.insert(values.end(), s.values.begin(), s.values.end());
    s.values = std::move(values);
  }
  for (auto& s : front) {
    // What has been joined has no values anymore.
    if (s.values.empty()) continue;
    s.values.resize(points_count, kNaN);
    rest.push_back(std::move(s));
  }
  return true;
}

}  // namespace vm::select
