#include "insert/parse/influx/influx.h"

#include <charconv>
#include <optional>

#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

constexpr size_t kNone = std::string_view::npos;

std::string_view TrimLeft(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  return text;
}

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (text == word) return true;
  }
  return false;
}

std::optional<uint64_t> ParseUnsigned(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

/// Sets `value`; the reason why the text is bad, or an empty text. Words that are no number count as 0.
std::string ParseFieldValue(std::string_view text, double& value) {
  if (text.empty()) return "field value cannot be empty";
  if (text.front() == '"') {
    if (text.size() < 2 || text.back() != '"') {
      return "missing closing quote for quoted field value " + std::string(text) +
             "; this may be caused by a raw newline (`\\n`) inside the quoted field value";
    }
    // Some agents send numbers as texts.
    value = ParseNumber(text.substr(1, text.size() - 2)).value_or(0);
    return {};
  }
  const std::string_view digits = text.substr(0, text.size() - 1);
  if (text.back() == 'i') {
    const std::optional<int64_t> number = ParseInteger(digits);
    if (!number) return "cannot parse int64 from \"" + std::string(digits) + "\"";
    value = static_cast<double>(*number);
  } else if (text.back() == 'u') {
    const std::optional<uint64_t> number = ParseUnsigned(digits);
    if (!number) return "cannot parse uint64 from \"" + std::string(digits) + "\"";
    value = static_cast<double>(*number);
  } else if (IsOneOf(text, {"t", "T", "true", "True", "TRUE"})) {
    value = 1;
  } else if (IsOneOf(text, {"f", "F", "false", "False", "FALSE"})) {
    value = 0;
  } else {
    value = ParseNumber(text).value_or(0);
  }
  return {};
}

}  // namespace

size_t FindInflux(std::string_view text, char c, bool has_escapes, bool skips_quoted) {
  if (!has_escapes && !skips_quoted) return text.find(c);
  bool is_quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == c && !is_quoted) return i;
    if (has_escapes && text[i] == '\\') {
      // What follows is escaped; a backslash at the end is a plain one.
      ++i;
    } else if (skips_quoted && text[i] == '"') {
      is_quoted = !is_quoted;
    }
  }
  return kNone;
}

std::string UnescapeInflux(std::string_view text) {
  std::string dst;
  dst.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      dst += text[i];
      continue;
    }
    if (++i == text.size()) {
      dst += '\\';
      break;
    }
    if (text[i] != ' ' && text[i] != ',' && text[i] != '=' && text[i] != '\\') dst += '\\';
    dst += text[i];
  }
  return dst;
}

std::string_view InfluxLines::Unescape(std::string_view text) {
  if (text.find('\\') == kNone) return text;
  return texts_.emplace_back(UnescapeInflux(text));
}

