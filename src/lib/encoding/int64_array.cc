#include "lib/encoding/int64_array.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "lib/encoding/int.h"
#include "lib/encoding/zstd.h"

namespace vm::encoding {
namespace {

// Smaller arrays are not worth a zstd frame; fixed by the reference.
constexpr size_t kMinCompressedSize = 128;
constexpr double kMaxCompressRatio = 0.9;
// A decoded array of 16384 varints of 10 bytes stays below this.
constexpr size_t kMaxDecompressedSize = 1 << 20;

int64_t WrapSub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
int64_t WrapAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

// Significant bits of |v|; |INT64_MIN| is taken as 2^63.
uint8_t SignificantBits(int64_t v) {
  const uint64_t magnitude = v < 0 ? 0 - static_cast<uint64_t>(v) : static_cast<uint64_t>(v);
  return static_cast<uint8_t>(std::bit_width(magnitude));
}

int CompressLevel(size_t count) {
  if (count <= 64) return 1;
  if (count <= 256) return 2;
  if (count <= 1024) return 3;
  if (count <= 4096) return 4;
  return 5;
}

Error Corrupted(std::string text) {
  return Error(ErrorCode::kCorrupted, "cannot unmarshal int64 array: " + text);
}

/// Reads the varints of an array. An error ends it: TakeVarInt64 at rest() says which.
class VarIntReader {
 public:
  explicit VarIntReader(ByteView src) : at_(src.data()), end_(src.data() + src.size()) {}

  bool Next(int64_t& v) noexcept {
    // Most deltas take one or two bytes.
    if (end_ - at_ >= 2) {
      uint64_t u = at_[0];
      if (u < 0x80) {
        at_ += 1;
        v = UnZigZag64(u);
        return true;
      }
      if (at_[1] < 0x80) {
        u = (u & 0x7F) | static_cast<uint64_t>(at_[1]) << 7;
        at_ += 2;
        v = UnZigZag64(u);
        return true;
      }
    }
    return NextLong(v);
  }
  /// The next eight, if each takes one byte; else nothing is taken. `use(v)` is called for each.
  template <class Use>
  bool NextEightShort(Use&& use) noexcept {
    if (end_ - at_ < 8) return false;
    uint64_t bytes = 0;
    std::memcpy(&bytes, at_, 8);
    if ((bytes & 0x8080808080808080u) != 0) return false;
    for (size_t i = 0; i < 8; ++i) use(UnZigZag64(at_[i]));
    at_ += 8;
    return true;
  }
  ByteView rest() const noexcept { return {at_, static_cast<size_t>(end_ - at_)}; }

 private:
  bool NextLong(int64_t& v) noexcept {
    uint64_t u = 0;
    const auto size = static_cast<size_t>(end_ - at_);
    for (size_t i = 0; i < size && i < 10; ++i) {
      const uint64_t byte = at_[i];
      if (i == 9 && byte > 1) return false;
      u |= (byte & 0x7F) << (7 * i);
      if (byte < 0x80) {
        at_ += i + 1;
        v = UnZigZag64(u);
        return true;
      }
    }
    return false;
  }

