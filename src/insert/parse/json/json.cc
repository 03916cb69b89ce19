#include "insert/parse/json/json.h"

#include <algorithm>
#include <charconv>

#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

constexpr int kMaxDepth = 300;

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

void SkipBlanks(std::string_view& rest) {
  size_t i = 0;
  while (i < rest.size() && (rest[i] == ' ' || rest[i] == '\n' || rest[i] == '\t' || rest[i] == '\r')) ++i;
  rest.remove_prefix(i);
}

bool TakeWord(std::string_view& rest, std::string_view word) {
  if (!rest.starts_with(word)) return false;
  rest.remove_prefix(word.size());
  return true;
}

bool StartsWithFolded(std::string_view text, std::string_view lower) {
  if (text.size() < lower.size()) return false;
  for (size_t i = 0; i < lower.size(); ++i) {
    if ((text[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

/// The length of the number at the front of `text`, or 0.
size_t NumberSize(std::string_view text) {
  size_t i = 0;
  while (i < text.size() && ((text[i] >= '0' && text[i] <= '9') || text[i] == '.' || text[i] == '-' || text[i] == '+' ||
                             text[i] == 'e' || text[i] == 'E')) {
    ++i;
  }
  if (i > 1 || (i == 1 && text[0] != '-' && text[0] != '+')) return i;
  const std::string_view word = text.substr(i);
  for (const std::string_view special : {"infinity", "inf", "nan"}) {
    if (StartsWithFolded(word, special)) return i + special.size();
  }
  return 0;
}

void AppendUtf8(std::string& dst, uint32_t code) {
  if (code < 0x80) {
    dst += static_cast<char>(code);
  } else if (code < 0x800) {
    dst += static_cast<char>(0xc0 | (code >> 6));
    dst += static_cast<char>(0x80 | (code & 63));
  } else if (code < 0x10000) {
    dst += static_cast<char>(0xe0 | (code >> 12));
    dst += static_cast<char>(0x80 | ((code >> 6) & 63));
    dst += static_cast<char>(0x80 | (code & 63));
  } else {
    dst += static_cast<char>(0xf0 | (code >> 18));
    dst += static_cast<char>(0x80 | ((code >> 12) & 63));
    dst += static_cast<char>(0x80 | ((code >> 6) & 63));
    dst += static_cast<char>(0x80 | (code & 63));
  }
}

/// Four hex digits at the front of `text`.
std::optional<uint32_t> HexCode(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  uint32_t code = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + 4, code, 16);
  if (error != std::errc() || stop != text.data() + 4) return std::nullopt;
  return code;
}

}  // namespace

JsonType JsonValue::type() const { return document_->nodes_[index_].type; }
std::string_view JsonValue::key() const { return document_->nodes_[index_].key; }
std::string_view JsonValue::text() const { return document_->nodes_[index_].text; }

std::optional<double> JsonValue::AsNumber() const {
  return type() == JsonType::kNumber ? ParseNumber(text()) : std::nullopt;
}

std::optional<int64_t> JsonValue::AsInteger() const {
  return type() == JsonType::kNumber ? ParseInteger(text()) : std::nullopt;
}

std::optional<JsonValue> JsonValue::Find(std::string_view name) const {
  if (type() != JsonType::kObject) return std::nullopt;
  for (const JsonValue member : *this) {
    if (member.key() == name) return member;
  }
  return std::nullopt;
}

std::optional<JsonValue> JsonValue::FindOf(JsonType type_in, std::string_view name) const {
  const std::optional<JsonValue> member = Find(name);
  return member && member->is(type_in) ? member : std::nullopt;
}

std::string_view JsonValue::FindText(std::string_view name) const {
  const std::optional<JsonValue> member = FindOf(JsonType::kString, name);
  return member ? member->text() : std::string_view();
}

JsonValue::Iterator& JsonValue::Iterator::operator++() {
  index_ = document_->nodes_[index_].end;
  return *this;
}

JsonValue::Iterator JsonValue::begin() const {
  const bool has_items = type() == JsonType::kArray || type() == JsonType::kObject;
  return Iterator(document_, has_items ? index_ + 1 : document_->nodes_[index_].end);
}

JsonValue::Iterator JsonValue::end() const { return Iterator(document_, document_->nodes_[index_].end); }

Status JsonDocument::Parse(std::string_view text) {
  nodes_.clear();
  texts_.clear();
  std::string_view rest = text;
  SkipBlanks(rest);
  VM_TRY(ParseValue(rest, {}, 0));
  SkipBlanks(rest);
  if (!rest.empty()) return Bad("unexpected tail: \"" + std::string(rest.substr(0, 80)) + "\"");
  return Ok();
}

Status JsonDocument::ParseValue(std::string_view& rest, std::string_view key, int depth) {
  if (rest.empty()) return Bad("cannot parse empty string");
  if (depth > kMaxDepth) return Bad("too big depth for the nested JSON; it exceeds " + std::to_string(kMaxDepth));
  const size_t index = nodes_.size();
  nodes_.emplace_back();
  nodes_[index].key = key;
  switch (rest.front()) {
    case '{':
      nodes_[index].type = JsonType::kObject;
      VM_TRY(ParseObject(rest, depth + 1));
      break;
    case '[':
      nodes_[index].type = JsonType::kArray;
      VM_TRY(ParseArray(rest, depth + 1));
      break;
    case '"': {
      nodes_[index].type = JsonType::kString;
      VM_ASSIGN_OR_RETURN(nodes_[index].text, TakeString(rest));
      break;
    }
    default:
      if (TakeWord(rest, "true")) {
        nodes_[index].type = JsonType::kTrue;
      } else if (TakeWord(rest, "false")) {
        nodes_[index].type = JsonType::kFalse;
      } else if (TakeWord(rest, "null")) {
        nodes_[index].type = JsonType::kNull;
      } else {
        const size_t size = NumberSize(rest);
        if (size == 0) return Bad("unexpected value found: \"" + std::string(rest.substr(0, 80)) + "\"");
        nodes_[index].type = JsonType::kNumber;
        nodes_[index].text = rest.substr(0, size);
        rest.remove_prefix(size);
      }
  }
  nodes_[index].end = static_cast<uint32_t>(nodes_.size());
  return Ok();
}

Status JsonDocument::ParseArray(std::string_view& rest, int depth) {
  rest.remove_prefix(1);
  SkipBlanks(rest);
  if (TakeWord(rest, "]")) return Ok();
  for (;;) {
    SkipBlanks(rest);
    VM_TRY(ParseValue(rest, {}, depth));
    SkipBlanks(rest);
    if (TakeWord(rest, "]")) return Ok();
    if (!TakeWord(rest, ",")) return Bad("missing ',' after array value");
  }
}

Status JsonDocument::ParseObject(std::string_view& rest, int depth) {
  rest.remove_prefix(1);
  SkipBlanks(rest);
  if (TakeWord(rest, "}")) return Ok();
  for (;;) {
    SkipBlanks(rest);
    if (rest.empty() || rest.front() != '"') return Bad("cannot find opening '\"' for object key");
    VM_ASSIGN_OR_RETURN(const std::string_view key, TakeString(rest));
    SkipBlanks(rest);
    if (!TakeWord(rest, ":")) return Bad("missing ':' after object key");
    SkipBlanks(rest);
    VM_TRY(ParseValue(rest, key, depth));
    SkipBlanks(rest);
    if (TakeWord(rest, "}")) return Ok();
    if (!TakeWord(rest, ",")) return Bad("missing ',' after object value");
  }
}

Result<std::string_view> JsonDocument::TakeString(std::string_view& rest) {
  bool is_escaped = false;
  for (size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '\\') {
      is_escaped = true;
      ++i;
    } else if (rest[i] == '"') {
      const std::string_view raw = rest.substr(1, i - 1);
      rest.remove_prefix(i + 1);
      return is_escaped ? Unescape(raw) : raw;
    }
  }
  return Bad("missing closing '\"'");
}

std::string_view JsonDocument::Unescape(std::string_view raw) {
  std::string& dst = texts_.emplace_back();
  dst.reserve(raw.size());
  while (!raw.empty()) {
    const size_t backslash = raw.find('\\');
    dst.append(raw.substr(0, backslash));
    if (backslash == std::string_view::npos) break;
    raw.remove_prefix(backslash + 1);
    if (raw.empty()) break;
    const char c = raw.front();
    raw.remove_prefix(1);
    switch (c) {
      case '"':
      case '\\':
      case '/': dst += c; break;
      case 'b': dst += '\b'; break;
      case 'f': dst += '\f'; break;
      case 'n': dst += '\n'; break;
      case 'r': dst += '\r'; break;
      case 't': dst += '\t'; break;
      case 'u': {
        std::optional<uint32_t> code = HexCode(raw);
        if (!code) {
          dst += "\\u";
          break;
        }
        raw.remove_prefix(4);
        if (*code >= 0xd800 && *code < 0xdc00 && raw.starts_with("\\u")) {
          const std::optional<uint32_t> low = HexCode(raw.substr(2));
          if (low && *low >= 0xdc00 && *low < 0xe000) {
            code = 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00);
            raw.remove_prefix(6);
          }
        }
        if (*code >= 0xd800 && *code < 0xe000) code = 0xfffd;  // Half of a pair is no character.
        AppendUtf8(dst, *code);
        break;
      }
      default:
        dst += '\\';
        dst += c;
    }
  }
  return dst;
}

}  // namespace vm::insert
