#include "storage/partset/unlisted_folder.h"

#include "lib/log/log.h"

namespace vm::storage {

UnlistedFolder::~UnlistedFolder() {
  if (path_.empty()) return;
  if (Status status = fs::RemoveUnlistedDirectory(files_, path_); !status.ok()) {
    VM_LOG_ERROR("cannot remove the unfinished part \"{}\", which goes at the next start: {}", path_,
                 status.error().message());
  }
}

}  // namespace vm::storage
