#include "select/format/go_time.h"

#include <fmt/format.h>

#include <ctime>
#include <iterator>

namespace vm::select {
namespace {

constexpr std::string_view kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                        "July",    "August",   "September", "October", "November", "December"};
constexpr std::string_view kDays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

struct Moment {
  std::tm tm{};
  int ms = 0;
};

int Hour12(const Moment& m) { return m.tm.tm_hour % 12 == 0 ? 12 : m.tm.tm_hour % 12; }

void AppendZone(std::string& dst, const Moment& m, std::string_view colon, bool with_minutes, bool z_for_utc) {
  const long offset = m.tm.tm_gmtoff;
  if (z_for_utc && offset == 0) {
    dst += 'Z';
    return;
  }
  const long minutes = (offset < 0 ? -offset : offset) / 60;
  dst += fmt::format("{}{:02}", offset < 0 ? '-' : '+', minutes / 60);
  if (with_minutes) dst += fmt::format("{}{:02}", colon, minutes % 60);
}

using Append = void (*)(std::string&, const Moment&);
struct Token {
  std::string_view text;
  Append append;
};

// The longest text that fits wins.
constexpr Token kTokens[] = {
    {"January", [](std::string& d, const Moment& m) { d += kMonths[m.tm.tm_mon]; }},
    {"Jan", [](std::string& d, const Moment& m) { d += kMonths[m.tm.tm_mon].substr(0, 3); }},
    {"Monday", [](std::string& d, const Moment& m) { d += kDays[m.tm.tm_wday]; }},
    {"Mon", [](std::string& d, const Moment& m) { d += kDays[m.tm.tm_wday].substr(0, 3); }},
    {"MST", [](std::string& d, const Moment& m) { d += m.tm.tm_zone; }},
    {"2006", [](std::string& d, const Moment& m) { d += fmt::format("{:04}", m.tm.tm_year + 1900); }},
    {"002", [](std::string& d, const Moment& m) { d += fmt::format("{:03}", m.tm.tm_yday + 1); }},
    {"__2", [](std::string& d, const Moment& m) { d += fmt::format("{:3}", m.tm.tm_yday + 1); }},
    {"01", [](std::string& d, const Moment& m) { d += fmt::format("{:02}", m.tm.tm_mon + 1); }},
    {"02", [](std::string& d, const Moment& m) { d += fmt::format("{:02}", m.tm.tm_mday); }},
    {"03", [](std::string& d, const Moment& m) { d += fmt::format("{:02}", Hour12(m)); }},
    {"04", [](std::string& d, const Moment& m) { d += fmt::format("{:02}", m.tm.tm_min); }},
    {"05", [](std::string& d, const Moment& m) { d += fmt::format("{:02}", m.tm.tm_sec); }},
    {"06", [](std::string& d, const Moment& m) { d += fmt::format("{:02}", m.tm.tm_year % 100); }},
    {"15", [](std::string& d, const Moment& m) { d += fmt::format("{:02}", m.tm.tm_hour); }},
    {"_2006", [](std::string& d, const Moment& m) { d += fmt::format("_{:04}", m.tm.tm_year + 1900); }},
    {"_2", [](std::string& d, const Moment& m) { d += fmt::format("{:2}", m.tm.tm_mday); }},
    {"1", [](std::string& d, const Moment& m) { d += fmt::format("{}", m.tm.tm_mon + 1); }},
    {"2", [](std::string& d, const Moment& m) { d += fmt::format("{}", m.tm.tm_mday); }},
    {"3", [](std::string& d, const Moment& m) { d += fmt::format("{}", Hour12(m)); }},
    {"4", [](std::string& d, const Moment& m) { d += fmt::format("{}", m.tm.tm_min); }},
    {"5", [](std::string& d, const Moment& m) { d += fmt::format("{}", m.tm.tm_sec); }},
    {"PM", [](std::string& d, const Moment& m) { d += m.tm.tm_hour >= 12 ? "PM" : "AM"; }},
    {"pm", [](std::string& d, const Moment& m) { d += m.tm.tm_hour >= 12 ? "pm" : "am"; }},
    {"Z07:00", [](std::string& d, const Moment& m) { AppendZone(d, m, ":", true, true); }},
    {"Z0700", [](std::string& d, const Moment& m) { AppendZone(d, m, "", true, true); }},
    {"Z07", [](std::string& d, const Moment& m) { AppendZone(d, m, "", false, true); }},
    {"-07:00", [](std::string& d, const Moment& m) { AppendZone(d, m, ":", true, false); }},
    {"-0700", [](std::string& d, const Moment& m) { AppendZone(d, m, "", true, false); }},
    {"-07", [](std::string& d, const Moment& m) { AppendZone(d, m, "", false, false); }},
};

/// Length of a fraction `.000` or `.999` (or with a comma) at the front, 0 for none.
size_t FractionLength(std::string_view layout) {
  if (layout.size() < 2 || (layout[0] != '.' && layout[0] != ',') || (layout[1] != '0' && layout[1] != '9')) return 0;
  size_t end = layout.find_first_not_of(layout[1], 1);
  if (end == layout.npos) end = layout.size();
  const bool digit_follows = end < layout.size() && layout[end] >= '0' && layout[end] <= '9';
  return digit_follows ? 0 : end;
}

void AppendFraction(std::string& dst, std::string_view token, int ms) {
  std::string digits = fmt::format("{:03}000000", ms).substr(0, token.size() - 1);
  digits.resize(token.size() - 1, '0');
  if (token[1] == '9') {
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.empty()) return;
  }
  dst += token[0];
  dst += digits;
}

const Token* FindToken(std::string_view layout) {
  const Token* best = nullptr;
  for (const Token& token : kTokens) {
    if (layout.starts_with(token.text) && (best == nullptr || token.text.size() > best->text.size())) best = &token;
  }
  return best;
}

}  // namespace

void AppendGoTime(std::string& dst, int64_t timestamp_ms, std::string_view layout) {
  Moment m;
  m.ms = static_cast<int>(((timestamp_ms % 1000) + 1000) % 1000);
  const std::time_t seconds = (timestamp_ms - m.ms) / 1000;
  localtime_r(&seconds, &m.tm);
  while (!layout.empty()) {
    if (const size_t n = FractionLength(layout); n > 0) {
      AppendFraction(dst, layout.substr(0, n), m.ms);
      layout.remove_prefix(n);
    } else if (const Token* token = FindToken(layout)) {
      token->append(dst, m);
      layout.remove_prefix(token->text.size());
    } else {
      dst += layout.front();
      layout.remove_prefix(1);
    }
  }
}

}  // namespace vm::select
