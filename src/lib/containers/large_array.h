#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace vm::containers {

/// `bytes` of zeroed memory, on large pages where it is big enough: tables that are read here and there cost a walk
/// through the page tables for each look on small ones. `*mapped` is for ReleaseLarge. Throws std::bad_alloc.
void* AllocateLarge(size_t bytes, size_t* mapped);
void ReleaseLarge(void* memory, size_t mapped) noexcept;

/// An array of fixed size whose elements are zero bytes at first.
template <class T>
class LargeArray {
 public:
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

  LargeArray() = default;
  explicit LargeArray(size_t size) : size_(size) {
    if (size > 0) data_ = static_cast<T*>(AllocateLarge(size * sizeof(T), &mapped_));
  }
  LargeArray(LargeArray&& other) noexcept { Swap(other); }
  LargeArray& operator=(LargeArray&& other) noexcept {
    LargeArray taken(std::move(other));
    Swap(taken);
    return *this;
  }
  ~LargeArray() { ReleaseLarge(data_, mapped_); }

  size_t size() const noexcept { return size_; }
  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  T& operator[](size_t i) noexcept { return data_[i]; }
  const T& operator[](size_t i) const noexcept { return data_[i]; }
  T* begin() noexcept { return data_; }
  T* end() noexcept { return data_ + size_; }
  const T* begin() const noexcept { return data_; }
  const T* end() const noexcept { return data_ + size_; }

 private:
  void Swap(LargeArray& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(mapped_, other.mapped_);
  }

  T* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;
};

}  // namespace vm::containers
