#include "lib/flags/flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

namespace vm::flags {
namespace {

Error Invalid(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

bool ParseBool(std::string_view text, bool& value) {
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return value = true, true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return value = false, true;
  }
  return false;
}

bool ParseInt(std::string_view text, int64_t& value) {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  int base = 10;
  bool prefixed = false;
  if (text.size() > 1 && text[0] == '0') {
    const char kind = static_cast<char>(std::tolower(static_cast<unsigned char>(text[1])));
    if (kind == 'x' || kind == 'b' || kind == 'o') {
      base = kind == 'x' ? 16 : kind == 'b' ? 2 : 8;
      text.remove_prefix(2);
    } else {
      base = 8;
      text.remove_prefix(1);
    }
    prefixed = true;
  }
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits += text[i];
    } else if (i + 1 == text.size() || text[i + 1] == '_' || (i == 0 && !prefixed)) {
      return false;
    }
  }
  uint64_t magnitude = 0;
  const auto parsed =
      std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return false;
  const uint64_t limit = static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  if (magnitude > limit) return false;
  value = static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
  return true;
}

bool ParseFloat(std::string_view text, double& value) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

std::string FormatDuration(std::chrono::nanoseconds value) {
  const int64_t ns = value.count();
  if (ns == 0) return "0s";
  if (ns < 0) return "-" + FormatDuration(-value);
  if (ns < 1000) return fmt::format("{}ns", ns);
  if (ns < 1000000) return fmt::format("{}µs", static_cast<double>(ns) / 1e3);
  if (ns < 1000000000) return fmt::format("{}ms", static_cast<double>(ns) / 1e6);
  const int64_t hours = ns / 3600000000000;
  const int64_t minutes = ns / 60000000000 % 60;
  const double seconds = static_cast<double>(ns % 60000000000) / 1e9;
  if (hours > 0) return fmt::format("{}h{}m{}s", hours, minutes, seconds);
  if (minutes > 0) return fmt::format("{}m{}s", minutes, seconds);
  return fmt::format("{}s", seconds);
}

std::string ExpandPlaceholders(std::string_view text, int depth) {
  std::string out;
  for (;;) {
    const size_t start = text.find("%{");
    const size_t end = start == std::string_view::npos ? start : text.find('}', start);
    if (end == std::string_view::npos) break;
    out += text.substr(0, start);
    const std::string name(text.substr(start + 2, end - start - 2));
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || depth >= 100) {
      out += text.substr(start, end - start + 1);
    } else {
      out += ExpandPlaceholders(value, depth + 1);
    }
    text.remove_prefix(end + 1);
  }
  out += text;
  return out;
}

}  // namespace

std::string ExpandPlaceholders(std::string_view text) { return ExpandPlaceholders(text, 0); }

struct FlagSet::Flag {
  std::string name;
  std::string description;
  std::string default_text;
  std::string text;  // What the user gave, or the default.
  bool is_bool = false;
  bool is_array = false;
  bool is_set = false;
  std::function<bool(std::string_view)> assign;
};

FlagSet::FlagSet() {
  Bool("envflag.enable", false,
       "Whether to enable reading flags from environment variables in addition to the command line");
  String("envflag.prefix", "", "Prefix for environment variables if -envflag.enable is set");
  Array("secret.flags", "Names of additional flags whose values are hidden");
}

FlagSet::~FlagSet() = default;

template <class T>
const T* FlagSet::Define(std::string name, std::shared_ptr<T> value, std::string description,
                         std::string default_text, std::function<bool(std::string_view, T&)> parse,
                         bool is_bool, bool is_array) {
  auto& slot = flags_[name];
  std::function<bool(std::string_view)> others;
  if (slot) others = std::move(slot->assign);
  slot = std::make_unique<Flag>();
  const T* result = value.get();
  slot->name = std::move(name);
  slot->description = std::move(description);
  slot->default_text = default_text;
  slot->text = std::move(default_text);
  slot->is_bool = is_bool;
  slot->is_array = is_array;
  slot->assign = [value = std::move(value), parse = std::move(parse), others = std::move(others)](std::string_view text) {
    return (!others || others(text)) && parse(text, *value);
  };
  return result;
}

const std::string* FlagSet::String(std::string name, std::string value, std::string description) {
  const std::string text = value;
  return Define<std::string>(std::move(name), std::make_shared<std::string>(std::move(value)), std::move(description), text,
                             [](std::string_view in, std::string& out) {
                               out = in;
                               return true;
                             });
}

