#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/containers/key_filter.h"
#include "lib/fs/file_system.h"
#include "storage/mergeset/block.h"
#include "storage/mergeset/caches.h"

namespace vm::mergeset {

/// May replace the sorted items of a block by fewer; first and last item must stay within the old ones.
using PrepareBlock = std::function<void(ItemBlock&)>;

/// metadata.json
struct PartHeader {
  uint64_t items_count = 0;
  uint64_t blocks_count = 0;
  ByteBuffer first_item;
  ByteBuffer last_item;
};
std::string MarshalPartHeader(const PartHeader& header);
/// Errors: kCorrupted.
Result<PartHeader> UnmarshalPartHeader(std::string_view json);

/// The beginning of an item by which single items are looked up; empty for items that are not.
using LookupKey = std::function<ByteView(ByteView item)>;
uint64_t LookupHash(ByteView key) noexcept;

struct MetaindexRow {
  ByteBuffer first_item;
  uint32_t block_headers_count = 0;
  uint64_t index_offset = 0;
  uint32_t index_size = 0;
};
/// Decode the content of metaindex.bin. Errors: kCorrupted.
Result<std::vector<MetaindexRow>> UnmarshalMetaindex(ByteView compressed);

/// zstd level of a part made of that many items.
int CompressLevelFor(uint64_t items_count);

/// Builds the files of a part from items that come in order. Not thread-safe.
class PartWriter {
 public:
  /// The functions may be empty; they outlive the writer.
  PartWriter(int compress_level, const PrepareBlock& prepare, const LookupKey& lookup_key = kNoLookupKey);

  /// Requires that `item` is not below the one before.
  Status Add(ByteView item);
  /// Write all files to the new directory `dir` and make them durable; returns false, with nothing written, when
  /// there were no items.
  Result<bool> Finish(fs::FileSystem& fs, const std::string& dir);
  /// Data files grow on disk from here on instead of in memory. Call before Add.
  Status OpenFiles(fs::FileSystem& fs, const std::string& dir);

  const PartHeader& header() const noexcept { return header_; }
  /// Of the lookup keys of all items that were added, in their order.
  const std::vector<uint64_t>& lookup_hashes() const noexcept { return lookup_hashes_; }

 private:
  static const LookupKey kNoLookupKey;

  void FlushBlock();
  void FlushIndex();
  Status WriteOut();

  const int level_;
  const PrepareBlock& prepare_;
  const LookupKey& lookup_key_;
  std::vector<uint64_t> lookup_hashes_;
  ItemBlock block_;
  PartHeader header_;
  ByteBuffer index_, index_first_item_;  // Headers of the open index frame.
  uint32_t index_headers_ = 0;
  ByteBuffer metaindex_, items_out_, lens_out_, index_out_;
  uint64_t items_offset_ = 0, lens_offset_ = 0, index_offset_ = 0;
  std::unique_ptr<fs::FileWriter> items_file_, lens_file_, index_file_;
};

/// An immutable part on disk. Thread-safe. A dropped part removes its directory with the last reference.
class Part {
 public:
  static constexpr const char* kFiles[] = {"metadata.json", "metaindex.bin", "index.bin", "items.bin", "lens.bin"};

  /// `caches` null: nothing is kept in memory.
  static Result<std::shared_ptr<Part>> Open(fs::FileSystem& fs, const std::string& dir,
                                            std::shared_ptr<Caches> caches = nullptr);
  ~Part();
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  const std::string& name() const noexcept { return name_; }
  const std::string& dir() const noexcept { return dir_; }
  const PartHeader& header() const noexcept { return header_; }
  const std::vector<MetaindexRow>& metaindex() const noexcept { return metaindex_; }
  uint64_t size_bytes() const noexcept { return size_bytes_; }
  /// Lookup keys that the part may have; null when that is not known.
  const containers::KeyFilter* filter() const noexcept { return filter_ ? &*filter_ : nullptr; }
  /// Requires that nobody else knows the part yet.
  void SetFilter(containers::KeyFilter filter) { filter_ = std::move(filter); }
  void Drop() noexcept { dropped_.store(true, std::memory_order_release); }

  /// Errors: kCorrupted, kIo.
  /// `use_cache` false is for scans that read each piece once.
  Result<std::shared_ptr<const std::vector<BlockHeader>>> ReadHeaders(size_t row, bool use_cache = true) const;
  Result<std::shared_ptr<const ItemBlock>> ReadBlock(const BlockHeader& header, bool use_cache = true) const;

 private:
  Part(fs::FileSystem& fs, std::string dir, std::shared_ptr<Caches> caches)
      : fs_(fs), dir_(std::move(dir)), caches_(std::move(caches)), id_(caches_ ? caches_->headers.NewFile() : 0) {}

  fs::FileSystem& fs_;
  const std::string dir_;
  const std::shared_ptr<Caches> caches_;  // May be null.
  const uint64_t id_;                     // In the caches.
  std::string name_;
  PartHeader header_;
  std::vector<MetaindexRow> metaindex_;
  uint64_t size_bytes_ = 0;
  std::optional<containers::KeyFilter> filter_;
  std::unique_ptr<fs::FileReader> items_, lens_, index_;
  std::atomic<bool> dropped_{false};
};

/// Walks over the items of one part. Not thread-safe.
class PartCursor {
 public:
  explicit PartCursor(std::shared_ptr<const Part> part, bool use_cache = true)
      : part_(std::move(part)), use_cache_(use_cache) {}

  /// Go to the first item not below `key`.
  Status Seek(ByteView key);
  Status Next();
  /// The same; `common` is what the new item has in common with the one before.
  Status Next(size_t& common);
  bool valid() const noexcept { return valid_; }
  ByteView item() const { return block_->Item(item_); }

 private:
  Status LoadRow(size_t row, size_t header);
  bool SeekNearby(ByteView key);

  std::shared_ptr<const Part> part_;
  bool use_cache_;
  std::shared_ptr<const std::vector<BlockHeader>> headers_;
  std::shared_ptr<const ItemBlock> block_;
  size_t row_ = 0, header_ = 0, item_ = 0;
  bool valid_ = false;
  ByteBuffer gap_begin_;  // Unless empty: between it and the current item, the first of its block, there is none.
};

}  // namespace vm::mergeset
