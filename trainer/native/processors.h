// Matrix products in registers, compiled for each kind of processor; which one it is, is found out when they
// run.

#ifndef YT8M_TRAINER_NATIVE_PROCESSORS_H_
#define YT8M_TRAINER_NATIVE_PROCESSORS_H_

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#define YT8M_INLINE inline __attribute__((always_inline))
#define YT8M_UNROLLED _Pragma("GCC unroll 8")

namespace yt8m {

constexpr int64_t kCacheLine = 64, kFloatsOfLine = kCacheLine / sizeof(float);
constexpr int kRowsOfTile = 6;

// A kind of processor: its vectors, and how many of them are the columns of a tile, which its registers hold.
struct AnyProcessor {
  typedef float Vector __attribute__((vector_size(16)));
  static constexpr int kVectors = 2;
};
struct Avx2 {
  typedef float Vector __attribute__((vector_size(32)));
  static constexpr int kVectors = 2;
};
struct Avx512 {
  typedef float Vector __attribute__((vector_size(64)));
  static constexpr int kVectors = 4;
};

template <typename Processor>
constexpr int kColumnsOfTile = Processor::kVectors * sizeof(typename Processor::Vector) / sizeof(float);

// Writes a tile of left^T @ right, [kRowsOfTile, kColumnsOfTile], to `product`.
//
// left: [length, kRowsOfTile] of rows of left_stride; right: [length, kColumnsOfTile] of rows of
// right_stride. each(i) is called for each i < length, beside the multiplication.
template <typename Processor, typename Each>
YT8M_INLINE void MultiplyTile(const float* left, int64_t left_stride, const float* right,
                              int64_t right_stride, int64_t length, float* product, int64_t product_stride,
                              const Each& each) {
  using Vector = typename Processor::Vector;
  constexpr int kLanes = sizeof(Vector) / sizeof(float), kVectors = Processor::kVectors;
  Vector sums[kRowsOfTile][kVectors] = {};
  for (int64_t i = 0; i < length; ++i, left += left_stride, right += right_stride) {
    each(i);
    Vector columns[kVectors];
    YT8M_UNROLLED
    for (int j = 0; j < kVectors; ++j) std::memcpy(&columns[j], right + j * kLanes, sizeof(Vector));
    YT8M_UNROLLED
    for (int row = 0; row < kRowsOfTile; ++row) {
      YT8M_UNROLLED
      for (int j = 0; j < kVectors; ++j) sums[row][j] += left[row] * columns[j];
    }
  }
  YT8M_UNROLLED
  for (int row = 0; row < kRowsOfTile; ++row) {
    YT8M_UNROLLED
    for (int j = 0; j < kVectors; ++j) {
      std::memcpy(product + row * product_stride + j * kLanes, &sums[row][j], sizeof(Vector));
    }
  }
}

// Memory for floats, on a cache line's boundary.
using Buffer = std::unique_ptr<float, decltype(&std::free)>;

inline Buffer Allocate(int64_t floats) {
  const int64_t lines = (floats + kFloatsOfLine - 1) / kFloatsOfLine;
  return Buffer(static_cast<float*>(std::aligned_alloc(kCacheLine, lines * kCacheLine)), &std::free);
}

// `Name`(work, begin, end, widest): Function<Processor>(work, begin, end) for this processor, in vectors of
// at most `widest` bytes. Function<Processor> has to be inline wherever its vectors are.
#define YT8M_FOR_THIS_PROCESSOR(Name, Function, Work)                                                        \
  void Name##Any(const Work& work, int64_t begin, int64_t end) { Function<AnyProcessor>(work, begin, end); } \
  YT8M_FOR_X86(Name, Function, Work)                                                                         \
  void Name(const Work& work, int64_t begin, int64_t end, int64_t widest) {                                  \
    YT8M_ON_X86(Name)                                                                                        \
    Name##Any(work, begin, end);                                                                             \
  }
#ifdef __x86_64__
#define YT8M_FOR_X86(Name, Function, Work)                                                            \
  __attribute__((target("avx2,fma"))) void Name##Avx2(const Work& work, int64_t begin, int64_t end) { \
    Function<Avx2>(work, begin, end);                                                                 \
  }                                                                                                   \
  __attribute__((target("avx512f,fma,prefer-vector-width=512"))) void Name##Avx512(                   \
      const Work& work, int64_t begin, int64_t end) {                                                 \
    Function<Avx512>(work, begin, end);                                                               \
  }
#define YT8M_ON_X86(Name)                                                                   \
  if (widest >= 64 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma")) { \
    return Name##Avx512(work, begin, end);                                                  \
  }                                                                                         \
  if (widest >= 32 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {    \
    return Name##Avx2(work, begin, end);                                                    \
  }
#else
#define YT8M_FOR_X86(Name, Function, Work)
#define YT8M_ON_X86(Name)
#endif

}  // namespace yt8m

#endif  // YT8M_TRAINER_NATIVE_PROCESSORS_H_
