#include "storage/part/packed_headers.h"

#include <array>
#include <cstring>

#include "lib/encoding/int.h"

namespace vm::storage {
namespace {

using model::BlockHeader;

/// Which fields follow. The others are as in the header before, or as said here.
enum Field : uint8_t {
  kTenant = 1,
  kGroup = 2,
  kJob = 4,
  kInstance = 8,
  kMaxTimestamp = 16,  // Else: the first one.
  kSizes = 32,         // Else: both 0.
  kOffsets = 64,       // Else: the same timestamps, the values that follow.
  kPrecision = 128,
};

/// No header takes more: the fields of fixed size, and ten numbers.
constexpr size_t kMaxPackedSize = 2 + 8 + 8 + 4 + 4 + 1 + 10 * 10;
constexpr size_t kPackedAtOnce = 16;

class Packer {
 public:
  explicit Packer(uint8_t* at) : at_(at) {}

  template <class T>
  void Raw(T value) noexcept {
    std::memcpy(at_, &value, sizeof(T));
    at_ += sizeof(T);
  }
  void Number(uint64_t u) noexcept {
    for (; u >= 0x80; u >>= 7) *at_++ = static_cast<uint8_t>(u) | 0x80;
    *at_++ = static_cast<uint8_t>(u);
  }
  /// `to` - `from`, which may be negative.
  void Step(uint64_t from, uint64_t to) noexcept { Number(encoding::ZigZag64(static_cast<int64_t>(to - from))); }
  uint8_t* at() const noexcept { return at_; }

 private:
  uint8_t* at_;
};

/// Past the end it gives zeros, and ok() is false.
class Unpacker {
 public:
  explicit Unpacker(ByteView src) : at_(src.data()), end_(src.data() + src.size()) {}

  template <class T>
  void Raw(T& value) noexcept {
    if (static_cast<size_t>(end_ - at_) < sizeof(T)) return Fail();
    std::memcpy(&value, at_, sizeof(T));
    at_ += sizeof(T);
  }
  uint64_t Number() noexcept {
    uint64_t u = 0;
    for (unsigned shift = 0; at_ != end_ && shift < 64; shift += 7) {
      const uint64_t byte = *at_++;
      u |= (byte & 0x7F) << shift;
      if (byte < 0x80) return u;
    }
    Fail();
    return 0;
  }
  uint64_t Step(uint64_t from) noexcept { return from + static_cast<uint64_t>(encoding::UnZigZag64(Number())); }
  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return at_ == end_; }

 private:
  void Fail() noexcept {
    ok_ = false;
    at_ = end_;
  }

  const uint8_t* at_;
  const uint8_t* const end_;
  bool ok_ = true;
};

uint64_t NumberOf(model::MetricId id) { return static_cast<uint64_t>(id); }

}  // namespace