const bool* FlagSet::Bool(std::string name, bool value, std::string description) {
  return Define<bool>(std::move(name), std::make_shared<bool>(value), std::move(description), value ? "true" : "false",
                      ParseBool, true);
}

const int64_t* FlagSet::Int(std::string name, int64_t value, std::string description) {
  return Define<int64_t>(std::move(name), std::make_shared<int64_t>(value), std::move(description), std::to_string(value),
                         ParseInt);
}

const double* FlagSet::Float(std::string name, double value, std::string description) {
  return Define<double>(std::move(name), std::make_shared<double>(value), std::move(description), fmt::format("{}", value),
                        ParseFloat);
}

const std::chrono::nanoseconds* FlagSet::Duration(std::string name, std::chrono::nanoseconds value,
                                                  std::string description) {
  return Define<std::chrono::nanoseconds>(
      std::move(name), std::make_shared<std::chrono::nanoseconds>(value), std::move(description), FormatDuration(value),
      [](std::string_view in, std::chrono::nanoseconds& out) {
        auto parsed = ParseGoDuration(in);
        if (parsed.ok()) out = parsed.value();
        return parsed.ok();
      });
}

const int64_t* FlagSet::Bytes(std::string name, int64_t value, std::string description) {
  return Define<int64_t>(std::move(name), std::make_shared<int64_t>(value), std::move(description), std::to_string(value),
                         [](std::string_view in, int64_t& out) {
                           auto parsed = ParseBytes(in);
                           if (parsed.ok()) out = parsed.value();
                           return parsed.ok();
                         });
}

const int64_t* FlagSet::Retention(std::string name, std::string value, std::string description) {
  auto initial = ParseRetention(value);
  return Define<int64_t>(std::move(name), std::make_shared<int64_t>(initial.ok() ? initial.value() : 0),
                         std::move(description), value, [](std::string_view in, int64_t& out) {
                           auto parsed = ParseRetention(in);
                           if (parsed.ok()) out = parsed.value();
                           return parsed.ok();
                         });
}

const std::vector<std::string>* FlagSet::Array(std::string name, std::string description) {
  return Define<std::vector<std::string>>(
      std::move(name), std::make_shared<std::vector<std::string>>(), std::move(description), "",
      [](std::string_view in, std::vector<std::string>& out) {
        for (auto& item : SplitArray(in)) out.push_back(std::move(item));
        return true;
      },
      false, true);
}

const std::vector<bool>* FlagSet::BoolArray(std::string name, std::string description) {
  return Define<std::vector<bool>>(
      std::move(name), std::make_shared<std::vector<bool>>(), std::move(description), "",
      [](std::string_view in, std::vector<bool>& out) {
        for (const auto& item : SplitArray(in)) {
          bool value = false;
          if (!item.empty() && !ParseBool(item, value)) return false;
          out.push_back(value);
        }
        return true;
      },
      true, true);
}

const Password* FlagSet::Secret(std::string name, std::string description) {
  return Define<Password>(std::move(name), std::make_shared<Password>(), std::move(description), "",
                          [](std::string_view in, Password& out) { return out.Set(in).ok(); });
}

Status Password::Set(std::string_view text) {
  if (text.starts_with("http://") || text.starts_with("https://")) {
    return Invalid("secrets at http addresses are not supported");
  }
  constexpr std::string_view kFile = "file://";
  text_ = text;
  path_ = text.starts_with(kFile) ? text.substr(kFile.size()) : std::string_view();
  return Ok();
}

std::string Password::Get() const {
  if (path_.empty()) return text_;
  MutexLock lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now < read_again_at_) return from_file_;
  read_again_at_ = now + std::chrono::seconds(2);
  std::ifstream file(path_, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  if (file) {
    from_file_ = content.str();
    while (!from_file_.empty() && std::isspace(static_cast<unsigned char>(from_file_.back())) != 0) from_file_.pop_back();
  } else if (from_file_.empty()) {
    std::random_device random;
    for (int i = 0; i < 8; ++i) from_file_ += fmt::format("{:08x}", random());
  }
  return from_file_;
}

Status FlagSet::SetFlag(Flag& flag, std::string_view value) {
  if (!flag.assign(value)) {
    return Invalid(fmt::format("invalid value \"{}\" for flag -{}: parse error", value, flag.name));
  }
  if (flag.is_array && flag.is_set) {
    flag.text += ',';
    flag.text += value;
  } else {
    flag.text = value;
  }
  flag.is_set = true;
  return Ok();
}

