#include "lib/model/metric_name.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "lib/encoding/int.h"

namespace vm::model {
namespace {

constexpr uint8_t kEscape = 0;
constexpr uint8_t kTagSeparator = 1;
constexpr uint8_t kLastEscaped = 2;

struct OrderedKey {
  std::string_view key;
  char normalised[3];
};

// Job-like and instance-like keys sort first. Never change: part of the key format.
constexpr OrderedKey kOrderedKeys[] = {
    {"namespace", {0, 0, 0}},    {"ns", {0, 0, 1}},         {"datacenter", {0, 0, 8}},
    {"dc", {0, 0, 9}},           {"environment", {0, 0, 0x0c}}, {"env", {0, 0, 0x0d}},
    {"cluster", {0, 0, 0x10}},   {"service", {0, 0, 0x18}}, {"job", {0, 0, 0x20}},
    {"model", {0, 0, 0x28}},     {"type", {0, 0, 0x30}},    {"sensor_type", {0, 0, 0x38}},
    {"db", {0, 0, 0x40}},        {"instance", {0, 1, 0}},   {"host", {0, 1, 8}},
    {"server", {0, 1, 0x10}},    {"pod", {0, 1, 0x18}},     {"node", {0, 1, 0x20}},
    {"device", {0, 1, 0x28}},    {"tenant", {0, 1, 0x30}},  {"client", {0, 1, 0x38}},
    {"name", {0, 1, 0x40}},      {"measurement", {0, 1, 0x48}},
};

/// What a key sorts by: three bytes for the keys above, also with a capital; otherwise the key itself.
std::string_view NormalisedKey(std::string_view key) {
  if (key == "SensorType") key = "sensor_type";
  if (key.empty()) return key;
  const char first = key[0] >= 'A' && key[0] <= 'Z' ? static_cast<char>(key[0] - 'A' + 'a') : key[0];
  for (const OrderedKey& k : kOrderedKeys) {
    if (k.key.size() == key.size() && k.key[0] == first && k.key.substr(1) == key.substr(1)) return {k.normalised, 3};
  }
  return key;
}

/// Whether a byte has to be escaped.
bool HasEscaped(std::string_view text) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  const char* at = text.data();
  size_t left = text.size();
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    // The lowest byte below 3 leaves its high bit; bytes above it may by the borrow, others do not.
    if (((word - (kLastEscaped + 1) * kOnes) & ~word & 0x80 * kOnes) != 0) return true;
  }
  for (; left > 0; ++at, --left) {
    if (static_cast<uint8_t>(*at) <= kLastEscaped) return true;
  }
  return false;
}

Result<std::string_view> TakeShortString(ByteView& src) {
  VM_ASSIGN_OR_RETURN(const uint16_t size, encoding::TakeUint<uint16_t>(src));
  if (src.size() < size) {
    return Error(ErrorCode::kCorrupted, "got " + std::to_string(src.size()) + " bytes; want " +
                                            std::to_string(size));
  }
  const std::string_view text = AsText(src.first(size));
  src = src.subspan(size);
  return text;
}

// In double quotes; what does not print is shown as \xNN. UTF-8 passes.
void AppendQuoted(std::string& dst, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  dst += '"';
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      dst += '\\';
      dst += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      dst += "\\x";
      dst += kHex[byte >> 4];
      dst += kHex[byte & 15];
    } else {
      dst += c;
    }
  }
  dst += '"';
}

}  // namespace

void MarshalTagValue(ByteBuffer& dst, std::string_view value) {
  if (!HasEscaped(value)) {  // Nearly always.
    Append(dst, value);
    dst.push_back(kTagSeparator);
    return;
  }
  const auto is_escaped = [](uint8_t byte) { return byte <= kLastEscaped; };
  ByteView left = AsBytes(value);
  while (true) {
    const auto plain = static_cast<size_t>(std::find_if(left.begin(), left.end(), is_escaped) - left.begin());
    Append(dst, left.first(plain));
    if (plain == left.size()) break;
    dst.push_back(kEscape);
    dst.push_back(static_cast<uint8_t>('0' + left[plain]));
    left = left.subspan(plain + 1);
  }
  dst.push_back(kTagSeparator);
}

