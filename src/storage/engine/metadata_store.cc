#include "storage/engine/metadata_store.h"

#include <algorithm>
#include <tuple>

namespace vm::storage {
namespace {

constexpr int64_t kLifetimeMs = 3600 * 1000;
/// What an entry costs beside its texts: list and map nodes.
constexpr uint64_t kEntryOverhead = 256;

}  // namespace

uint64_t MetadataStore::SizeOf(const model::MetadataRow& row) {
  return 2 * row.name.size() + row.help.size() + row.unit.size() + kEntryOverhead;
}

void MetadataStore::DropOldestLocked() {
  const Entry& oldest = entries_.front();
  bytes_ -= SizeOf(oldest.row);
  by_key_.erase({oldest.row.name, oldest.row.tenant});
  entries_.pop_front();
}

void MetadataStore::Add(std::span<const model::MetadataRow> rows, int64_t now_ms) {
  MutexLock lock(mutex_);
  for (const model::MetadataRow& row : rows) {
    const auto [it, is_new] = by_key_.try_emplace(Key(row.name, row.tenant), entries_.end());
    if (is_new) {
      it->second = entries_.insert(entries_.end(), Entry{row, now_ms});
    } else {
      bytes_ -= SizeOf(it->second->row);
      *it->second = Entry{row, now_ms};
      entries_.splice(entries_.end(), entries_, it->second);
    }
    bytes_ += SizeOf(row);
  }
  while (!entries_.empty() && (bytes_ > max_bytes_ || now_ms - entries_.front().written_ms > kLifetimeMs)) {
    DropOldestLocked();
  }
}

std::vector<model::MetadataRow> MetadataStore::Search(const model::Tenant* tenant, size_t limit,
                                                      std::string_view metric_name, int64_t now_ms) {
  std::vector<Entry> found;
  {
    MutexLock lock(mutex_);
    while (!entries_.empty() && now_ms - entries_.front().written_ms > kLifetimeMs) DropOldestLocked();
    for (const Entry& entry : entries_) {
      if (tenant != nullptr && entry.row.tenant != *tenant) continue;
      if (!metric_name.empty() && entry.row.name != metric_name) continue;
      found.push_back(entry);
    }
  }
  std::sort(found.begin(), found.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.written_ms, a.row.name, a.row.tenant) < std::tie(b.written_ms, b.row.name, b.row.tenant);
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
  return bytes_;
}

}  // namespace vm::storage
