#include <gtest/gtest.h>

#include "storage/partset/parts_json.h"
#include "storage/partset/select_parts.h"

namespace vm::storage {
namespace {

TEST(PartNamesTest, HasTheBytesOfTheOriginal) {
  EXPECT_EQ(FormatPartNames({{"18EA24E83B59AE86"}, {}}), R"({"Small":["18EA24E83B59AE86"],"Big":[]})");
  EXPECT_EQ(FormatPartNames({}), R"({"Small":[],"Big":[]})");
  EXPECT_EQ(FormatPartNameList({"B", "A"}), R"(["A","B"])");
  EXPECT_EQ(FormatPartNameList({}), "[]");
}

TEST(PartNamesTest, ReadsAnyFormatting) {
  auto names = ParsePartNames("{ \"Big\" : [\"X\"],\n \"Small\": null }");
  ASSERT_TRUE(names.ok());
  EXPECT_EQ(names.value(), (PartNames{{}, {"X"}}));
  EXPECT_FALSE(ParsePartNames("[").ok());
  EXPECT_FALSE(ParsePartNames(R"({"Small":["../x"]})").ok());
}

TEST(SelectPartsTest, WantsEightOfSimilarSize) {
  const std::vector<PartSize> seven(7, PartSize{100, 0});
  EXPECT_TRUE(SelectPartsToMerge(seven, 1'000'000).empty());
  const std::vector<PartSize> eight(8, PartSize{100, 0});
  EXPECT_EQ(SelectPartsToMerge(eight, 1'000'000).size(), 8u);
  EXPECT_TRUE(SelectPartsToMerge(eight, 799).empty());
  const std::vector<PartSize> many(40, PartSize{100, 0});
  EXPECT_EQ(SelectPartsToMerge(many, 1'000'000).size(), 15u);
}

TEST(SelectPartsTest, LeavesLargePartsAlone) {
  std::vector<PartSize> parts(9, PartSize{100, 0});
  parts.push_back({1'000'000, 0});
  const auto selected = SelectPartsToMerge(parts, 100'000'000);
  EXPECT_EQ(selected.size(), 9u);
}

}  // namespace
}  // namespace vm::storage
