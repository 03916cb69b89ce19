#pragma once

#include <string>

#include "lib/base/result.h"
#include "lib/fs/file_system.h"

namespace vm::storage {

/// Make the new directory `to` with the files of the part in `from` under a second name, durable. The files of a part
/// never change, so the copy stays whole when the part is merged away. `to`'s parent must exist.
Status LinkPart(fs::FileSystem& files, const std::string& from, const std::string& to);

}  // namespace vm::storage
