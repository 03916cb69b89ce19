#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define VM_THREAD_ATTR(x) __attribute__((x))
#else
#define VM_THREAD_ATTR(x)
#endif
#define VM_CAPABILITY(x) VM_THREAD_ATTR(capability(x))
#define VM_SCOPED_CAPABILITY VM_THREAD_ATTR(scoped_lockable)
#define VM_GUARDED_BY(x) VM_THREAD_ATTR(guarded_by(x))
#define VM_REQUIRES(...) VM_THREAD_ATTR(requires_capability(__VA_ARGS__))
#define VM_EXCLUDES(...) VM_THREAD_ATTR(locks_excluded(__VA_ARGS__))
#define VM_ACQUIRE(...) VM_THREAD_ATTR(acquire_capability(__VA_ARGS__))
#define VM_RELEASE(...) VM_THREAD_ATTR(release_capability(__VA_ARGS__))
#define VM_NO_THREAD_SAFETY_ANALYSIS VM_THREAD_ATTR(no_thread_safety_analysis)

namespace vm {

/// A std::mutex that clang's thread safety analysis understands.
class VM_CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() VM_ACQUIRE() { mutex_.lock(); }
  void Unlock() VM_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

/// Hold a Mutex for a scope.
class VM_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) VM_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() VM_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

/// A condition variable that waits on a held Mutex. Callers re-check their condition in a loop.
class CondVar {
 public:
  void Wait(Mutex& mutex) VM_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }
  /// Return false when `timeout` passed.
  bool WaitFor(Mutex& mutex, std::chrono::milliseconds timeout) VM_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool notified = cv_.wait_for(lock, timeout) == std::cv_status::no_timeout;
    lock.release();
    return notified;
  }
  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace vm
