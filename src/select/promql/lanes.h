#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace vm::select {

/// Two doubles that the CPU handles at once, on x86-64 and arm64 alike. Each lane computes what a scalar would.
typedef double Lanes __attribute__((vector_size(16)));

inline Lanes LoadLanes(const double* p) {
  Lanes lanes;
  __builtin_memcpy(&lanes, p, sizeof lanes);
  return lanes;
}
inline void StoreLanes(double* p, Lanes lanes) { __builtin_memcpy(p, &lanes, sizeof lanes); }

/// The lower, the higher of two; `b` where one is NaN.
inline double Lower(double a, double b) { return a < b ? a : b; }
inline double Higher(double a, double b) { return a > b ? a : b; }
#if defined(__SSE2__)
inline Lanes Lower(Lanes a, Lanes b) { return _mm_min_pd(a, b); }
inline Lanes Higher(Lanes a, Lanes b) { return _mm_max_pd(a, b); }
#else
inline Lanes Lower(Lanes a, Lanes b) { return a < b ? a : b; }
inline Lanes Higher(Lanes a, Lanes b) { return a > b ? a : b; }
#endif

}  // namespace vm::select
