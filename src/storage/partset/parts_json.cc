#include "storage/partset/parts_json.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "lib/log/log.h"

namespace vm::storage {
namespace {

std::string FormatList(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return nlohmann::json(names).dump();
}

Result<std::vector<std::string>> TakeList(const nlohmann::json& json) {
  std::vector<std::string> names;
  if (json.is_null()) return names;
  if (!json.is_array()) return Error(ErrorCode::kCorrupted, "cannot parse part names: no JSON array");
  for (const nlohmann::json& item : json) {
    if (!item.is_string()) return Error(ErrorCode::kCorrupted, "cannot parse part names: a name is no string");
    std::string name = item.get<std::string>();
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
      return Error(ErrorCode::kCorrupted, "cannot parse part names: bad name \"" + name + "\"");
    }
    names.push_back(std::move(name));
  }
  return names;
}

Result<std::vector<std::string>> TakeMember(const nlohmann::json& json, const char* name) {
  const auto it = json.find(name);
  if (it == json.end()) return std::vector<std::string>();
  return TakeList(*it);
}

}  // namespace

std::string FormatPartNames(PartNames names) {
  return "{\"Small\":" + FormatList(std::move(names.small)) + ",\"Big\":" + FormatList(std::move(names.big)) + "}";
}

Result<PartNames> ParsePartNames(std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Error(ErrorCode::kCorrupted, "cannot parse part names: no JSON object");
  PartNames names;
  VM_ASSIGN_OR_RETURN(names.small, TakeMember(json, "Small"));
  VM_ASSIGN_OR_RETURN(names.big, TakeMember(json, "Big"));
  return names;
}

std::string FormatPartNameList(std::vector<std::string> names) { return FormatList(std::move(names)); }

Result<std::vector<std::string>> ParsePartNameList(std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) return Error(ErrorCode::kCorrupted, "cannot parse part names: no JSON");
  return TakeList(json);
}

Result<std::vector<std::string>> ListPartFolders(fs::FileSystem& files, const std::string& path) {
  VM_ASSIGN_OR_RETURN(const std::vector<fs::DirEntry> entries, files.ListDirectory(path));
  std::vector<std::string> names;
  for (const fs::DirEntry& entry : entries) {
    if (!entry.is_directory || entry.name == "tmp" || entry.name == "txn" || entry.name == "snapshots") continue;
    names.push_back(entry.name);
  }
  return names;
}

Result<std::vector<std::string>> RemoveUnlistedParts(fs::FileSystem& files, const std::string& path,
                                                     const std::vector<std::string>& names) {
  std::vector<std::string> removed;
  VM_ASSIGN_OR_RETURN(const std::vector<fs::DirEntry> entries, files.ListDirectory(path));
  for (const fs::DirEntry& entry : entries) {
    if (!entry.is_directory || std::find(names.begin(), names.end(), entry.name) != names.end()) continue;
    removed.push_back(fs::Join(path, entry.name));
    VM_TRY(fs::RemoveUnlistedDirectory(files, removed.back()));
    VM_LOG_INFO("deleting \"{}\" because it isn't listed in \"{}\"; this is the expected case after unclean shutdown",
                removed.back(), fs::Join(path, kPartsFile));
  }
  return removed;
}

}  // namespace vm::storage
