#include "lib/log/time_zone.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace vm::log {
namespace {

Error Corrupted() { return Error(ErrorCode::kCorrupted, "broken time zone file"); }

/// Big-endian numbers off the front of a text.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool Skip(size_t size) {
    if (rest_.size() < size) return false;
    rest_.remove_prefix(size);
    return true;
  }
  bool Take(size_t size, int64_t& value) {
    if (rest_.size() < size) return false;
    uint64_t bits = (static_cast<unsigned char>(rest_[0]) & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (size_t i = 0; i < size; ++i) bits = (bits << 8) | static_cast<unsigned char>(rest_[i]);
    value = static_cast<int64_t>(bits);
    rest_.remove_prefix(size);
    return true;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

struct Header {
  int64_t utc_flags = 0, standard_flags = 0, leaps = 0, transitions = 0, types = 0, chars = 0;
};

bool TakeHeader(Reader& reader, Header& header) {
  if (!reader.rest().starts_with("TZif") || !reader.Skip(20)) return false;
  for (int64_t* count : {&header.utc_flags, &header.standard_flags, &header.leaps, &header.transitions,
                         &header.types, &header.chars}) {
    if (!reader.Take(4, *count) || *count < 0 || *count > 1'000'000) return false;
  }
  return true;
}

}  // namespace

Result<std::shared_ptr<const TimeZone>> TimeZone::Parse(std::string_view file) {
  Reader reader(file);
  Header header;
  if (!TakeHeader(reader, header)) return Corrupted();
  size_t time_size = 4;
  if (file[4] >= '2') {
    // The same data again with 64-bit times.
    const int64_t size = header.transitions * 5 + header.types * 6 + header.chars + header.leaps * 8 +
                         header.standard_flags + header.utc_flags;
    if (!reader.Skip(static_cast<size_t>(size)) || !TakeHeader(reader, header)) return Corrupted();
    time_size = 8;
  }
  auto zone = std::make_shared<TimeZone>();
  zone->transitions_.resize(static_cast<size_t>(header.transitions));
  for (Transition& transition : zone->transitions_) {
    if (!reader.Take(time_size, transition.at)) return Corrupted();
  }
  std::vector<int64_t> types(zone->transitions_.size());
  for (int64_t& type : types) {
    if (!reader.Take(1, type) || type < 0 || type >= header.types) return Corrupted();
  }
  std::vector<int32_t> offsets;
  for (int64_t i = 0; i < header.types; ++i) {
    int64_t offset = 0;
    if (!reader.Take(4, offset) || !reader.Skip(2) || std::abs(offset) > 7 * 86400) return Corrupted();
    offsets.push_back(static_cast<int32_t>(offset));
  }
  if (offsets.empty()) return Corrupted();
  zone->first_offset_ = offsets[0];
  for (size_t i = 0; i < types.size(); ++i) {
    zone->transitions_[i].offset = offsets[static_cast<size_t>(types[i])];
  }
  return std::shared_ptr<const TimeZone>(std::move(zone));
}

Result<std::shared_ptr<const TimeZone>> TimeZone::Load(std::string_view name) {
  if (name.empty() || name == "UTC") return std::shared_ptr<const TimeZone>(std::make_shared<TimeZone>());
  std::string path = "/etc/localtime";
  if (name != "Local") {
    if (name.starts_with('/') || name.find("..") != std::string_view::npos) {
      return Error(ErrorCode::kInvalidInput, "unknown time zone " + std::string(name));
    }
    path = "/usr/share/zoneinfo/" + std::string(name);
  }
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  if (!file || content.str().empty()) {
    return Error(ErrorCode::kInvalidInput, "unknown time zone " + std::string(name));
  }
  return Parse(content.str());
}

int32_t TimeZone::OffsetSeconds(int64_t unix_seconds) const {
  const auto next = std::upper_bound(transitions_.begin(), transitions_.end(), unix_seconds,
                                     [](int64_t at, const Transition& transition) { return at < transition.at; });
  return next == transitions_.begin() ? first_offset_ : std::prev(next)->offset;
}

}  // namespace vm::log