Status InfluxLines::Parse(std::string_view body, bool skip_bad_lines, const BadRowHandler& on_bad_row) {
  rows_.clear();
  labels_.clear();
  fields_.clear();
  texts_.clear();
  bad_count_ = 0;
  while (!body.empty()) {
    const size_t newline = body.find('\n');
    std::string_view line = body.substr(0, newline);
    body.remove_prefix(newline == kNone ? body.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const size_t labels_before = labels_.size();
    const size_t fields_before = fields_.size();
    const std::string reason = ParseLine(line);
    if (reason.empty()) continue;
    if (!skip_bad_lines) {
      return Error(ErrorCode::kInvalidInput, "incorrect influx line \"" + std::string(line) + "\": " + reason);
    }
    labels_.resize(labels_before);
    fields_.resize(fields_before);
    ++bad_count_;
    if (on_bad_row) on_bad_row("skipping InfluxDB line \"" + std::string(line) + "\" because of error: " + reason);
  }
  return Ok();
}

std::string InfluxLines::ParseLine(std::string_view line) {
  InfluxRow row;
  const bool has_escapes = line.find('\\') != kNone;
  size_t blank = FindInflux(line, ' ', has_escapes);
  if (blank == kNone) return "cannot find Whitespace I in \"" + std::string(line) + "\"";
  std::string_view series = line.substr(0, blank);
  std::string_view rest = TrimLeft(line.substr(blank + 1));
  row.first_label = labels_.size();
  if (const size_t comma = FindInflux(series, ',', has_escapes); comma != kNone) {
    if (std::string reason = ParseTags(series.substr(comma + 1)); !reason.empty()) return reason;
    series = series.substr(0, comma);
  }
  row.labels_count = labels_.size() - row.first_label;
  row.measurement = Unescape(series);
  row.first_field = fields_.size();
  blank = FindInflux(rest, ' ', has_escapes, true);
  if (std::string reason = ParseFields(rest.substr(0, blank)); !reason.empty()) return reason;
  row.fields_count = fields_.size() - row.first_field;
  if (blank != kNone) {
    rest = TrimLeft(rest.substr(blank + 1));
    if (!rest.empty()) {
      const std::optional<int64_t> timestamp = ParseInteger(rest);
      if (!timestamp) return "cannot parse timestamp \"" + std::string(rest) + "\"";
      row.timestamp = *timestamp;
    }
  }
  rows_.push_back(row);
  return {};
}

std::string InfluxLines::ParseTags(std::string_view text) {
  const bool has_escapes = text.find('\\') != kNone;
  for (;;) {
    const size_t comma = FindInflux(text, ',', has_escapes);
    const std::string_view tag = text.substr(0, comma);
    const size_t equals = FindInflux(tag, '=', has_escapes);
    if (equals == kNone) return "missing tag value for \"" + std::string(tag) + "\"";
    const model::LabelView label{Unescape(tag.substr(0, equals)), Unescape(tag.substr(equals + 1))};
    if (!label.name.empty() && !label.value.empty()) labels_.push_back(label);
    if (comma == kNone) return {};
    text.remove_prefix(comma + 1);
  }
}

std::string InfluxLines::ParseFields(std::string_view text) {
  const bool has_escapes = text.find('\\') != kNone;
  for (;;) {
    const size_t comma = FindInflux(text, ',', has_escapes, true);
    const std::string_view item = text.substr(0, comma);
    const size_t equals = FindInflux(item, '=', has_escapes);
    if (equals == kNone) return "missing field value for \"" + std::string(item) + "\"";
    InfluxField field;
    field.key = Unescape(item.substr(0, equals));
    if (field.key.empty()) return "field key cannot be empty";
    if (std::string reason = ParseFieldValue(item.substr(equals + 1), field.value); !reason.empty()) {
      return "cannot parse field value for \"" + std::string(field.key) + "\": " + reason;
    }
    fields_.push_back(field);
    if (comma == kNone) return {};
    text.remove_prefix(comma + 1);
  }
}

InfluxTimestamps::InfluxTimestamps(std::string_view precision, int64_t trim_ms) : trim_ms_(trim_ms) {
  if (precision == "ns") divide_by_ = 1'000'000;
  if (precision == "u" || precision == "us" || precision == "µ") divide_by_ = 1000;
  if (precision == "ms") divide_by_ = 1;
  if (precision == "s") multiply_by_ = 1000;
  if (precision == "m") multiply_by_ = 60'000;
  if (precision == "h") multiply_by_ = 3'600'000;
}

int64_t InfluxTimestamps::ToMs(int64_t timestamp, int64_t now_ms) const {
  int64_t ms = 0;
  if (timestamp == 0) {
    ms = multiply_by_ > 0 ? now_ms - now_ms % multiply_by_ : now_ms;
  } else if (divide_by_ > 0) {
    ms = timestamp / divide_by_;
  } else {
    int64_t factor = multiply_by_;
    if (factor == 0) {
      if (timestamp >= 100'000'000'000'000'000) {
        timestamp /= 1'000'000;
      } else if (timestamp >= 100'000'000'000'000) {
        timestamp /= 1000;
      }
      // What was divided is above 1e10 already.
      factor = timestamp >= 100'000'000'000 ? 1 : 1000;
    }
    // Overflow wraps as it does in the reference.
    ms = static_cast<int64_t>(static_cast<uint64_t>(timestamp) * static_cast<uint64_t>(factor));
  }
  return trim_ms_ > 1 ? ms - ms % trim_ms_ : ms;
}

}  // namespace vm::insert
