#include "storage/indexdb/records.h"

#include <algorithm>
#include <optional>

#include "lib/encoding/int.h"

namespace vm::indexdb {
namespace {

constexpr size_t kMaxIdsPerRow = 64;
constexpr size_t kTenantSize = 8;
constexpr size_t kDateSize = 8;
constexpr uint8_t kTagSeparator = 1;

/// Size of prefix, key and value of a tag row, or nothing when it is broken.
std::optional<size_t> TagRowHeadSize(ByteView item, RecordKind kind) {
  size_t at = 1 + kTenantSize + (kind == RecordKind::kDateTagToIds ? kDateSize : 0);
  if (item.size() < at) return std::nullopt;
  for (int i = 0; i < 2; ++i) {
    while (at < item.size() && item[at] != kTagSeparator) ++at;
    if (at == item.size()) return std::nullopt;
    ++at;
  }
  const size_t ids_size = item.size() - at;
  if (ids_size == 0 || ids_size % 8 != 0) return std::nullopt;
  return at;
}

void MergeRowsOfKind(mergeset::ItemBlock& block, RecordKind kind) {
  const auto is_kind = [kind](ByteView item) { return !item.empty() && item[0] == static_cast<uint8_t>(kind); };
  if (block.size() <= 2) return;
  bool found = false;
  for (size_t i = 0; i < block.size() && !found; ++i) found = is_kind(block.Item(i));
  if (!found) return;

  mergeset::ItemBlock merged;
  ByteBuffer pending_head;
  std::vector<uint64_t> pending;
  const auto flush = [&] {
    if (pending.empty()) return;
    std::sort(pending.begin(), pending.end());
    pending.erase(std::unique(pending.begin(), pending.end()), pending.end());
    ByteBuffer ids;
    for (const uint64_t id : pending) AppendBigEndian(ids, id);
    merged.Add(pending_head, ids);
    pending.clear();
  };
  for (size_t i = 0; i < block.size(); ++i) {
    const ByteView item = block.Item(i);
    const std::optional<size_t> head_size =
        i == 0 || i + 1 == block.size() || !is_kind(item) ? std::nullopt : TagRowHeadSize(item, kind);
    if (!head_size || (item.size() - *head_size) / 8 >= kMaxIdsPerRow) {
      flush();
      merged.Add(item);
      continue;
    }
    const ByteView head = item.subspan(0, *head_size);
    if (!Equal(head, pending_head)) {
      flush();
      pending_head.assign(head.begin(), head.end());
    }
    for (ByteView ids = item.subspan(*head_size); !ids.empty();) pending.push_back(TakeBigEndian<uint64_t>(ids));
    if (pending.size() >= kMaxIdsPerRow) flush();
  }
  flush();
  if (merged.IsSorted()) block = std::move(merged);
}

}  // namespace

ByteBuffer RecordPrefix(RecordKind kind, const model::Tenant& tenant) {
  ByteBuffer prefix;
  prefix.reserve(32);  // Callers append an id or a date.
  prefix.push_back(static_cast<uint8_t>(kind));
  AppendBigEndian(prefix, tenant.account_id);
  AppendBigEndian(prefix, tenant.project_id);
  return prefix;
}

ByteBuffer DatePrefix(RecordKind kind, const model::Tenant& tenant, uint64_t date) {
  ByteBuffer prefix = RecordPrefix(kind, tenant);
  AppendBigEndian(prefix, date);
  return prefix;
}

void AppendTagKeys(mergeset::ItemRun& tails, const model::MetricName& name) {
  ByteBuffer tail;
  const auto add = [&](std::string_view key, std::string_view value) {
    tail.clear();
    model::MarshalTagValue(tail, key);
    model::MarshalTagValue(tail, value);
    tails.Add(tail);
  };
  add("", name.metric_group);
  if (name.metric_group.find('.') != std::string::npos) {
    add(std::string_view(&kReverseNameKey, 1), std::string(name.metric_group.rbegin(), name.metric_group.rend()));
  }
  ByteBuffer composite{static_cast<uint8_t>(kCompositeKey)};
  encoding::AppendVarUint64(composite, name.metric_group.size());
  Append(composite, name.metric_group);
  const size_t composite_size = composite.size();
  for (const model::Tag& tag : name.tags) {
    add(tag.key, tag.value);
    composite.resize(composite_size);
    Append(composite, tag.key);
    add(AsText(composite), tag.value);
  }
}

ByteView LookupKeyOf(ByteView item) {
  if (item.size() <= model::kTsidSize) return {};
  const auto kind = static_cast<RecordKind>(item[0]);
  if (kind != RecordKind::kDateNameToTsid && kind != RecordKind::kNameToTsid) return {};
  return item.first(item.size() - model::kTsidSize);
}

Status UnmarshalTagRow(ByteView tail, TagRow& row) {
  row.key.clear();
  row.value.clear();
  VM_TRY(model::UnmarshalTagValue(tail, row.key));
  VM_TRY(model::UnmarshalTagValue(tail, row.value));
  if (tail.empty() || tail.size() % 8 != 0) {
    return Error(ErrorCode::kCorrupted, "the ids of a tag row do not make up whole numbers");
  }
  row.ids = tail;
  return Ok();
}

void MergeTagRows(mergeset::ItemBlock& block) {
  MergeRowsOfKind(block, RecordKind::kTagToIds);
  MergeRowsOfKind(block, RecordKind::kDateTagToIds);
}

}  // namespace vm::indexdb
