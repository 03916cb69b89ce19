#include "storage/engine/cache_file.h"

#include <fmt/format.h>

#include "lib/hash/xxhash.h"

namespace vm::storage {
namespace {

constexpr size_t kBlockSize = 256 << 10;
constexpr size_t kBlockHeadSize = 12;  // u32 size, u64 XXH64 of the block.

std::string TemporaryPath(const std::string& path) { return path + ".tmp"; }

}  // namespace

Result<std::unique_ptr<CacheFileWriter>> CacheFileWriter::Create(fs::FileSystem& files, std::string path,
                                                                 std::string_view magic, uint64_t digest) {
  std::unique_ptr<CacheFileWriter> writer(new CacheFileWriter(files, std::move(path)));
  VM_ASSIGN_OR_RETURN(writer->file_, files.CreateWriter(TemporaryPath(writer->path_)));
  ByteBuffer head;
  vm::Append(head, magic);
  AppendBigEndian(head, digest);
  VM_TRY(writer->file_->Append(head));
  return writer;
}

Status CacheFileWriter::Append(ByteView record) {
  if (block_.size() + record.size() > kBlockSize) VM_TRY(WriteBlock());
  vm::Append(block_, record);
  return Ok();
}

Status CacheFileWriter::WriteBlock() {
  ByteBuffer head;
  AppendBigEndian(head, static_cast<uint32_t>(block_.size()));
  AppendBigEndian(head, hash::XXH64(block_));
  VM_TRY(file_->Append(head));
  VM_TRY(file_->Append(block_));
  block_.clear();
  return Ok();
}

Status CacheFileWriter::Finish() {
  if (!block_.empty()) VM_TRY(WriteBlock());
  VM_TRY(WriteBlock());
  VM_TRY(file_->Sync());
  VM_TRY(file_->Close());
  VM_TRY(files_.Rename(TemporaryPath(path_), path_));
  return files_.SyncDirectory(fs::ParentPath(path_));
}

Result<std::unique_ptr<CacheFileReader>> CacheFileReader::Open(fs::FileSystem& files, const std::string& path,
                                                               std::string_view magic, uint64_t digest) {
  if (!files.Exists(path)) return std::unique_ptr<CacheFileReader>();
  VM_ASSIGN_OR_RETURN(auto file, files.OpenReader(path));
  ByteBuffer head(magic.size() + 8);
  if (file->size() < head.size()) return std::unique_ptr<CacheFileReader>();
  VM_TRY(file->ReadAt(0, head));
  const bool is_ours = AsText(ByteView(head).first(magic.size())) == magic &&
                       LoadBigEndian<uint64_t>(head.data() + magic.size()) == digest;
  if (!is_ours) return std::unique_ptr<CacheFileReader>();
  return std::unique_ptr<CacheFileReader>(new CacheFileReader(std::move(file), head.size()));
}

Result<ByteView> CacheFileReader::NextBlock() {
  uint8_t head[kBlockHeadSize];
  VM_TRY(file_->ReadAt(offset_, head));
  const uint32_t size = LoadBigEndian<uint32_t>(head);
  if (size > kBlockSize + CacheFileWriter::kMaxRecordSize) {
    return Error(ErrorCode::kCorrupted, fmt::format("a block of a cache file claims {} bytes", size));
  }
  block_.resize(size);
  VM_TRY(file_->ReadAt(offset_ + kBlockHeadSize, block_));
  if (hash::XXH64(block_) != LoadBigEndian<uint64_t>(head + 4)) {
    return Error(ErrorCode::kCorrupted, "a block of a cache file does not match its checksum");
  }
  offset_ += kBlockHeadSize + size;
  return ByteView(block_);
}

Result<uint64_t> DigestOfParts(fs::FileSystem& files, const std::string& data_path) {
  ByteBuffer all;
  for (const char* kind : {"small", "indexdb"}) {
    const std::string parent = fs::Join(data_path, kind);
    if (!files.Exists(parent)) continue;
    VM_ASSIGN_OR_RETURN(const auto months, files.ListDirectory(parent));
    for (const fs::DirEntry& month : months) {
      const std::string list = fs::Join(fs::Join(parent, month.name), "parts.json");
      if (!month.is_directory || month.name == "snapshots" || !files.Exists(list)) continue;
      VM_ASSIGN_OR_RETURN(const ByteBuffer json, files.ReadFile(list));
      Append(all, fmt::format("{}/{}\n", kind, month.name));
      Append(all, json);
    }
  }
  return hash::XXH64(all);
}

}  // namespace vm::storage