Status FlagSet::Parse(const std::vector<std::string>& raw_args) {
  std::vector<std::string> args;
  for (const auto& raw : raw_args) {
    std::string arg = ExpandPlaceholders(raw);
    if (!arg.empty()) args.push_back(std::move(arg));
  }
  size_t i = 0;
  for (; i < args.size(); ++i) {
    std::string_view arg = args[i];
    if (arg.size() < 2 || arg[0] != '-') break;
    arg.remove_prefix(1);
    if (arg[0] == '-') {
      arg.remove_prefix(1);
      if (arg.empty()) {
        ++i;
        break;
      }
    }
    if (arg.empty() || arg[0] == '-' || arg[0] == '=') {
      return Invalid(fmt::format("bad flag syntax: {}", args[i]));
    }
    const size_t equals = arg.find('=');
    const std::string_view name = arg.substr(0, equals);
    const auto it = flags_.find(name);
    if (it == flags_.end()) {
      if (name == "h" || name == "help") {
        help_requested_ = true;
        return Ok();
      }
      return Invalid(fmt::format("flag provided but not defined: -{}", name));
    }
    Flag& flag = *it->second;
    if (equals != std::string_view::npos) {
      VM_TRY(SetFlag(flag, arg.substr(equals + 1)));
    } else if (flag.is_bool) {
      VM_TRY(SetFlag(flag, "true"));
    } else {
      if (i + 1 >= args.size()) return Invalid(fmt::format("flag needs an argument: -{}", name));
      VM_TRY(SetFlag(flag, args[++i]));
    }
  }
  if (i < args.size()) {
    std::string left;
    for (; i < args.size(); ++i) left += (left.empty() ? "" : " ") + args[i];
    return Invalid(fmt::format("unprocessed command-line args left: [{}]", left));
  }
  if (flags_["envflag.enable"]->text == "true" ||
      (flags_["envflag.enable"]->is_set && flags_["envflag.enable"]->text != "false")) {
    const std::string prefix = flags_["envflag.prefix"]->text;
    for (auto& [name, flag] : flags_) {
      if (flag->is_set) continue;
      std::string variable = prefix + name;
      std::replace(variable.begin() + static_cast<ptrdiff_t>(prefix.size()), variable.end(), '.',
                   '_');
      if (const char* value = std::getenv(variable.c_str()); value != nullptr) {
        VM_TRY(SetFlag(*flag, ExpandPlaceholders(value)));
      }
    }
  }
  return Ok();
}

void FlagSet::AcceptUndefined(std::span<const KnownFlag> known) {
  for (const KnownFlag& flag : known) {
    if (flags_.find(flag.name) != flags_.end()) continue;
    const std::string name(flag.name);
    if (flag.is_bool) {
      Bool(name, false, "Accepted and ignored");
    } else {
      Array(name, "Accepted and ignored");
    }
  }
}

bool FlagSet::IsSet(std::string_view name) const {
  const auto it = flags_.find(name);
  return it != flags_.end() && it->second->is_set;
}