  const uint8_t* at_;
  const uint8_t* end_;
};

Error BadVarInt(const VarIntReader& reader) {
  ByteView rest = reader.rest();
  auto taken = TakeVarInt64(rest);
  return taken.ok() ? Corrupted("bad varint") : std::move(taken).error();
}

Status UnmarshalNearestDelta(std::vector<int64_t>& dst, ByteView src, int64_t first, size_t count) {
  // A delta takes a byte at least: reading ends before the memory does.
  const size_t at = dst.size();
  dst.resize(at + std::min(count, src.size() + 1));
  int64_t* const out = dst.data() + at;
  out[0] = first;
  int64_t v = first;
  VarIntReader reader(src);
  const auto add = [&](int64_t d, size_t i) {
    v = WrapAdd(v, d);
    out[i] = v;
  };
  for (size_t i = 1; i < count;) {
    size_t at_short = i;
    if (count - i >= 8 && reader.NextEightShort([&](int64_t d) { add(d, at_short++); })) {
      i += 8;
      continue;
    }
    for (const size_t end = std::min(count, i + 8); i < end; ++i) {
      int64_t d = 0;
      if (!reader.Next(d)) return BadVarInt(reader);
      add(d, i);
    }
  }
  if (const size_t left = reader.rest().size(); left > 0) {
    return Corrupted(std::to_string(left) + " bytes left after the last delta");
  }
  return Ok();
}

Status UnmarshalNearestDelta2(std::vector<int64_t>& dst, ByteView src, int64_t first, size_t count) {
  if (count < 2) return Corrupted("delta2 needs at least two items; got " + std::to_string(count));
  VarIntReader reader(src);
  int64_t d1 = 0;
  if (!reader.Next(d1)) return BadVarInt(reader);
  const size_t at = dst.size();
  dst.resize(at + std::min(count, src.size() + 1));
  int64_t* const out = dst.data() + at;
  int64_t v = WrapAdd(first, d1);
  out[0] = first;
  out[1] = v;
  const auto add = [&](int64_t d2, size_t i) {
    d1 = WrapAdd(d1, d2);
    v = WrapAdd(v, d1);
    out[i] = v;
  };
  for (size_t i = 2; i < count;) {
    size_t at_short = i;
    if (count - i >= 8 && reader.NextEightShort([&](int64_t d) { add(d, at_short++); })) {
      i += 8;
      continue;
    }
    for (const size_t end = std::min(count, i + 8); i < end; ++i) {
      int64_t d2 = 0;
      if (!reader.Next(d2)) return BadVarInt(reader);
      add(d2, i);
    }
  }
  if (const size_t left = reader.rest().size(); left > 0) {
    return Corrupted(std::to_string(left) + " bytes left after the last delta");
  }
  return Ok();
}

Status UnmarshalInto(std::vector<int64_t>& dst, ByteView src, MarshalType type, int64_t first,
                     size_t count) {
  switch (type) {
    case MarshalType::kConst:
      if (!src.empty()) return Corrupted("const array with " + std::to_string(src.size()) + " bytes");
      dst.insert(dst.end(), count, first);
      return Ok();
    case MarshalType::kDeltaConst: {
      VM_ASSIGN_OR_RETURN(const int64_t d, TakeVarInt64(src));
      if (!src.empty()) {
        return Corrupted(std::to_string(src.size()) + " bytes left after the constant delta");
      }
      const size_t at = dst.size();
      dst.resize(at + count);
      int64_t* out = dst.data() + at;
      int64_t* const end = out + count;
      // Four at a time do not wait for each other.
      const int64_t d2 = WrapAdd(d, d), d3 = WrapAdd(d2, d), d4 = WrapAdd(d3, d);
      int64_t v = first;
      for (; end - out >= 4; out += 4) {
        out[0] = v;
        out[1] = WrapAdd(v, d);
        out[2] = WrapAdd(v, d2);
        out[3] = WrapAdd(v, d3);
        v = WrapAdd(v, d4);
      }
      for (; out != end; ++out) {
        *out = v;
        v = WrapAdd(v, d);
      }
      return Ok();
    }
    case MarshalType::kNearestDelta:
      return UnmarshalNearestDelta(dst, src, first, count);
    case MarshalType::kNearestDelta2:
      return UnmarshalNearestDelta2(dst, src, first, count);
    case MarshalType::kZstdNearestDelta:
    case MarshalType::kZstdNearestDelta2: {
      thread_local ByteBuffer plain;
      plain.clear();
      VM_TRY(DecompressZstd(plain, src, kMaxDecompressedSize));
      return type == MarshalType::kZstdNearestDelta
                 ? UnmarshalNearestDelta(dst, plain, first, count)
                 : UnmarshalNearestDelta2(dst, plain, first, count);
    }
  }
  return Corrupted("unknown type " + std::to_string(static_cast<int>(type)));
}

}  // namespace

uint8_t TrailingZeros(int64_t v, uint8_t precision_bits) noexcept {
  const uint8_t bits = SignificantBits(v);
  return bits > precision_bits ? static_cast<uint8_t>(bits - precision_bits) : 0;
}

DeltaStep NearestDelta(int64_t next, int64_t prev, uint8_t precision_bits,
                       uint8_t prev_trailing_zeros) noexcept {
  const int64_t d = WrapSub(next, prev);
  const auto decayed = static_cast<uint8_t>(prev_trailing_zeros > 0 ? prev_trailing_zeros - 1 : 0);
  if (d == 0) return {0, decayed};
  const uint8_t bits = SignificantBits(next);
  if (bits <= precision_bits) return {d, decayed};
  const auto zeros = static_cast<uint8_t>(bits - precision_bits);
  if (zeros > static_cast<uint8_t>(prev_trailing_zeros + 4)) {
    return {d, static_cast<uint8_t>(prev_trailing_zeros + 2)};
  }
  if (static_cast<uint8_t>(zeros + 4) < prev_trailing_zeros) {
    return {d, static_cast<uint8_t>(prev_trailing_zeros - 2)};
  }
  const uint64_t magnitude = d < 0 ? 0 - static_cast<uint64_t>(d) : static_cast<uint64_t>(d);
  const uint64_t cleared = magnitude & (~uint64_t{0} << zeros);
  return {static_cast<int64_t>(d < 0 ? 0 - cleared : cleared), zeros};
}

namespace {

/// Appends varints of an array to a buffer that is big enough from the start.
class VarIntWriter {
 public:
  VarIntWriter(ByteBuffer& dst, size_t count) : dst_(dst), at_(dst.size()) { dst_.resize(at_ + kMaxVarInt * count); }
  VarIntWriter(const VarIntWriter&) = delete;
  VarIntWriter& operator=(const VarIntWriter&) = delete;
  ~VarIntWriter() { dst_.resize(at_); }

