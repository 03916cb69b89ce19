#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "insert/parse/json/json.h"
#include "insert/parse/rows/parsed_rows.h"

namespace vm::insert {

struct ZabbixOptions {
  std::string groups_value;              // -zabbixconnector.addGroupsValue; empty: no labels for groups.
  std::string empty_tags_value;          // -zabbixconnector.addEmptyTagsValue; empty: no labels for tags without a value.
  std::string duplicate_tags_separator;  // -zabbixconnector.addDuplicateTagsSeparator; empty: tags are not merged.
};

/// One value of an item. Labels in the order of the reference: host, hostname, the name (its label has no name), groups, tags.
struct ZabbixRow {
  std::vector<model::LabelView> labels;
  double value = 0;
  int64_t timestamp = 0;  // Unix milliseconds.
};

/// Reads the lines of a body one by one. Reusable; not thread-safe. Reference: VictoriaMetrics lib/protoparser/zabbixconnector.
class ZabbixReader {
 public:
  /// `options` must outlive the reader.
  explicit ZabbixReader(const ZabbixOptions& options) : options_(options) {}

  /// Begin with `body`, which must stay until the last Next.
  void Start(std::string_view body, BadRowHandler on_bad_row);
  /// The next good line, valid until the next call; null at the end.
  const ZabbixRow* Next();
  size_t bad_count() const { return bad_count_; }

 private:
  /// The reason why the line is bad, or "".
  std::string ParseObject(const JsonValue& object);
  void AddTag(std::string_view prefix, std::string_view name, std::string_view value);
  void AddTags(const JsonValue& tags);

  const ZabbixOptions& options_;
  std::string_view rest_;
  BadRowHandler on_bad_row_;
  size_t bad_count_ = 0;
  JsonDocument document_;
  ZabbixRow row_;
  std::deque<std::string> texts_;  // Of row_, which are no part of the body.
};

}  // namespace vm::insert
