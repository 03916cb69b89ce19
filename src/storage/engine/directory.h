#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/fs/file_system.h"

namespace vm::storage {

/// Our own files in <path>/cache.
inline constexpr std::string_view kSeriesCacheFile = "series.vmcache";
inline constexpr std::string_view kNameUsageFile = "name_usage.vmcache";

/// Take a storage directory for this process: create it, lock it, refuse one that a restore left half written,
/// delete the cache files of the original and write `metadata/minTimestampForCompositeIndex` if it is missing.
/// Returns the lock. Errors: kUnavailable when another process has it, kIo, kCorrupted.
Result<std::unique_ptr<fs::FileLock>> OpenStorageDirectory(fs::FileSystem& file_system,
                                                           const std::string& path, int64_t now_ms);

}  // namespace vm::storage