  void Add(int64_t v) noexcept {
    uint64_t u = ZigZag64(v);
    uint8_t* const out = dst_.data();
    while (u >= 0x80) {
      out[at_++] = static_cast<uint8_t>(u) | 0x80;
      u >>= 7;
    }
    out[at_++] = static_cast<uint8_t>(u);
  }

 private:
  static constexpr size_t kMaxVarInt = 10;
  ByteBuffer& dst_;
  size_t at_;
};

}  // namespace

int64_t MarshalInt64NearestDelta(ByteBuffer& dst, std::span<const int64_t> values,
                                 uint8_t precision_bits) {
  VM_CHECK(!values.empty());
  int64_t v = values[0];
  if (precision_bits == 64) {
    VarIntWriter writer(dst, values.size() - 1);
    for (const int64_t next : values.subspan(1)) {
      writer.Add(WrapSub(next, v));
      v = next;
    }
    return values[0];
  }
  uint8_t zeros = TrailingZeros(v, precision_bits);
  for (const int64_t next : values.subspan(1)) {
    const DeltaStep step = NearestDelta(next, v, precision_bits, zeros);
    zeros = step.trailing_zeros;
    v = WrapAdd(v, step.delta);
    AppendVarInt64InArray(dst, step.delta);
  }
  return values[0];
}

int64_t MarshalInt64NearestDelta2(ByteBuffer& dst, std::span<const int64_t> values,
                                  uint8_t precision_bits) {
  VM_CHECK(values.size() >= 2);
  int64_t d1 = WrapSub(values[1], values[0]);
  AppendVarInt64(dst, d1);
  int64_t v = values[1];
  if (precision_bits == 64) {
    VarIntWriter writer(dst, values.size() - 2);
    for (const int64_t next : values.subspan(2)) {
      const int64_t d = WrapSub(next, v);
      writer.Add(WrapSub(d, d1));
      d1 = d;
      v = next;
    }
    return values[0];
  }
  uint8_t zeros = TrailingZeros(v, precision_bits);
  for (const int64_t next : values.subspan(2)) {
    const DeltaStep step = NearestDelta(WrapSub(next, v), d1, precision_bits, zeros);
    zeros = step.trailing_zeros;
    d1 = WrapAdd(d1, step.delta);
    v = WrapAdd(v, d1);
    AppendVarInt64InArray(dst, step.delta);
  }
  return values[0];
}

bool IsConst(std::span<const int64_t> values) noexcept {
  if (values.empty()) return false;
  for (const int64_t v : values) {
    if (v != values[0]) return false;
  }
  return true;
}

bool IsDeltaConst(std::span<const int64_t> values) noexcept {
  if (values.size() < 2) return false;
  const int64_t d = WrapSub(values[1], values[0]);
  for (size_t i = 2; i < values.size(); ++i) {
    if (WrapSub(values[i], values[i - 1]) != d) return false;
  }
  return true;
}

bool IsGauge(std::span<const int64_t> values) noexcept {
  if (values.size() < 2) return false;
  if (values[0] < 0) return true;
  size_t resets = 0;
  int64_t previous = values[0];
  for (const int64_t v : values.subspan(1)) {
    if (v < previous) {
      if (v < 0 || v > (previous >> 3)) return true;
      ++resets;
    }
    previous = v;
  }
  return resets > 2 && resets > (values.size() >> 3);
}

MarshalType MarshalInt64Array(ByteBuffer& dst, std::span<const int64_t> values,
                              uint8_t precision_bits, int64_t& first_value) {
  VM_CHECK(!values.empty());
  VM_CHECK(precision_bits >= 1 && precision_bits <= 64);
  first_value = values[0];
  if (IsConst(values)) return MarshalType::kConst;
  if (IsDeltaConst(values)) {
    AppendVarInt64(dst, WrapSub(values[1], values[0]));
    return MarshalType::kDeltaConst;
  }
  thread_local ByteBuffer plain;
  plain.clear();
  const bool gauge = IsGauge(values);
  if (gauge) {
    // Gauges jump around: the reference gives low precisions two more bits.
    if (precision_bits < 6) precision_bits += 2;
    MarshalInt64NearestDelta(plain, values, precision_bits);
  } else {
    MarshalInt64NearestDelta2(plain, values, precision_bits);
  }
  if (plain.size() >= kMinCompressedSize) {
    const size_t at = dst.size();
    CompressZstd(dst, plain, CompressLevel(values.size()));
    if (static_cast<double>(dst.size() - at) <= kMaxCompressRatio * static_cast<double>(plain.size())) {
      return gauge ? MarshalType::kZstdNearestDelta : MarshalType::kZstdNearestDelta2;
    }
    dst.resize(at);
  }
  Append(dst, plain);
  return gauge ? MarshalType::kNearestDelta : MarshalType::kNearestDelta2;
}

Status UnmarshalInt64Array(std::vector<int64_t>& dst, ByteView src, MarshalType type,
                           int64_t first_value, size_t count) {
  const size_t at = dst.size();
  if (count == 0) return Corrupted("no items");
  Status status = UnmarshalInto(dst, src, type, first_value, count);
  if (!status.ok()) dst.resize(at);
  return status;
}

void EnsureNonDecreasing(std::span<int64_t> values, int64_t min, int64_t max) {
  VM_CHECK(max >= min);
  if (values.empty()) return;
  int64_t previous = min;
  values.front() = min;
  for (int64_t& v : values) {
    if (v < previous) v = previous;
    previous = v;
  }
  // The other end: whatever is above max comes down to it.
  for (size_t i = values.size(); i-- > 0;) {
    if (i + 1 == values.size()) {
      values[i] = max;
    } else if (values[i] > max) {
      values[i] = max;
    } else {
      break;
    }
  }
}

}  // namespace vm::encoding
