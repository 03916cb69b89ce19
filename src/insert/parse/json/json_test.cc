#include "insert/parse/json/json.h"

#include <gtest/gtest.h>

namespace vm::insert {
namespace {

TEST(JsonDocumentTest, GivesValuesInOrder) {
  JsonDocument document;
  ASSERT_TRUE(document.Parse(" {\"a\" : [1, -2.5e3 ,null,true,\"x\"],\"b\":{},\"c\":\"\\u00e9\\n\\q\\ud83d\\ude00\", \"d\":[[],[[]]]} ").ok());
  const JsonValue root = document.root();
  ASSERT_TRUE(root.is(JsonType::kObject));
  const JsonValue a = *root.Find("a");
  std::vector<JsonType> types;
  for (const JsonValue item : a) types.push_back(item.type());
  EXPECT_EQ(types, (std::vector<JsonType>{JsonType::kNumber, JsonType::kNumber, JsonType::kNull, JsonType::kTrue,
                                          JsonType::kString}));
  EXPECT_EQ((*a.begin()).AsInteger(), 1);
  EXPECT_EQ((*++a.begin()).AsNumber(), -2500);
  EXPECT_FALSE((*++a.begin()).AsInteger());
  EXPECT_EQ(root.FindText("c"), "\xc3\xa9\n\\q\xf0\x9f\x98\x80");
  EXPECT_FALSE(root.Find("e"));
  EXPECT_FALSE(root.FindOf(JsonType::kArray, "b"));
  size_t members = 0;
  for (const JsonValue member : root) members += member.key().size();
  EXPECT_EQ(members, 4u);
  EXPECT_FALSE(root.Find("b")->begin() != root.Find("b")->end());
}

TEST(JsonDocumentTest, TakesBareSpecialNumbers) {
  JsonDocument document;
  ASSERT_TRUE(document.Parse("[NaN, nan, Inf, -inf, +Infinity, -INFINITY]").ok());
  double sum = 0;
  for (const JsonValue item : document.root()) {
    ASSERT_TRUE(item.AsNumber()) << item.text();
    if (*item.AsNumber() > 0) ++sum;
  }
  EXPECT_EQ(sum, 2);
  ASSERT_TRUE(document.Parse("1.2.3").ok());
  EXPECT_FALSE(document.root().AsNumber());
}

TEST(JsonDocumentTest, RefusesWhatIsBroken) {
  for (const char* bad : {"", "{", "[", "[1", "[1,", "[1,]", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{a:1}", "\"x",
                          "\"x\\\"", "tru", "nul", "1 2", "[1 2]", "-", "+", "foo", "{\"a\":1}}"}) {
    JsonDocument document;
    EXPECT_FALSE(document.Parse(bad).ok()) << bad;
  }
  JsonDocument document;
  EXPECT_FALSE(document.Parse(std::string(100'000, '[')).ok());
  EXPECT_TRUE(document.Parse(std::string(300, '[') + std::string(300, ']')).ok());
}

}  // namespace
}  // namespace vm::insert
