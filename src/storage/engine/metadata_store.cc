#include "storage/engine/metadata_store.h"

#include <algorithm>
#include <tuple>

namespace vm::storage {
namespace {

constexpr int64_t kLifetimeMs = 3600 * 1000;
constexpr int64_t kExpiryIntervalMs = 60 * 1000;

}  // namespace

void MetadataStore::Add(std::span<const model::MetadataRow> rows, int64_t now_ms) {
  MutexLock lock(mutex_);
  ExpireLocked(now_ms);
  for (const model::MetadataRow& row : rows) {
    Key key(row.name, row.tenant);
    auto it = entries_.find(key);
    if (it == entries_.end()) {
      if (entries_.size() >= max_entries_) {
        auto oldest = std::min_element(entries_.begin(), entries_.end(), [](auto& a, auto& b) {
          return a.second.written_ms < b.second.written_ms;
        });
        if (oldest != entries_.end()) entries_.erase(oldest);
      }
      entries_.emplace(std::move(key), Entry{row, now_ms});
    } else {
      it->second = Entry{row, now_ms};
    }
  }
}

void MetadataStore::ExpireLocked(int64_t now_ms) {
  if (now_ms - last_expiry_ms_ < kExpiryIntervalMs) return;
  last_expiry_ms_ = now_ms;
  std::erase_if(entries_, [&](const auto& e) { return now_ms - e.second.written_ms > kLifetimeMs; });
}

std::vector<model::MetadataRow> MetadataStore::Search(const model::Tenant* tenant, size_t limit,
                                                      std::string_view metric_name,
                                                      int64_t now_ms) {
  std::vector<Entry> found;
  {
    MutexLock lock(mutex_);
    for (const auto& [key, entry] : entries_) {
      if (tenant != nullptr && entry.row.tenant != *tenant) continue;
      if (!metric_name.empty() && entry.row.name != metric_name) continue;
      if (now_ms - entry.written_ms > kLifetimeMs) continue;
      found.push_back(entry);
    }
  }
  std::sort(found.begin(), found.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.written_ms, a.row.name, a.row.tenant) <
           std::tie(b.written_ms, b.row.name, b.row.tenant);
  });
  if (limit > 0 && found.size() > limit) found.resize(limit);
  std::vector<model::MetadataRow> rows;
  rows.reserve(found.size());
  for (Entry& entry : found) rows.push_back(std::move(entry.row));
  return rows;
}

size_t MetadataStore::entries() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

uint64_t MetadataStore::size_bytes() const {
  MutexLock lock(mutex_);
  uint64_t bytes = 0;
  for (const auto& [key, entry] : entries_) {
    bytes += sizeof(Key) + sizeof(Entry) + 2 * key.first.size() + entry.row.help.size() + entry.row.unit.size();
  }
  return bytes;
}

}  // namespace vm::storage
