#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace vm::insert {

enum class JsonType : uint8_t { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };

class JsonDocument;

/// A value inside a JsonDocument; valid until the document parses again. Copy it freely.
class JsonValue {
 public:
  JsonType type() const;
  bool is(JsonType type_in) const { return type() == type_in; }
  /// The key of a member of an object, unescaped.
  std::string_view key() const;
  /// A string, unescaped; the digits of a number; else "".
  std::string_view text() const;
  /// A number; nothing for other types and malformed ones.
  std::optional<double> AsNumber() const;
  std::optional<int64_t> AsInteger() const;

  /// The first member of that name; nothing for other types too.
  std::optional<JsonValue> Find(std::string_view name) const;
  /// The same when it is an array, an object, or a string.
  std::optional<JsonValue> FindOf(JsonType type_in, std::string_view name) const;
  /// The text of a string member, or "".
  std::string_view FindText(std::string_view name) const;

  /// Items of an array or members of an object, in order.
  class Iterator {
   public:
    Iterator(const JsonDocument* document, uint32_t index) : document_(document), index_(index) {}
    JsonValue operator*() const { return JsonValue(document_, index_); }
    Iterator& operator++();
    bool operator!=(const Iterator& other) const { return index_ != other.index_; }

   private:
    const JsonDocument* document_;
    uint32_t index_;
  };
  Iterator begin() const;
  Iterator end() const;

 private:
  friend class JsonDocument;
  JsonValue(const JsonDocument* document, uint32_t index) : document_(document), index_(index) {}

  const JsonDocument* document_;
  uint32_t index_;
};

/// A parsed text. Reusable: its memory is kept. Not thread-safe.
class JsonDocument {
 public:
  /// Replace the content. Views stay valid as long as `text` and until the next call. Errors: kInvalidInput.
  Status Parse(std::string_view text);
  /// Requires a successful Parse.
  JsonValue root() const { return JsonValue(this, 0); }

 private:
  friend class JsonValue;
  struct Node {
    JsonType type = JsonType::kNull;
    uint32_t end = 0;  // Index behind this value and all inside of it.
    std::string_view key;
    std::string_view text;
  };

  Status ParseValue(std::string_view& rest, std::string_view key, int depth);
  Status ParseArray(std::string_view& rest, int depth);
  Status ParseObject(std::string_view& rest, int depth);
  Result<std::string_view> TakeString(std::string_view& rest);
  std::string_view Unescape(std::string_view raw);

  std::vector<Node> nodes_;        // A value, then what is inside of it.
  std::deque<std::string> texts_;  // Unescaped strings.
};

}  // namespace vm::insert
