#include "storage/part/part_header.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace vm::storage {
namespace {

template <class T>
Status TakeField(const nlohmann::json& json, const char* name, T& dst) {
  const auto it = json.find(name);
  if (it == json.end()) return Ok();
  if (!it->is_number_integer()) {
    return Error(ErrorCode::kCorrupted, fmt::format("{} must be an integer", name));
  }
  dst = it->get<T>();
  return Ok();
}

Status Check(const PartHeader& h) {
  if (h.min_timestamp > h.max_timestamp) {
    return Error(ErrorCode::kCorrupted, fmt::format("minTimestamp cannot exceed maxTimestamp; got {} vs {}",
                                                    h.min_timestamp, h.max_timestamp));
  }
  if (h.rows_count == 0) return Error(ErrorCode::kCorrupted, "rowsCount must be greater than 0");
  if (h.blocks_count == 0) return Error(ErrorCode::kCorrupted, "blocksCount must be greater than 0");
  if (h.blocks_count > h.rows_count) {
    return Error(ErrorCode::kCorrupted, fmt::format("blocksCount cannot exceed rowsCount; got {} vs {}",
                                                    h.blocks_count, h.rows_count));
  }
  return Ok();
}

}  // namespace

std::string FormatPartHeader(const PartHeader& h) {
  return fmt::format(
      R"({{"RowsCount":{},"BlocksCount":{},"MinTimestamp":{},"MaxTimestamp":{},"MinDedupInterval":{}}})",
      h.rows_count, h.blocks_count, h.min_timestamp, h.max_timestamp, h.min_dedup_interval);
}

Result<PartHeader> ParsePartHeader(std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Error(ErrorCode::kCorrupted, "cannot parse metadata of a part: no JSON object");
  PartHeader h;
  VM_TRY(TakeField(json, "RowsCount", h.rows_count));
  VM_TRY(TakeField(json, "BlocksCount", h.blocks_count));
  VM_TRY(TakeField(json, "MinTimestamp", h.min_timestamp));
  VM_TRY(TakeField(json, "MaxTimestamp", h.max_timestamp));
  VM_TRY(TakeField(json, "MinDedupInterval", h.min_dedup_interval));
  VM_TRY(Check(h));
  return h;
}

}  // namespace vm::storage
