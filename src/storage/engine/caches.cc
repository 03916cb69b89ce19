#include <chrono>

#include <fmt/format.h>

#include "lib/encoding/int.h"
#include "lib/log/log.h"
#include "storage/engine/cache_file.h"
#include "storage/engine/directory.h"
#include "storage/engine/engine_impl.h"
#include "storage/engine/time_limits.h"

// What a clean stop leaves in <path>/cache so that the next start is warm.
namespace vm::storage {
namespace {

constexpr std::string_view kSeriesMagic = "vm series cache 1\n";
constexpr std::string_view kNameUsageMagic = "vm name usage 1\n";
/// Kinds of records of the series cache.
constexpr uint8_t kSeedRecord = 0;
constexpr uint8_t kTsidRecord = 1;
constexpr uint8_t kDayRecord = 2;

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Status EngineImpl::SaveSeriesCache() {
  VM_ASSIGN_OR_RETURN(const uint64_t digest, DigestOfParts(file_system_, options_.path + "/data"));
  const std::string path = fs::Join(options_.path + "/cache", kSeriesCacheFile);
  VM_ASSIGN_OR_RETURN(const auto writer, CacheFileWriter::Create(file_system_, path, kSeriesMagic, digest));
  ByteBuffer record{kSeedRecord};
  AppendBigEndian(record, tsids_.seed());
  VM_TRY(writer->Append(record));
  Status status = Ok();
  tsids_.ForEach([&](const containers::Key128& key, const KnownSeries& series) {
    if (!status.ok()) return;
    record = {kTsidRecord};
    AppendBigEndian(record, key.low);
    AppendBigEndian(record, key.high);
    model::MarshalTsid(record, series.tsid);
    status = writer->Append(record);
  });
  // The days that go on being written.
  const uint64_t today = DateOf(options_.now_ms());
  for (const uint64_t date : {today, today + 1}) {
    registered_.ForEach(date, [&](uint64_t id) {
      if (!status.ok()) return;
      record = {kDayRecord};
      AppendBigEndian(record, date);
      AppendBigEndian(record, id);
      status = writer->Append(record);
    });
  }
  VM_TRY(std::move(status));
  return writer->Finish();
}

Status EngineImpl::LoadSeriesCache(uint64_t digest) {
  const std::string path = fs::Join(options_.path + "/cache", kSeriesCacheFile);
  VM_ASSIGN_OR_RETURN(const auto reader, CacheFileReader::Open(file_system_, path, kSeriesMagic, digest));
  if (reader == nullptr) return Ok();
  for (;;) {
    VM_ASSIGN_OR_RETURN(ByteView records, reader->NextBlock());
    if (records.empty()) return Ok();
    while (!records.empty()) {
      VM_ASSIGN_OR_RETURN(const uint8_t kind, encoding::TakeUint<uint8_t>(records));
      VM_ASSIGN_OR_RETURN(const uint64_t first, encoding::TakeUint<uint64_t>(records));
      if (kind == kSeedRecord) {
        tsids_.SetSeed(first);
        continue;
      }
      VM_ASSIGN_OR_RETURN(const uint64_t second, encoding::TakeUint<uint64_t>(records));
      if (kind == kTsidRecord) {
        VM_ASSIGN_OR_RETURN(const model::Tsid tsid, model::UnmarshalTsid(records));
        tsids_.Put(containers::Key128{first, second}, KnownSeries{tsid});
      } else {
        registered_.Add(first, second);
      }
    }
  }
}

Status EngineImpl::SaveNameUsage() {
  const std::string path = fs::Join(options_.path + "/cache", kNameUsageFile);
  VM_ASSIGN_OR_RETURN(const auto writer, CacheFileWriter::Create(file_system_, path, kNameUsageMagic, 0));
  VM_TRY(name_usage_.ForEachRecord([&](ByteView record) { return writer->Append(record); }));
  return writer->Finish();
}

Status EngineImpl::LoadNameUsage() {
  const std::string path = fs::Join(options_.path + "/cache", kNameUsageFile);
  VM_ASSIGN_OR_RETURN(const auto reader, CacheFileReader::Open(file_system_, path, kNameUsageMagic, 0));
  if (reader == nullptr) return Ok();
  for (;;) {
    VM_ASSIGN_OR_RETURN(ByteView records, reader->NextBlock());
    if (records.empty()) return Ok();
    while (!records.empty()) VM_TRY(name_usage_.AddRecord(records));
  }
}

void EngineImpl::LoadCaches(uint64_t digest) {
  const auto start = std::chrono::steady_clock::now();
  if (Status status = LoadSeriesCache(digest); !status.ok()) {
    VM_LOG_WARN("cannot load {}, which is left: {}", kSeriesCacheFile, status.error().message());
    tsids_.Clear();
    registered_.Clear();
  }
  if (options_.track_metric_names_stats) {
    if (Status status = LoadNameUsage(); !status.ok()) {
      VM_LOG_WARN("cannot load {}, which is left: {}", kNameUsageFile, status.error().message());
      name_usage_.Reset(options_.now_ms());
    }
    // Names become known when their series miss the cache.
    if (name_usage_.entries() == 0 && tsids_.entries() > 0) {
      VM_LOG_INFO("resetting tsidCache in order to properly track metric name usage stats");
      tsids_.Clear();
    }
  }
  VM_LOG_INFO("loaded {} series and {} days of series from {} in {:.3f} seconds", tsids_.entries(),
              registered_.entries(), kSeriesCacheFile, SecondsSince(start));
}

void EngineImpl::SaveCaches() {
  const auto start = std::chrono::steady_clock::now();
  if (Status status = SaveSeriesCache(); !status.ok()) {
    VM_LOG_ERROR("cannot save {}: {}", kSeriesCacheFile, status.error().message());
  }
  if (options_.track_metric_names_stats) {
    if (Status status = SaveNameUsage(); !status.ok()) {
      VM_LOG_ERROR("cannot save {}: {}", kNameUsageFile, status.error().message());
    }
  }
  VM_LOG_INFO("saved {} series to {} in {:.3f} seconds", tsids_.entries(), kSeriesCacheFile, SecondsSince(start));
}

}  // namespace vm::storage
