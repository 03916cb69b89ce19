#include "insert/parse/otlp/naming.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace vm::insert {
namespace {

using Word = std::pair<std::string_view, std::string_view>;

constexpr Word kUnits[] = {
    {"d", "days"},         {"h", "hours"},        {"min", "minutes"},    {"s", "seconds"},      {"ms", "milliseconds"},
    {"us", "microseconds"}, {"ns", "nanoseconds"}, {"By", "bytes"},       {"KiBy", "kibibytes"}, {"MiBy", "mebibytes"},
    {"GiBy", "gibibytes"}, {"TiBy", "tibibytes"}, {"KBy", "kilobytes"},  {"MBy", "megabytes"},  {"GBy", "gigabytes"},
    {"TBy", "terabytes"},  {"m", "meters"},       {"V", "volts"},        {"A", "amperes"},      {"J", "joules"},
    {"W", "watts"},        {"g", "grams"},        {"Cel", "celsius"},    {"Hz", "hertz"},       {"1", ""},
    {"%", "percent"}};
constexpr Word kPerUnits[] = {{"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"},
                              {"w", "week"},   {"mo", "month"}, {"y", "year"}};

template <size_t N>
std::string_view Translate(const Word (&words)[N], std::string_view unit) {
  for (const auto& [from, to] : words) {
    if (from == unit) return to;
  }
  return unit;
}

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

bool Contains(const std::vector<std::string_view>& tokens, std::string_view token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

void MoveToEnd(std::vector<std::string_view>& tokens, std::string_view token) {
  const auto found = std::find(tokens.begin(), tokens.end(), token);
  if (found != tokens.end()) tokens.erase(found);
  tokens.push_back(token);
}

}  // namespace

std::string PrometheusMetricName(std::string_view name, std::string_view unit, uint32_t type) {
  std::vector<std::string_view> tokens;
  while (!name.empty()) {
    const size_t end = name.find_first_of("/_.-: ");
    if (end != 0) tokens.push_back(name.substr(0, end));
    if (end == std::string_view::npos) break;
    name.remove_prefix(end + 1);
  }
  const size_t slash = unit.find('/');
  std::string_view main = Trim(unit.substr(0, slash));
  std::string_view per = slash == std::string_view::npos ? std::string_view() : Trim(unit.substr(slash + 1));
  if (main.find('{') == std::string_view::npos) {
    main = Translate(kUnits, main);
    if (!main.empty() && !Contains(tokens, main)) tokens.push_back(main);
  }
  if (per.find('{') == std::string_view::npos) {
    per = Translate(kPerUnits, per);
    if (!per.empty() && !Contains(tokens, per)) {
      tokens.push_back("per");
      tokens.push_back(per);
    }
  }
  constexpr uint32_t kCounter = 1;
  constexpr uint32_t kGauge = 2;
  if (type == kCounter) {
    MoveToEnd(tokens, "total");
  } else if (unit == "1" && type == kGauge) {
    MoveToEnd(tokens, "ratio");
  }
  std::string joined;
  for (const std::string_view token : tokens) {
    if (!joined.empty()) joined += '_';
    joined += token;
  }
  return joined;
}

std::string PrometheusLabelName(std::string_view name, bool prefix_underscores) {
  std::string out;
  for (const char c : name) {
    // One character, not one byte, becomes one `_`.
    if ((static_cast<unsigned char>(c) & 0xc0) == 0x80) continue;
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    out += is_plain ? c : '_';
  }
  if (out.empty()) return out;
  if (out[0] >= '0' && out[0] <= '9') return "key_" + out;
  if (prefix_underscores && out[0] == '_' && !out.starts_with("__")) return "key" + out;
  return out;
}

}  // namespace vm::insert