Status UnmarshalTagValue(ByteView& src, std::string& dst) {
  const void* const end = src.empty() ? nullptr : std::memchr(src.data(), kTagSeparator, src.size());
  if (end == nullptr) {
    return Error(ErrorCode::kCorrupted, "cannot unmarshal tag value: no closing byte 01");
  }
  const auto size = static_cast<size_t>(static_cast<const uint8_t*>(end) - src.data());
  if (size == 0 || std::memchr(src.data(), kEscape, size) == nullptr) {
    dst.append(AsText(src.first(size)));
    src = src.subspan(size + 1);
    return Ok();
  }
  const size_t at = dst.size();
  for (size_t i = 0; i < size; ++i) {
    if (src[i] != kEscape) {
      dst.push_back(static_cast<char>(src[i]));
      continue;
    }
    if (i + 1 >= size || src[i + 1] < '0' || src[i + 1] > '0' + kLastEscaped) {
      dst.resize(at);
      return Error(ErrorCode::kCorrupted, "cannot unmarshal tag value: bad escape sequence");
    }
    dst.push_back(static_cast<char>(src[++i] - '0'));
  }
  src = src.subspan(size + 1);
  return Ok();
}

void MetricName::AddTag(std::string_view key, std::string_view value) {
  if (key.empty()) {
    metric_group = value;
  } else if (key == "__name__") {
    metric_group += value;
  } else {
    tags.push_back({std::string(key), std::string(value)});
  }
}

void MetricName::SortTags() {
  struct Keyed {
    std::string_view order;  // Into a tag's key, or constant.
    size_t at;
  };
  const auto less = [](const Keyed& a, const Keyed& b) {
    const int order = a.order.compare(b.order);  // As unsigned bytes.
    return order != 0 ? order < 0 : a.at < b.at;
  };
  std::array<Keyed, 32> few;
  std::vector<Keyed> many(tags.size() > few.size() ? tags.size() : 0);
  const std::span<Keyed> keyed = many.empty() ? std::span(few).first(tags.size()) : std::span(many);
  for (size_t i = 0; i < tags.size(); ++i) keyed[i] = {NormalisedKey(tags[i].key), i};
  std::sort(keyed.begin(), keyed.end(), less);
  std::vector<Tag> sorted;
  sorted.reserve(tags.size());
  for (const Keyed& k : keyed) {
    Tag& tag = tags[k.at];
    if (!sorted.empty() && sorted.back().key == tag.key) {
      sorted.back() = std::move(tag);
    } else {
      sorted.push_back(std::move(tag));
    }
  }
  tags = std::move(sorted);
}

void MetricName::MarshalNoTenant(ByteBuffer& dst) const {
  MarshalTagValue(dst, metric_group);
  for (const Tag& tag : tags) {
    MarshalTagValue(dst, tag.key);
    MarshalTagValue(dst, tag.value);
  }
}

void MetricName::Marshal(ByteBuffer& dst) const {
  AppendBigEndian(dst, tenant.account_id);
  AppendBigEndian(dst, tenant.project_id);
  MarshalNoTenant(dst);
}

std::string MetricName::ToString() const {
  MetricName sorted = *this;
  sorted.SortTags();
  std::string text = "AccountID=" + std::to_string(tenant.account_id) +
                     ", ProjectID=" + std::to_string(tenant.project_id) + ", " + metric_group + "{";
  for (const Tag& tag : sorted.tags) {
    if (&tag != sorted.tags.data()) text += ',';
    text += tag.key;
    text += '=';
    AppendQuoted(text, tag.value);
  }
  text += '}';
  return text;
}

Status MetricName::UnmarshalNoTenantTo(ByteView src, MetricName& dst) {
  dst.tenant = {};
  dst.metric_group.clear();
  if (Status s = UnmarshalTagValue(src, dst.metric_group); !s.ok()) {
    return std::move(s).error().WithContext("cannot unmarshal metric group");
  }
  if (dst.tags.capacity() == 0) dst.tags.reserve(8);
  size_t count = 0;
  for (; !src.empty(); ++count) {
    if (count == dst.tags.size()) dst.tags.emplace_back();
    Tag& tag = dst.tags[count];
    tag.key.clear();
    tag.value.clear();
    if (Status s = UnmarshalTagValue(src, tag.key); !s.ok()) {
      return std::move(s).error().WithContext("cannot unmarshal key of tag #" + std::to_string(count + 1));
    }
    if (Status s = UnmarshalTagValue(src, tag.value); !s.ok()) {
      return std::move(s).error().WithContext("cannot unmarshal value of tag " + tag.key);
    }
  }
  dst.tags.resize(count);
  return Ok();
}

