#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "insert/parse/prometheus/number.h"
#include "insert/parse/rows/parsed_rows.h"

namespace vm::insert {

/// For tests: the shared cases of a kind, and of a protocol when it is not empty.
inline std::vector<nlohmann::json> ConformanceCases(const std::string& kind, const std::string& protocol = "") {
  std::vector<nlohmann::json> cases;
  std::ifstream file(std::string(VM_SHARED_DIR) + "/conformance/ingest.jsonl");
  for (std::string line; std::getline(file, line);) {
    nlohmann::json item = nlohmann::json::parse(line);
    if (item["kind"] != kind || (!protocol.empty() && item["protocol"] != protocol)) continue;
    cases.push_back(std::move(item));
  }
  return cases;
}

inline double ConformanceNumber(const nlohmann::json& value) {
  return value.is_number() ? value.get<double>() : ParseNumber(value.get<std::string>()).value();
}

inline void ExpectSameNumber(double got, double want) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got));
  } else {
    EXPECT_EQ(got, want);
  }
}

/// Tags as [["key", "value"], ...], sorted.
inline nlohmann::json ConformanceTags(const nlohmann::json& row) {
  nlohmann::json list = nlohmann::json::array();
  if (row.contains("tag_list")) {
    list = row["tag_list"];
  } else {
    const nlohmann::json tags = row.value("tags", nlohmann::json::object());
    for (const auto& [key, value] : tags.items()) list.push_back({key, value});
  }
  std::sort(list.begin(), list.end());
  return list;
}

inline nlohmann::json TagsOf(std::span<const model::LabelView> labels) {
  nlohmann::json list = nlohmann::json::array();
  for (const model::LabelView& label : labels) list.push_back({std::string(label.name), std::string(label.value)});
  std::sort(list.begin(), list.end());
  return list;
}

/// Compares the rows with "expected_rows"; a timestamp "now" is `now`.
inline void ExpectRows(const ParsedRows& rows, const nlohmann::json& want, int64_t now = 0) {
  ASSERT_EQ(rows.rows.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    const ParsedRow& row = rows.rows[i];
    EXPECT_EQ(row.metric, want[i]["metric"].get<std::string>());
    EXPECT_EQ(TagsOf(rows.LabelsOf(row)), ConformanceTags(want[i]));
    ExpectSameNumber(row.value, ConformanceNumber(want[i]["value"]));
    EXPECT_EQ(row.timestamp, want[i]["timestamp"] == "now" ? now : want[i]["timestamp"].get<int64_t>());
  }
}

}  // namespace vm::insert
