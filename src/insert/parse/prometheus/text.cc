#include "insert/parse/prometheus/text.h"


#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

constexpr auto kNotFound = std::string_view::npos;

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

std::string_view SkipBlanks(std::string_view s) {
  while (!s.empty() && IsBlank(s.front())) s.remove_prefix(1);
  return s;
}

std::string_view CutTrailingBlanks(std::string_view s) {
  while (!s.empty() && IsBlank(s.back())) s.remove_suffix(1);
  return s;
}

size_t FindBlank(std::string_view s) { return s.find_first_of(" \t"); }

size_t TrailingBackslashes(std::string_view s) {
  size_t count = 0;
  while (count < s.size() && s[s.size() - 1 - count] == '\\') ++count;
  return count;
}

// Numbers in the range of int32 are seconds (OpenMetrics), all others milliseconds.
int64_t TimestampFromNumber(double number) {
  if (number >= -2147483648.0 && number < 2147483648.0) number *= 1000;
  return TruncateToInt64(number);
}

bool TypeFromWord(std::string_view word, uint32_t& type) {
  static constexpr struct {
    std::string_view word;
    uint32_t type;
  } kTypes[] = {{"counter", 1}, {"gauge", 2},   {"histogram", 3}, {"summary", 5},
                {"untyped", 0}, {"unknown", 0}, {"info", 6},      {"gaugehistogram", 4},
                {"stateset", 7}};
  for (const auto& entry : kTypes) {
    if (entry.word == word) {
      type = entry.type;
      return true;
    }
  }
  return false;
}

std::string Quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

}  // namespace

size_t FindClosingQuote(std::string_view text) {
  if (text.empty() || text[0] != '"') return kNotFound;
  for (size_t at = text.find('"', 1); at != kNotFound; at = text.find('"', at + 1)) {
    if (TrailingBackslashes(text.substr(1, at - 1)) % 2 == 0) return at;
  }
  return kNotFound;
}

void PrometheusText::DropRows() {
  rows_.clear();
  labels_.clear();
}

