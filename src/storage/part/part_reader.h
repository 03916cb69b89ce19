#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/containers/piece_cache.h"
#include "lib/fs/file_system.h"
#include "lib/model/block.h"
#include "storage/part/metaindex.h"
#include "storage/part/part_writer.h"

namespace vm::storage {

/// Decoded frames of index.bin of all parts, for queries that look for series again and again.
using IndexBlockCache = containers::PieceCache<std::vector<model::BlockHeader>>;

/// Room for the bytes of one block.
struct BlockScratch {
  ByteBuffer timestamps;
  ByteBuffer values;
};

/// An immutable part, in files or in memory. The metaindex is held in memory, everything else is read when
/// asked for. Thread-safe; shared by searches and merges until the last one lets go.
class PartReader {
 public:
  static constexpr const char* kFiles[] = {kMetadataFile, kMetaindexFile, kIndexFile, kTimestampsFile, kValuesFile};

  /// Errors: kIo, kCorrupted; block contents are checked later, when they are read. `cache` may be null; else it keeps
  /// frames of index.bin for searches of some series.
  static Result<std::shared_ptr<const PartReader>> OpenFolder(fs::FileSystem& files, const std::string& path,
                                                              std::shared_ptr<IndexBlockCache> cache = nullptr);
  static Result<std::shared_ptr<const PartReader>> FromMemory(PartBuffers buffers);
  ~PartReader();
  PartReader(const PartReader&) = delete;
  PartReader& operator=(const PartReader&) = delete;

  /// Write a part that is in memory to the new folder `path`, the same blocks, durable. Requires a part from FromMemory.
  /// Errors: kIo; the folder is gone then.
  Status StoreTo(fs::FileSystem& files, const std::string& path) const;

  const PartHeader& header() const noexcept { return header_; }
  std::span<const MetaindexRow> metaindex() const noexcept { return metaindex_; }
  /// Folder of the part, or "inmemory".
  const std::string& path() const noexcept { return path_; }
  /// Bytes of the .bin files, or of what stands for them in memory.
  uint64_t size_bytes() const noexcept { return size_bytes_; }

  /// The block headers of one frame of index.bin, sorted by TSID.
  Result<std::vector<model::BlockHeader>> ReadIndexBlock(const MetaindexRow& row) const;
  /// The same by the number of the frame, through the cache. Never null.
  Result<IndexBlockCache::Piece> GetIndexBlock(size_t row) const;

  /// The bytes of a block: views into the part, or into `scratch` when files are not mapped. They live as
  /// long as both, unchanged.
  Status ReadBlock(const model::BlockHeader& header, BlockScratch& scratch, model::EncodedBlock& block) const;

 private:
  PartReader() = default;
  Status Init(ByteView metaindex);
  Result<ByteView> View(const fs::FileReader* file, const ByteBuffer& memory, uint64_t offset, size_t size,
                        ByteBuffer& scratch) const;

  std::string path_;
  PartHeader header_;
  std::vector<MetaindexRow> metaindex_;
  // Either the files or the buffers are used.
  std::unique_ptr<fs::FileReader> timestamps_, values_, index_;
  PartBuffers buffers_;
  uint64_t size_bytes_ = 0;
  std::shared_ptr<IndexBlockCache> cache_;
  uint64_t cache_id_ = 0;
};

/// Walks the blocks of a part in (TSID, min_timestamp) order. Not thread-safe.
class PartSearch {
 public:
  /// All blocks.
  explicit PartSearch(std::shared_ptr<const PartReader> part);
  /// Blocks of the given series that overlap `range`. Requires `tsids` sorted; they must outlive the search.
  PartSearch(std::shared_ptr<const PartReader> part, std::span<const model::Tsid> tsids,
             model::TimeRange range);

  /// Go to the next block; false at the end. Errors: kCorrupted, naming the part.
  Result<bool> Next();
  /// The current block. Requires that Next returned true.
  const model::EncodedBlock& block() const noexcept { return block_; }

 private:
  Result<bool> NextHeader();
  Result<bool> LoadIndexBlock();

  std::shared_ptr<const PartReader> part_;
  std::span<const model::Tsid> tsids_;
  model::TimeRange range_;
  bool all_;
  size_t tsid_ = 0;
  size_t row_ = 0;
  IndexBlockCache::Piece headers_;
  size_t header_ = 0;
  BlockScratch scratch_;
  model::EncodedBlock block_;
};

}  // namespace vm::storage
