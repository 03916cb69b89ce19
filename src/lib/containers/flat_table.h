#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "lib/containers/large_array.h"

namespace vm::containers {

/// 128 bits that name an entry; not both 0.
struct Key128 {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const Key128&) const = default;
};

/// Open addressing over one array of slots of fixed size: one cache line is touched for most look-ups, and nothing is
/// allocated per entry. Grows by doubling; entries are never removed one by one. Not thread-safe.
template <class Value>
class FlatTable {
 public:
  static_assert(std::is_trivially_copyable_v<Value>);
  struct Slot {
    Key128 key;
    [[no_unique_address]] Value value;
  };

  /// The value of `key`; null when it is not there. Valid until the next Put.
  Value* Find(const Key128& key) noexcept {
    if (capacity_ == 0) return nullptr;
    for (size_t i = Start(key);; i = (i + 1) & (capacity_ - 1)) {
      Slot& slot = slots_[i];
      if (slot.key == key) return &slot.value;
      if (IsFree(slot)) return nullptr;
    }
  }

  /// Set the value of `key`.
  void Put(const Key128& key, const Value& value) {
    if (size_ + 1 > capacity_ / 4 * 3) Grow();
    Slot& slot = Place(key);
    if (IsFree(slot)) ++size_;
    slot.key = key;
    slot.value = value;
  }

  /// Call `visit(key, value)` for each entry.
  template <class F>
  void ForEach(F visit) const {
    for (size_t i = 0; i < capacity_; ++i) {
      if (!IsFree(slots_[i])) visit(slots_[i].key, slots_[i].value);
    }
  }

  /// Offset in bytes from slots() where a table of `capacity` slots keeps `key`, unless others took the place: what to
  /// read ahead.
  static size_t HomeOffset(const Key128& key, size_t capacity) noexcept {
    return StartIn(key, capacity) * sizeof(Slot);
  }
  const Slot* slots() const noexcept { return slots_.data(); }
  size_t capacity() const noexcept { return capacity_; }

  size_t size() const noexcept { return size_; }
  size_t bytes() const noexcept { return capacity_ * sizeof(Slot); }
  /// What bytes() will be after one more Put of a new key.
  size_t bytes_after_put() const noexcept {
    return size_ + 1 > capacity_ / 4 * 3 ? NextCapacity() * sizeof(Slot) : bytes();
  }

  void Clear() noexcept {
    slots_ = {};
    capacity_ = size_ = 0;
  }

 private:
  static constexpr size_t kMinCapacity = 16;

  static bool IsFree(const Slot& slot) noexcept { return (slot.key.low | slot.key.high) == 0; }
  size_t NextCapacity() const noexcept { return capacity_ == 0 ? kMinCapacity : 2 * capacity_; }
  size_t Start(const Key128& key) const noexcept { return StartIn(key, capacity_); }
  static size_t StartIn(const Key128& key, size_t capacity) noexcept {
    // Keys may be consecutive numbers: the product spreads them.
    const uint64_t mixed = (key.low ^ (key.high << 40)) * 0x9E3779B97F4A7C15u;
    return static_cast<size_t>(mixed >> 20) & (capacity - 1);
  }
  Slot& Place(const Key128& key) noexcept {
    size_t i = Start(key);
    while (!IsFree(slots_[i]) && !(slots_[i].key == key)) i = (i + 1) & (capacity_ - 1);
    return slots_[i];
  }
  void Grow() {
    const size_t old_capacity = capacity_;
    LargeArray<Slot> old = std::move(slots_);
    capacity_ = NextCapacity();
    slots_ = LargeArray<Slot>(capacity_);
    for (size_t i = 0; i < old_capacity; ++i) {
      if (!IsFree(old[i])) Place(old[i].key) = old[i];
    }
  }

  LargeArray<Slot> slots_;
  size_t capacity_ = 0;  // 0 or a power of two.
  size_t size_ = 0;
};

}  // namespace vm::containers