bool FlagSet::IsSecret(std::string_view name) const {
  const std::string lower = Lower(name);
  for (const std::string_view word : {"pass", "key", "secret", "token"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  if (lower == "pushmetrics.url" || lower == "vmalert.proxyurl") return true;
  for (const auto& secret : SplitArray(flags_.find("secret.flags")->second->text)) {
    if (Lower(secret) == lower) return true;
  }
  return false;
}

std::string FlagSet::Usage() const {
  std::string out;
  for (const auto& [name, flag] : flags_) {
    out += fmt::format("  -{}{}\n    \t{}", name, flag->is_bool ? "" : " value",
                       flag->description);
    if (!flag->default_text.empty() && flag->default_text != "false") {
      out += fmt::format(" (default {})", flag->default_text);
    }
    out += '\n';
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> FlagSet::SetFlags() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (auto& info : AllFlags()) {
    if (info.is_set) out.emplace_back(info.name, info.value);
  }
  return out;
}

std::vector<FlagSet::Info> FlagSet::AllFlags() const {
  std::vector<Info> out;
  for (const auto& [name, flag] : flags_) {
    out.push_back({name, IsSecret(name) ? "secret" : flag->text, flag->is_set});
  }
  return out;
}

Result<std::chrono::nanoseconds> ParseGoDuration(std::string_view text) {
  const std::string original(text);
  const auto invalid = [&] { return Invalid(fmt::format("invalid duration \"{}\"", original)); };
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text == "0") return std::chrono::nanoseconds(0);
  if (text.empty()) return invalid();
  static constexpr std::array<std::pair<std::string_view, double>, 8> kUnits = {{
      {"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"μs", 1e3}, {"ms", 1e6}, {"s", 1e9},
      {"m", 60e9}, {"h", 3600e9},
  }};
  double total_ns = 0;
  while (!text.empty()) {
    size_t digits = 0;
    while (digits < text.size() && (std::isdigit(static_cast<unsigned char>(text[digits])) != 0 ||
                                    text[digits] == '.')) {
      ++digits;
    }
    double number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + digits, number);
    if (digits == 0 || parsed.ec != std::errc() || parsed.ptr != text.data() + digits) {
      return invalid();
    }
    text.remove_prefix(digits);
    size_t unit_size = 0;
    while (unit_size < text.size() && text[unit_size] != '.' &&
           std::isdigit(static_cast<unsigned char>(text[unit_size])) == 0) {
      ++unit_size;
    }
    const auto unit = std::find_if(kUnits.begin(), kUnits.end(), [&](const auto& candidate) {
      return candidate.first == text.substr(0, unit_size);
    });
    if (unit == kUnits.end()) return invalid();
    total_ns += number * unit->second;
    text.remove_prefix(unit_size);
  }
  if (total_ns > 9.2e18) return invalid();
  const auto ns = static_cast<int64_t>(std::llround(total_ns));
  return std::chrono::nanoseconds(negative ? -ns : ns);
}

Result<int64_t> ParseBytes(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 8> kUnits = {{
      {"kib", 1024.0}, {"mib", 1048576.0}, {"gib", 1073741824.0}, {"tib", 1099511627776.0},
      {"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12},
  }};
  const std::string lower = Lower(text);
  std::string_view number = lower;
  double factor = 1;
  for (const auto& [suffix, value] : kUnits) {
    if (number.ends_with(suffix)) {
      number.remove_suffix(suffix.size());
      factor = value;
      break;
    }
  }
  double value = 0;
  if (!ParseFloat(number, value) || std::isnan(value)) {
    return Invalid(fmt::format("cannot parse bytes \"{}\"", text));
  }
  // More than anybody has means no limit; with room for sums.
  constexpr double kMax = 4611686018427387904.0;
  return static_cast<int64_t>(std::clamp(value * factor, -kMax, kMax));
}

Result<int64_t> ParseRetention(std::string_view text) {
  const auto invalid = [&] { return Invalid(fmt::format("cannot parse retention \"{}\"", text)); };
  if (text.empty()) return invalid();
  static constexpr double kDayMs = 86400e3;
  static constexpr std::array<std::pair<char, double>, 6> kUnits = {{
      {'s', 1e3}, {'h', 3600e3}, {'d', kDayMs}, {'w', 7 * kDayMs}, {'M', 31 * kDayMs},
      {'y', 365 * kDayMs},
  }};
  double factor = 31 * kDayMs;
  std::string_view number = text;
  for (const auto& [suffix, value] : kUnits) {
    if (text.back() == suffix) {
      factor = value;
      number.remove_suffix(1);
      break;
    }
  }
  double value = 0;
  if (!ParseFloat(number, value) || !(value >= 0) || value * factor > 1200 * 31 * kDayMs) {
    return invalid();
  }
  return static_cast<int64_t>(value * factor);
}

std::vector<std::string> SplitArray(std::string_view text) {
  std::vector<std::string> items;
  if (text.empty()) return items;
  std::string item;
  std::string closers;  // What ends the quotes and brackets around the current position.
  bool quoted_item = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool in_quotes = !closers.empty() && (closers.back() == '"' || closers.back() == '\'');
    if (in_quotes) {
      if (c == '\\' && i + 1 < text.size()) {
        if (quoted_item) {
          const char next = text[++i];
          item += next == 'n' ? '\n' : next == 't' ? '\t' : next;
        } else {
          item += c;
          item += text[++i];
        }
        continue;
      }
      if (c == closers.back()) {
        closers.pop_back();
        if (quoted_item && closers.empty()) {
          quoted_item = false;
          continue;
        }
      }
      item += c;
      continue;
    }
    if (c == ',' && closers.empty()) {
      items.push_back(std::move(item));
      item.clear();
      continue;
    }
    if (!closers.empty() && c == closers.back()) {
      closers.pop_back();
    } else if (c == '[') {
      closers += ']';
    } else if (c == '(') {
      closers += ')';
    } else if (c == '{') {
      closers += '}';
    } else if (c == '"' || c == '\'') {
      closers += c;
      if (item.empty()) {
        quoted_item = true;
        continue;
      }
    }
    item += c;
  }
  items.push_back(std::move(item));
  return items;
}

}  // namespace vm::flags
