#include "storage/partset/link_part.h"

namespace vm::storage {

Status LinkPart(fs::FileSystem& files, const std::string& from, const std::string& to) {
  VM_TRY(files.CreateDirectory(to));
  VM_ASSIGN_OR_RETURN(const auto entries, files.ListDirectory(from));
  for (const fs::DirEntry& entry : entries) {
    if (!entry.is_directory) VM_TRY(files.HardLink(fs::Join(from, entry.name), fs::Join(to, entry.name)));
  }
  return files.SyncDirectory(to);
}

}  // namespace vm::storage
