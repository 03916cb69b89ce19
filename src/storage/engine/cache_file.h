#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/fs/file_system.h"

namespace vm::storage {

/// Writes a private cache file: a magic text, the digest of what the cache belongs to, then blocks with checksums and an
/// empty one at the end. The old file stays until Finish. Not thread-safe.
/// Format: docs/format/directory.md.
class CacheFileWriter {
 public:
  static Result<std::unique_ptr<CacheFileWriter>> Create(fs::FileSystem& files, std::string path,
                                                         std::string_view magic, uint64_t digest);
  /// Add a record; it does not cross blocks. Requires at most kMaxRecordSize bytes.
  Status Append(ByteView record);
  /// Make the file durable under its name.
  Status Finish();

  static constexpr size_t kMaxRecordSize = 64 << 10;

 private:
  CacheFileWriter(fs::FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  Status WriteBlock();

  fs::FileSystem& files_;
  const std::string path_;
  std::unique_ptr<fs::FileWriter> file_;
  ByteBuffer block_;
};

/// Reads what CacheFileWriter wrote. Not thread-safe.
class CacheFileReader {
 public:
  /// Null when there is no file, or when it belongs to something else. Errors: kIo.
  static Result<std::unique_ptr<CacheFileReader>> Open(fs::FileSystem& files, const std::string& path,
                                                       std::string_view magic, uint64_t digest);
  /// The records of the next block, one after the other; empty at the end. Valid until the next call.
  /// Errors: kCorrupted.
  Result<ByteView> NextBlock();

 private:
  explicit CacheFileReader(std::unique_ptr<fs::FileReader> file, uint64_t offset)
      : file_(std::move(file)), offset_(offset) {}

  std::unique_ptr<fs::FileReader> file_;
  uint64_t offset_;
  ByteBuffer block_;
};

/// What the caches of a storage belong to: the parts that all its months list. Errors: kIo.
Result<uint64_t> DigestOfParts(fs::FileSystem& files, const std::string& data_path);

}  // namespace vm::storage
