#include "insert/parse/native/native.h"

#include <fmt/format.h>

#include "lib/model/block.h"

namespace vm::insert {
namespace {

constexpr size_t kHeaderBytes = 16;

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

int64_t TakeInt64(ByteView& src) {
  const auto bits = TakeBigEndian<uint64_t>(src);
  return static_cast<int64_t>(bits >> 1) ^ -static_cast<int64_t>(bits & 1);
}

/// Adds a length and what it announces to `size`. False: not all is there.
Result<bool> SkipPart(ByteView bytes, size_t& size, std::string_view what) {
  if (bytes.size() - size < 4) return false;
  const auto length = LoadBigEndian<uint32_t>(bytes.data() + size);
  if (length > NativeReader::kMaxPartBytes) {
    return Bad(fmt::format("too big {} size; got {}; shouldn't exceed {}", what, length, NativeReader::kMaxPartBytes));
  }
  if (bytes.size() - size - 4 < length) return false;
  size += 4 + length;
  return true;
}

}  // namespace

Result<size_t> NativeReader::WholeSize(ByteView bytes, bool is_end) const {
  size_t size = 0;
  if (!has_header_) {
    if (bytes.size() < kHeaderBytes) {
      if (!is_end) return size_t{0};
      return Bad(bytes.empty() ? "cannot read time range: EOF" : "cannot read time range: unexpected EOF");
    }
    size = kHeaderBytes;
  }
  while (size < bytes.size()) {
    size_t next = size;
    VM_ASSIGN_OR_RETURN(const bool has_name, SkipPart(bytes, next, "metricName"));
    if (!has_name) {
      if (is_end) return Bad("cannot read metricName: unexpected EOF");
      break;
    }
    VM_ASSIGN_OR_RETURN(const bool has_block, SkipPart(bytes, next, "native block"));
    if (!has_block) {
      if (is_end) return Bad("cannot read native block: unexpected EOF");
      break;
    }
    size = next;
  }
  return size;
}

Result<const NativeBlock*> NativeReader::Next(ByteView& whole) {
  if (!has_header_ && !whole.empty()) {
    range_.min_timestamp = TakeInt64(whole);
    range_.max_timestamp = TakeInt64(whole);
    has_header_ = true;
  }
  if (whole.empty()) return nullptr;
  const auto name_size = TakeBigEndian<uint32_t>(whole);
  const ByteView name_bytes = whole.first(name_size);
  whole = whole.subspan(name_size);
  const auto block_size = TakeBigEndian<uint32_t>(whole);
  const ByteView block_bytes = whole.first(block_size);
  whole = whole.subspan(block_size);

  Result<model::MetricName> name = model::MetricName::UnmarshalNoTenant(name_bytes);
  if (!name.ok()) {
    return Bad(fmt::format("error when processing native block: cannot unmarshal metricName from {} bytes: {}", name_size,
                           name.error().message()));
  }
  block_.name = std::move(name).value();
  const auto fail = [&](const Error& error) {
    return Bad(fmt::format("error when processing native block: cannot unmarshal native block from {} bytes: {}", block_size,
                           error.message()));
  };
  const Result<model::EncodedBlock> encoded = model::UnmarshalPortableBlock(block_bytes);
  if (!encoded.ok()) return fail(encoded.error());
  model::DecodedBlock decoded;
  if (Status status = model::DecodeBlock(encoded.value(), decoded); !status.ok()) return fail(status.error());
  block_.timestamps.clear();
  block_.values.clear();
  model::AppendSamplesInRange(decoded, range_, block_.timestamps, block_.values);
  return &block_;
}

}  // namespace vm::insert
