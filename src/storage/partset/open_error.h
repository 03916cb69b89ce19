#pragma once

#include <span>
#include <string>

#include "lib/base/result.h"
#include "lib/fs/file_system.h"

namespace vm::storage {

/// What came of opening a listed part in folder `dir`: `error`, which becomes kCorrupted when one of `files` is missing,
/// since that does not pass.
Error OpenError(fs::FileSystem& fs, const std::string& dir, std::span<const char* const> files, Error error);

}  // namespace vm::storage
