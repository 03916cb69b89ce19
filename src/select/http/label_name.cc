#include <cstdint>
#include <optional>

#include "select/http/labels.h"

namespace vm::select {
namespace {

constexpr std::string_view kEscapedPrefix = "U__";
constexpr size_t kMaxRuneDigits = 6;

void AppendUtf8(std::string& dst, uint32_t rune) {
  if (rune < 0x80) {
    dst += static_cast<char>(rune);
    return;
  }
  const int tail = rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
  static constexpr uint8_t kHeads[] = {0, 0xc0, 0xe0, 0xf0};
  dst += static_cast<char>(kHeads[tail] | (rune >> (6 * tail)));
  for (int i = tail - 1; i >= 0; --i) dst += static_cast<char>(0x80 | ((rune >> (6 * i)) & 0x3f));
}

bool IsRune(uint32_t rune) { return rune <= 0x10ffff && (rune < 0xd800 || rune > 0xdfff); }

std::optional<uint32_t> ParseHex(std::string_view digits) {
  if (digits.size() > kMaxRuneDigits) return std::nullopt;
  uint32_t value = 0;
  for (const char c : digits) {
    const char lower = static_cast<char>(c | 0x20);
    if (c >= '0' && c <= '9') value = value * 16 + static_cast<uint32_t>(c - '0');
    else if (lower >= 'a' && lower <= 'f') value = value * 16 + static_cast<uint32_t>(lower - 'a' + 10);
    else return std::nullopt;
  }
  return value;
}

}  // namespace

std::string UnescapeLabelName(std::string_view name) {
  if (!name.starts_with(kEscapedPrefix)) return std::string(name);
  std::string plain;
  for (std::string_view rest = name.substr(kEscapedPrefix.size()); !rest.empty();) {
    if (rest.front() != '_') {
      plain += rest.front();
      rest.remove_prefix(1);
      continue;
    }
    rest.remove_prefix(1);
    const size_t end = rest.find('_');
    if (end == rest.npos) return std::string(name);
    if (end == 0) {
      plain += '_';
    } else {
      const auto rune = ParseHex(rest.substr(0, end));
      if (!rune || !IsRune(*rune)) return std::string(name);
      AppendUtf8(plain, *rune);
    }
    rest.remove_prefix(end + 1);
  }
  return plain;
}

}  // namespace vm::select