void PackBlockHeaders(ByteBuffer& dst, std::span<const BlockHeader> headers) {
  std::array<uint8_t, kPackedAtOnce * kMaxPackedSize> bytes;
  Packer out(bytes.data());
  const BlockHeader first;
  const BlockHeader* before = &first;
  for (size_t i = 0; i < headers.size(); ++i) {
    if (i % kPackedAtOnce == 0) {
      Append(dst, ByteView(bytes.data(), out.at()));
      out = Packer(bytes.data());
    }
    const BlockHeader& h = headers[i];
    const bool follows = h.timestamps_offset == before->timestamps_offset &&
                         h.values_offset == before->values_offset + before->values_size;
    const bool same_tenant =
        h.tsid.account_id == before->tsid.account_id && h.tsid.project_id == before->tsid.project_id;
    const auto fields = static_cast<uint8_t>((same_tenant ? 0 : kTenant) |
                                             (h.tsid.metric_group_id == before->tsid.metric_group_id ? 0 : kGroup) |
                                             (h.tsid.job_id == before->tsid.job_id ? 0 : kJob) |
                                             (h.tsid.instance_id == before->tsid.instance_id ? 0 : kInstance) |
                                             (h.max_timestamp == h.min_timestamp ? 0 : kMaxTimestamp) |
                                             (h.timestamps_size + h.values_size == 0 ? 0 : kSizes) |
                                             (follows ? 0 : kOffsets) |
                                             (h.precision_bits == before->precision_bits ? 0 : kPrecision));
    out.Raw(fields);
    out.Raw(static_cast<uint8_t>(static_cast<uint8_t>(h.timestamps_type) | static_cast<uint8_t>(h.values_type) << 4));
    if (fields & kTenant) {
      out.Raw(h.tsid.account_id);
      out.Raw(h.tsid.project_id);
    }
    if (fields & kGroup) out.Raw(h.tsid.metric_group_id);
    if (fields & kJob) out.Raw(h.tsid.job_id);
    if (fields & kInstance) out.Raw(h.tsid.instance_id);
    if (fields & kPrecision) out.Raw(h.precision_bits);
    out.Step(NumberOf(before->tsid.metric_id), NumberOf(h.tsid.metric_id));
    out.Step(static_cast<uint64_t>(before->min_timestamp), static_cast<uint64_t>(h.min_timestamp));
    if (fields & kMaxTimestamp) {
      out.Step(static_cast<uint64_t>(h.min_timestamp), static_cast<uint64_t>(h.max_timestamp));
    }
    out.Step(0, static_cast<uint64_t>(h.first_value));
    if (fields & kSizes) {
      out.Number(h.timestamps_size);
      out.Number(h.values_size);
    }
    if (fields & kOffsets) {
      out.Step(before->timestamps_offset, h.timestamps_offset);
      out.Step(before->values_offset, h.values_offset);
    }
    out.Number(h.rows_count);
    out.Step(0, static_cast<uint64_t>(int64_t{h.scale}));
    before = &h;
  }
  Append(dst, ByteView(bytes.data(), out.at()));
}

Status UnpackBlockHeaders(ByteView src, size_t count, std::vector<BlockHeader>& headers) {
  headers.resize(count);
  Unpacker in(src);
  const BlockHeader first;
  const BlockHeader* before = &first;
  for (BlockHeader& h : headers) {
    uint8_t fields = 0, types = 0;
    in.Raw(fields);
    in.Raw(types);
    h.timestamps_type = static_cast<encoding::MarshalType>(types & 0xF);
    h.values_type = static_cast<encoding::MarshalType>(types >> 4);
    h.tsid = before->tsid;
    if (fields & kTenant) {
      in.Raw(h.tsid.account_id);
      in.Raw(h.tsid.project_id);
    }
    if (fields & kGroup) in.Raw(h.tsid.metric_group_id);
    if (fields & kJob) in.Raw(h.tsid.job_id);
    if (fields & kInstance) in.Raw(h.tsid.instance_id);
    h.precision_bits = before->precision_bits;
    if (fields & kPrecision) in.Raw(h.precision_bits);
    h.tsid.metric_id = model::MetricId{in.Step(NumberOf(before->tsid.metric_id))};
    h.min_timestamp = static_cast<int64_t>(in.Step(static_cast<uint64_t>(before->min_timestamp)));
    h.max_timestamp = h.min_timestamp;
    if (fields & kMaxTimestamp) h.max_timestamp = static_cast<int64_t>(in.Step(static_cast<uint64_t>(h.min_timestamp)));
    h.first_value = static_cast<int64_t>(in.Step(0));
    h.timestamps_size = h.values_size = 0;
    if (fields & kSizes) {
      h.timestamps_size = static_cast<uint32_t>(in.Number());
      h.values_size = static_cast<uint32_t>(in.Number());
    }
    h.timestamps_offset = before->timestamps_offset;
    h.values_offset = before->values_offset + before->values_size;
    if (fields & kOffsets) {
      h.timestamps_offset = in.Step(before->timestamps_offset);
      h.values_offset = in.Step(before->values_offset);
    }
    h.rows_count = static_cast<uint32_t>(in.Number());
    h.scale = static_cast<int16_t>(in.Step(0));
    if (!in.ok()) break;
    VM_TRY(model::CheckBlockHeader(h));
    before = &h;
  }
  if (!in.ok() || !in.at_end()) return Error(ErrorCode::kCorrupted, "packed block headers do not end where they should");
  return Ok();
}

}  // namespace vm::storage
