#include "storage/partset/open_error.h"

#include <algorithm>

namespace vm::storage {

Error OpenError(fs::FileSystem& fs, const std::string& dir, std::span<const char* const> files, Error error) {
  const bool is_whole =
      std::all_of(files.begin(), files.end(), [&](const char* file) { return fs.Exists(fs::Join(dir, file)); });
  return is_whole ? error : Error(ErrorCode::kCorrupted, error.message());
}

}  // namespace vm::storage
