#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "insert/shard/buffer_pool.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/hash/rendezvous.h"
#include "lib/model/metric_name.h"
#include "lib/model/rows.h"
#include "lib/model/tenant.h"

namespace vm::insert {

/// Samples and metadata travel by separate calls on separate connections.
enum class RowKind : uint8_t { kSamples, kMetadata };

/// Encoded rows for one storage node.
struct NodeBatch {
  size_t node = 0;
  size_t rows_count = 0;
  ByteBuffer data;
};

/// Splits the rows of one request into batches per storage node. Not thread-safe; one per request.
/// Rules: wire protocol, "Hash input of a row" and "Buffers".
class ShardWriter {
 public:
  /// No batch reaches `max_batch_bytes` unless a single row does. `nodes` and `buffers` must outlive the
  /// writer; batches take their memory from `buffers`, unless it is null.
  ShardWriter(const hash::Rendezvous& nodes, size_t max_batch_bytes, BufferPool* buffers = nullptr);

  /// Choose the node of the samples that follow. The name `__name__` and the empty name place a series
  /// differently, as the reference does; both are sent as the empty name. Requires labels within the
  /// limits of model::MarshalMetricNameRaw.
  void BeginSeries(model::Tenant tenant, std::span<const model::LabelView> labels);
  /// The same for labels that are in their sent form already. First a place for up to `size` bytes of them, then how many there are.
  /// `metric_name_at`: where a label stood that came as `__name__`; npos: nowhere.
  uint8_t* PlaceForLabels(model::Tenant tenant, size_t size);
  void BeginPlacedSeries(size_t labels_size, size_t metric_name_at);
  void AddSample(int64_t timestamp, double value);

  /// Requires texts of at most 65535 bytes. Do not mix with samples.
  void AddMetadata(const model::MetadataRow& row);

  /// Bytes of the rows that wait for Finish.
  size_t buffered_bytes() const noexcept { return buffered_bytes_; }

  /// Everything added, in order per node; the writer is empty afterwards, and the current series goes on.
  std::vector<NodeBatch> Finish();

 private:
  static constexpr size_t kSizeRoom = 10;  // Of the longest varint.
  static constexpr size_t kTenantSize = 8;
  static constexpr size_t kSampleSize = 16;

  NodeBatch& BatchWithRoom(size_t node, size_t row_size);
  /// The name of `name_size` bytes stands in row_.
  void BeginRows(size_t name_size);

  const hash::Rendezvous& nodes_;
  const size_t max_batch_bytes_;
  BufferPool* const buffers_;
  std::vector<NodeBatch> open_;  // By node.
  std::vector<NodeBatch> full_;
  size_t buffered_bytes_ = 0;
  size_t node_ = 0;
  // The row of the current series: room for the size of the name, the name, room for time and value.
  ByteBuffer row_;
  size_t row_begin_ = 0;
  size_t name_end_ = 0;
  ByteBuffer scratch_;
};

/// An encoded row and the number that chooses another node for it.
struct HashedRow {
  ByteView bytes;
  uint64_t hash = 0;
};

/// Take a row off the front of `rows`. Errors: kCorrupted; `rows` stays then.
Result<HashedRow> TakeHashedRow(RowKind kind, ByteView& rows);

/// Choose a new node for each row in `rows`, leaving out `excluded`. Used when a node is not ready.
/// Errors: kCorrupted.
Result<std::vector<NodeBatch>> SplitRows(RowKind kind, ByteView rows, const hash::Rendezvous& nodes,
                                         std::span<const size_t> excluded);

}  // namespace vm::insert
