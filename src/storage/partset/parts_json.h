#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/fs/file_system.h"

namespace vm::storage {

inline constexpr std::string_view kPartsFile = "parts.json";

/// Names of the parts of a month: parts.json of its small folder.
struct PartNames {
  std::vector<std::string> small;
  std::vector<std::string> big;

  bool operator==(const PartNames&) const = default;
};

/// `{"Small":["18EA24E83B59AE86"],"Big":[]}`, names sorted, as the original writes it.
std::string FormatPartNames(PartNames names);
/// Errors: kCorrupted; names must be plain file names.
Result<PartNames> ParsePartNames(std::string_view json);

/// `["18EA24E30971F741"]`: parts.json of an index table.
std::string FormatPartNameList(std::vector<std::string> names);
Result<std::vector<std::string>> ParsePartNameList(std::string_view json);

/// Names of the part folders in `path`, for a month without parts.json.
Result<std::vector<std::string>> ListPartFolders(fs::FileSystem& files, const std::string& path);

/// Remove what an unclean stop left in `path`: folders that are not in `names`, and `txn` and `tmp` of old versions.
/// Returns the paths of what was removed.
Result<std::vector<std::string>> RemoveUnlistedParts(fs::FileSystem& files, const std::string& path,
                                                     const std::vector<std::string>& names);

}  // namespace vm::storage
