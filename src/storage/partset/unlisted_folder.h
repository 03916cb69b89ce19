#pragma once

#include <string>

#include "lib/fs/file_system.h"

namespace vm::storage {

/// The folder of a part that is being written and not listed yet: it goes unless it is kept. What cannot be removed is
/// logged; it goes at the next start.
class UnlistedFolder {
 public:
  UnlistedFolder(fs::FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  UnlistedFolder(const UnlistedFolder&) = delete;
  UnlistedFolder& operator=(const UnlistedFolder&) = delete;
  ~UnlistedFolder();
  void Keep() noexcept { path_.clear(); }

 private:
  fs::FileSystem& files_;
  std::string path_;
};

}  // namespace vm::storage