Status MetricName::UnmarshalTo(ByteView src, MetricName& dst) {
  if (src.size() < 8) {
    return Error(ErrorCode::kCorrupted, "cannot unmarshal metric name: got " +
                                            std::to_string(src.size()) + " bytes; want at least 8");
  }
  Tenant tenant;
  tenant.account_id = TakeBigEndian<uint32_t>(src);
  tenant.project_id = TakeBigEndian<uint32_t>(src);
  VM_TRY(UnmarshalNoTenantTo(src, dst));
  dst.tenant = tenant;
  return Ok();
}

Result<MetricName> MetricName::UnmarshalNoTenant(ByteView src) {
  MetricName name;
  VM_TRY(UnmarshalNoTenantTo(src, name));
  return name;
}

Result<MetricName> MetricName::Unmarshal(ByteView src) {
  MetricName name;
  VM_TRY(UnmarshalTo(src, name));
  return name;
}

Result<MetricName> MetricName::UnmarshalRaw(ByteView src) {
  if (src.size() < 8) {
    return Error(ErrorCode::kCorrupted, "cannot unmarshal raw metric name: got " +
                                            std::to_string(src.size()) + " bytes; want at least 8");
  }
  MetricName name;
  name.tags.reserve(8);
  name.tenant.account_id = TakeBigEndian<uint32_t>(src);
  name.tenant.project_id = TakeBigEndian<uint32_t>(src);
  while (!src.empty()) {
    auto key = TakeShortString(src);
    if (!key.ok()) return std::move(key).error().WithContext("cannot unmarshal raw label name");
    auto value = TakeShortString(src);
    if (!value.ok()) return std::move(value).error().WithContext("cannot unmarshal raw label value");
    name.AddTag(key.value(), value.value());
  }
  return name;
}

namespace {

// A call of memcpy costs more than most labels.
inline uint8_t* PutText(uint8_t* to, std::string_view text) {
  const size_t size = text.size();
  const char* from = text.data();
  const auto put = [&]<class Word>(size_t at, Word word) {
    std::memcpy(&word, from + at, sizeof word);
    std::memcpy(to + at, &word, sizeof word);
  };
  if (size > 32) {
    std::memcpy(to, from, size);
  } else if (size >= 16) {
    put(0, __uint128_t{});
    put(size - 16, __uint128_t{});
  } else if (size >= 8) {
    put(0, uint64_t{});
    put(size - 8, uint64_t{});
  } else if (size >= 4) {
    put(0, uint32_t{});
    put(size - 4, uint32_t{});
  } else {
    for (size_t i = 0; i < size; ++i) to[i] = static_cast<uint8_t>(from[i]);
  }
  return to + size;
}

inline std::string_view SentName(const LabelView& label) {
  return label.name == "__name__" ? std::string_view() : label.name;
}

}  // namespace

size_t MetricNameRawSize(std::span<const LabelView> labels) noexcept {
  size_t size = 8;
  for (const LabelView& label : labels) {
    if (label.value.empty()) continue;
    VM_CHECK(label.name.size() <= kMaxRawLabelSize && label.value.size() <= kMaxRawLabelSize);
    size += 4 + SentName(label).size() + label.value.size();
  }
  return size;
}

uint8_t* StoreMetricNameRaw(uint8_t* dst, Tenant tenant, std::span<const LabelView> labels) noexcept {
  uint8_t* to = StoreBigEndian(dst, tenant.account_id);
  to = StoreBigEndian(to, tenant.project_id);
  const auto put = [&to](std::string_view text) {
    to = StoreBigEndian(to, static_cast<uint16_t>(text.size()));
    to = PutText(to, text);
  };
  for (const LabelView& label : labels) {
    if (label.value.empty()) continue;
    put(SentName(label));
    put(label.value);
  }
  return to;
}

void MarshalMetricNameRaw(ByteBuffer& dst, Tenant tenant, std::span<const LabelView> labels) {
  const size_t at = dst.size();
  dst.resize(at + MetricNameRawSize(labels));
  StoreMetricNameRaw(dst.data() + at, tenant, labels);
}

}  // namespace vm::model