void PrometheusText::Parse(std::string_view body, const BadLineHandler& on_bad_line, const LineTaker& take) {
  rows_.clear();
  labels_.clear();
  metadata_.clear();
  unescaped_.clear();
  bad_lines_count_ = 0;

  while (!body.empty()) {
    const size_t newline = body.find('\n');
    std::string_view line = body.substr(0, newline);
    body.remove_prefix(newline == kNotFound ? body.size() : newline + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    line = SkipBlanks(line);
    if (line.empty()) continue;
    if (line.front() == '#') {
      ParseMetadataLine(line, on_bad_line);
      continue;
    }
    if (take != nullptr && take(line)) continue;
    TextRow row;
    const size_t labels_before = labels_.size();
    const std::string_view reason = ParseRow(line, row);
    if (reason.empty()) {
      rows_.push_back(row);
      continue;
    }
    labels_.resize(labels_before);
    ++bad_lines_count_;
    if (on_bad_line) {
      on_bad_line("cannot unmarshal Prometheus line " + Quoted(line) + ": " + std::string(reason));
    }
  }
}

// Returns the reason why the line is bad, or an empty text.
std::string_view PrometheusText::ParseRow(std::string_view line, TextRow& row) {
  row.first_label = labels_.size();
  std::string_view rest;
  if (const size_t brace = line.find('{'); brace != kNotFound) {
    row.metric = CutTrailingBlanks(line.substr(0, brace));
    rest = line.substr(brace + 1);
    if (const std::string_view reason = ParseLabels(rest, row); !reason.empty()) return reason;
    row.labels_count = labels_.size() - row.first_label;
  } else {
    const size_t blank = FindBlank(line);
    if (blank == kNotFound) return "missing value";
    row.metric = line.substr(0, blank);
    rest = line.substr(blank + 1);
  }
  if (row.metric.empty()) return "metric cannot be empty";

  rest = SkipBlanks(rest);
  rest = rest.substr(0, rest.find('#'));  // An exemplar or a comment.
  if (rest.empty()) return "value cannot be empty";
  const size_t blank = FindBlank(rest);
  const std::optional<double> value = ParseNumber(rest.substr(0, blank));
  if (!value) return "cannot parse value";
  row.value = *value;
  if (blank == kNotFound) return {};

  rest = CutTrailingBlanks(SkipBlanks(rest.substr(blank + 1)));
  if (rest.empty()) return {};
  const std::optional<double> timestamp = ParseNumber(rest);
  if (!timestamp) return "cannot parse timestamp";
  row.timestamp = TimestampFromNumber(*timestamp);
  return {};
}

// Takes the labels and the closing brace off `rest`.
std::string_view PrometheusText::ParseLabels(std::string_view& rest, TextRow& row) {
  for (;;) {
    rest = SkipBlanks(rest);
    const size_t quote = rest.find('"');
    if (quote == kNotFound) {
      if (rest.empty() || rest.front() != '}') return "missing value for a label";
      rest.remove_prefix(1);
      return {};
    }
    std::string_view key = CutTrailingBlanks(rest.substr(0, quote));
    // The text before a quote may belong to what follows the closing brace.
    if (!rest.empty() && rest.front() == '}') {
      rest.remove_prefix(1);
      return {};
    }
    if (key.empty()) {
      if (!TakeQuoted(rest, key)) return "missing closing double quote";
      rest = SkipBlanks(rest);
      if (!rest.empty()) {
        if (rest.front() == ',' || rest.front() == '}') {
          if (!row.metric.empty()) return "duplicate metric name";
          row.metric = key;
          if (rest.size() > 1 && rest.front() == ',') rest.remove_prefix(1);
          continue;
        }
        if (rest.front() != '=') return "missing value for a quoted label";
        rest = SkipBlanks(rest.substr(1));
      }
    } else {
      if (key.back() != '=') return "missing value for an unquoted label";
      rest = SkipBlanks(rest.substr(key.size()));
      key.remove_suffix(1);
      key = CutTrailingBlanks(key);
    }
    std::string_view value;
    if (!TakeQuoted(rest, value)) return "missing quoted label value";
    if (!key.empty()) labels_.push_back(model::LabelView{key, value});
    rest = SkipBlanks(rest);
    if (!rest.empty() && rest.front() == '}') {
      rest.remove_prefix(1);
      return {};
    }
    if (rest.empty() || rest.front() != ',') return "missing comma after a label";
    rest.remove_prefix(1);
  }
}

bool PrometheusText::TakeQuoted(std::string_view& rest, std::string_view& dst) {
  const size_t end = FindClosingQuote(rest);
  if (end == kNotFound) return false;
  dst = Unescape(rest.substr(1, end - 1));
  rest.remove_prefix(end + 1);
  return true;
}

std::string_view PrometheusText::Unescape(std::string_view text) {
  size_t backslash = text.find('\\');
  if (backslash == kNotFound) return text;
  std::string& dst = unescaped_.emplace_back();
  dst.reserve(text.size());
  while (backslash != kNotFound) {
    dst.append(text.substr(0, backslash));
    text.remove_prefix(backslash + 1);
    if (text.empty()) {
      dst.push_back('\\');
      break;
    }
    switch (text.front()) {
      case '\\':
      case '"':
        dst.push_back(text.front());
        break;
      case 'n':
        dst.push_back('\n');
        break;
      default:
        dst.push_back('\\');
        dst.push_back(text.front());
    }
    text.remove_prefix(1);
    backslash = text.find('\\');
  }
  dst.append(text);
  return dst;
}

void PrometheusText::ParseMetadataLine(std::string_view line, const BadLineHandler& on_bad_line) {
  const std::string_view full_line = line;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  line = SkipBlanks(line);
  if (!line.starts_with("# ")) return;
  line.remove_prefix(2);
  const bool is_help = line.starts_with("HELP") && line.size() > 4 && IsBlank(line[4]);
  const bool is_type = line.starts_with("TYPE") && line.size() > 4 && IsBlank(line[4]);
  if (!is_help && !is_type) return;
  line.remove_prefix(5);

  const auto report = [&](std::string_view reason) {
    if (!on_bad_line) return;
    on_bad_line("cannot unmarshal metadata line " + Quoted(full_line) + ": " + std::string(reason));
  };
  const size_t blank = FindBlank(line);
  if (blank == kNotFound) {
    // A HELP line without text says nothing, and that is allowed.
    if (!is_help || line.empty()) report("wrong exposition format");
    return;
  }
  const std::string_view metric = line.substr(0, blank);
  const std::string_view text = line.substr(blank + 1);
  if (metadata_.empty() || metadata_.back().metric != metric) {
    metadata_.push_back(TextMetadata{.metric = metric, .type = 0, .help = {}});
  }
  TextMetadata& item = metadata_.back();
  if (is_help) {
    item.help = Unescape(text);
  } else if (!TypeFromWord(text, item.type)) {
    report("TYPE is invalid");
  }
}

}  // namespace vm::insert
