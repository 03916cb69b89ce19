#include "lib/model/search_query.h"

#include <fmt/format.h>

#include "lib/encoding/int.h"

namespace vm::model {
namespace {

constexpr uint8_t kRegexpFlag = 1;
constexpr uint8_t kNegativeFlag = 2;
// key length, value length, flags
constexpr size_t kMinFilterSize = 3;

Result<TagFilter> TakeTagFilter(ByteView& src) {
  TagFilter filter;
  VM_ASSIGN_OR_RETURN(const ByteView key, encoding::TakeBytes(src));
  VM_ASSIGN_OR_RETURN(const ByteView value, encoding::TakeBytes(src));
  VM_ASSIGN_OR_RETURN(const uint8_t flags, encoding::TakeUint<uint8_t>(src));
  if (flags > (kRegexpFlag | kNegativeFlag)) {
    return Error(ErrorCode::kCorrupted, fmt::format("unknown tag filter flags {}", flags));
  }
  filter.key = AsText(key);
  filter.value = AsText(value);
  filter.is_regexp = (flags & kRegexpFlag) != 0;
  filter.is_negative = (flags & kNegativeFlag) != 0;
  return filter;
}

Result<SearchQuery> Decode(ByteView src) {
  SearchQuery query;
  VM_ASSIGN_OR_RETURN(query.tenant.account_id, encoding::TakeUint<uint32_t>(src));
  VM_ASSIGN_OR_RETURN(query.tenant.project_id, encoding::TakeUint<uint32_t>(src));
  VM_ASSIGN_OR_RETURN(query.time_range.min_timestamp, encoding::TakeVarInt64(src));
  VM_ASSIGN_OR_RETURN(query.time_range.max_timestamp, encoding::TakeVarInt64(src));
  VM_ASSIGN_OR_RETURN(const uint64_t groups, encoding::TakeVarUint64(src));
  // Each group takes at least one byte: a count beyond that is not believed.
  if (groups > src.size()) return Error(ErrorCode::kCorrupted, fmt::format("too many filter groups: {}", groups));
  for (uint64_t g = 0; g < groups; ++g) {
    VM_ASSIGN_OR_RETURN(const uint64_t filters, encoding::TakeVarUint64(src));
    if (filters > src.size() / kMinFilterSize) {
      return Error(ErrorCode::kCorrupted, fmt::format("too many filters in group #{}: {}", g, filters));
    }
    auto& group = query.tag_filter_groups.emplace_back();
    for (uint64_t f = 0; f < filters; ++f) {
      VM_ASSIGN_OR_RETURN(TagFilter filter, TakeTagFilter(src));
      group.push_back(std::move(filter));
    }
  }
  VM_ASSIGN_OR_RETURN(query.max_metrics, encoding::TakeUint<uint32_t>(src));
  if (!src.empty()) {
    return Error(ErrorCode::kCorrupted, fmt::format("{} bytes left over", src.size()));
  }
  return query;
}

}  // namespace

void MarshalSearchQuery(ByteBuffer& dst, const SearchQuery& query) {
  AppendBigEndian(dst, query.tenant.account_id);
  AppendBigEndian(dst, query.tenant.project_id);
  encoding::AppendVarInt64(dst, query.time_range.min_timestamp);
  encoding::AppendVarInt64(dst, query.time_range.max_timestamp);
  encoding::AppendVarUint64(dst, query.tag_filter_groups.size());
  for (const auto& group : query.tag_filter_groups) {
    encoding::AppendVarUint64(dst, group.size());
    for (const TagFilter& filter : group) {
      encoding::AppendBytes(dst, AsBytes(filter.key));
      encoding::AppendBytes(dst, AsBytes(filter.value));
      dst.push_back(static_cast<uint8_t>((filter.is_regexp ? kRegexpFlag : 0) |
                                         (filter.is_negative ? kNegativeFlag : 0)));
    }
  }
  AppendBigEndian(dst, query.max_metrics);
}

Result<SearchQuery> UnmarshalSearchQuery(ByteView src) {
  auto query = Decode(src);
  if (!query.ok()) return std::move(query).error().WithContext("cannot unmarshal search query");
  return query;
}

}  // namespace vm::model
