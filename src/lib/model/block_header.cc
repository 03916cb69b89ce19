#include "lib/model/block_header.h"

#include <fmt/format.h>

#include "lib/encoding/int.h"

namespace vm::model {
namespace {

// Type 0 is let through here, as by the reference; decoding refuses it.
constexpr uint8_t kMaxMarshalType = 6;

}  // namespace

Status CheckBlockHeader(const BlockHeader& h) {
  // The reference accepts twice the nominal size, so a reader must as well.
  if (h.rows_count == 0 || h.rows_count > 2 * kMaxRowsPerBlock) {
    return Error(ErrorCode::kCorrupted, fmt::format("rows_count must be in [1, {}]; got {}",
                                                    2 * kMaxRowsPerBlock, h.rows_count));
  }
  if (h.timestamps_size > kMaxBlockDataSize || h.values_size > kMaxBlockDataSize) {
    return Error(ErrorCode::kCorrupted,
                 fmt::format("block data must not exceed {} bytes; got {} and {}", kMaxBlockDataSize,
                             h.timestamps_size, h.values_size));
  }
  const auto timestamps_type = static_cast<uint8_t>(h.timestamps_type);
  const auto values_type = static_cast<uint8_t>(h.values_type);
  if (timestamps_type > kMaxMarshalType || values_type > kMaxMarshalType) {
    return Error(ErrorCode::kCorrupted, fmt::format("marshal types must be in [0, {}]; got {} and {}",
                                                    kMaxMarshalType, timestamps_type, values_type));
  }
  if (h.precision_bits == 0 || h.precision_bits > 64) {
    return Error(ErrorCode::kCorrupted,
                 fmt::format("precision_bits must be in [1, 64]; got {}", h.precision_bits));
  }
  return Ok();
}

void MarshalBlockHeader(ByteBuffer& dst, const BlockHeader& h) {
  MarshalTsid(dst, h.tsid);
  uint8_t bytes[kBlockHeaderSize - kTsidSize];
  uint8_t* at = bytes;
  at = StoreBigEndian(at, encoding::ZigZag64(h.min_timestamp));
  at = StoreBigEndian(at, encoding::ZigZag64(h.max_timestamp));
  at = StoreBigEndian(at, encoding::ZigZag64(h.first_value));
  at = StoreBigEndian(at, h.timestamps_offset);
  at = StoreBigEndian(at, h.values_offset);
  at = StoreBigEndian(at, h.timestamps_size);
  at = StoreBigEndian(at, h.values_size);
  at = StoreBigEndian(at, h.rows_count);
  at = StoreBigEndian(at, encoding::ZigZag16(h.scale));
  *at++ = static_cast<uint8_t>(h.timestamps_type);
  *at++ = static_cast<uint8_t>(h.values_type);
  *at++ = h.precision_bits;
  VM_DCHECK(at == bytes + sizeof(bytes));
  Append(dst, ByteView(bytes));
}

Result<BlockHeader> UnmarshalBlockHeader(ByteView& src) {
  if (src.size() < kBlockHeaderSize) {
    return Error(ErrorCode::kCorrupted, fmt::format("cannot unmarshal block header: got {} bytes; want {}",
                                                    src.size(), kBlockHeaderSize));
  }
  BlockHeader h;
  ByteView tsid = src;
  VM_ASSIGN_OR_RETURN(h.tsid, UnmarshalTsid(tsid));
  // One check of the size is enough for all: a search reads hundreds of headers for a block it wants.
  const uint8_t* const at = src.data() + kTsidSize;
  h.min_timestamp = encoding::UnZigZag64(LoadBigEndian<uint64_t>(at));
  h.max_timestamp = encoding::UnZigZag64(LoadBigEndian<uint64_t>(at + 8));
  h.first_value = encoding::UnZigZag64(LoadBigEndian<uint64_t>(at + 16));
  h.timestamps_offset = LoadBigEndian<uint64_t>(at + 24);
  h.values_offset = LoadBigEndian<uint64_t>(at + 32);
  h.timestamps_size = LoadBigEndian<uint32_t>(at + 40);
  h.values_size = LoadBigEndian<uint32_t>(at + 44);
  h.rows_count = LoadBigEndian<uint32_t>(at + 48);
  h.scale = encoding::UnZigZag16(LoadBigEndian<uint16_t>(at + 52));
  h.timestamps_type = static_cast<encoding::MarshalType>(at[54]);
  h.values_type = static_cast<encoding::MarshalType>(at[55]);
  h.precision_bits = at[56];
  static_assert(kTsidSize + 57 == kBlockHeaderSize);
  if (Status s = CheckBlockHeader(h); !s.ok()) {
    return std::move(s).error().WithContext("cannot unmarshal block header");
  }
  src = src.subspan(kBlockHeaderSize);  // Only when the whole header is good.
  return h;
}

}  // namespace vm::model
