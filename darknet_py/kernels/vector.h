// Vectors of floats, the numbers that maps hold, and the activations.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
constexpr int WIDTH = 16, ROWS = 14;  // of a vector; of a product's block, which fills the registers
#elif defined(__AVX2__)
constexpr int WIDTH = 8, ROWS = 6;
#else
constexpr int WIDTH = 4, ROWS = 8;
#endif
constexpr int PANEL = 2 * WIDTH;  // filters whose weights lie together
constexpr int WIDEST = 32;  // PANEL on any processor; numbers of channels come in a multiple of it: call.py

typedef float Vector __attribute__((vector_size(WIDTH * 4)));
typedef int32_t Integers __attribute__((vector_size(WIDTH * 4)));
typedef uint16_t Halves __attribute__((vector_size(WIDTH * 2)));

struct Bfloat16 {
  uint16_t bits;
};

inline Vector load(const float* p) {
  Vector v;
  memcpy(&v, p, sizeof v);
  return v;
}

#if defined(__AVX512BF16__)
inline Vector widen(__m256i h) {
  return (Vector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16);
}

inline Vector load(const Bfloat16* p) { return widen(_mm256_loadu_si256((const __m256i*)p)); }

// Rounded to the nearest, ties to even.
inline void store(Bfloat16* p, Vector v) {
  _mm256_storeu_si256((__m256i*)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
}
#else
inline Vector load(const Bfloat16* p) {
  Halves h;
  memcpy(&h, p, sizeof h);
  return (Vector)(__builtin_convertvector(h, Integers) << 16);
}

inline void store(Bfloat16* p, Vector v) {
  Integers i = (Integers)v;
  Halves h = __builtin_convertvector((i + 0x7fff + ((i >> 16) & 1)) >> 16, Halves);
  memcpy(p, &h, sizeof h);
}
#endif

inline void store(float* p, Vector v) { memcpy(p, &v, sizeof v); }

// The first n lanes of a vector. What is loaded is 0 in the others, where nothing is stored.
#if defined(__AVX512F__)
struct Lanes {
  explicit Lanes(int n) : mask(n >= WIDTH ? 0xffff : (1u << std::max(n, 0)) - 1) {}
  __mmask16 mask;
};

inline Vector load(const float* p, Lanes lanes) {
  return (Vector)_mm512_maskz_loadu_ps(lanes.mask, p);
}

inline void store(float* p, Vector v, Lanes lanes) {
  _mm512_mask_storeu_ps(p, lanes.mask, (__m512)v);
}
#elif defined(__AVX2__)
struct Lanes {
  explicit Lanes(int n) : whole(n >= WIDTH), mask(Integers{0, 1, 2, 3, 4, 5, 6, 7} < n) {}
  bool whole;
  Integers mask;
};

inline Vector load(const float* p, Lanes lanes) {
  return (Vector)_mm256_maskload_ps(p, (__m256i)lanes.mask);
}

inline void store(float* p, Vector v, Lanes lanes) {
  if (lanes.whole) return store(p, v);  // the other is slow
  _mm256_maskstore_ps(p, (__m256i)lanes.mask, (__m256)v);
}
#else
struct Lanes {
  explicit Lanes(int n) : count(std::clamp(n, 0, WIDTH)) {}
  int count;
};

inline Vector load(const float* p, Lanes lanes) {
  if (lanes.count == WIDTH) return load(p);
  float values[WIDTH] = {};
  for (int i = 0; i < lanes.count; i++) values[i] = p[i];
  return load(values);
}

inline void store(float* p, Vector v, Lanes lanes) {
  if (lanes.count == WIDTH) return store(p, v);
  float values[WIDTH];
  store(values, v);
  for (int i = 0; i < lanes.count; i++) p[i] = values[i];
}
#endif

#if defined(__AVX512BF16__)
inline Vector load(const Bfloat16* p, Lanes lanes) {
  return widen(_mm256_maskz_loadu_epi16(lanes.mask, p));
}

inline void store(Bfloat16* p, Vector v, Lanes lanes) {
  if (lanes.mask == 0xffff) return store(p, v);  // the other is slow
  _mm256_mask_storeu_epi16(p, lanes.mask, (__m256i)_mm512_cvtneps_pbh((__m512)v));
}
#endif

// All lanes.
struct Whole {};

template <class Number>
inline Vector load(const Number* p, Whole) {
  return load(p);
}

template <class Number>
inline void store(Number* p, Vector v, Whole) {
  store(p, v);
}

// a if one is no number.
#if defined(__AVX512F__)
inline Vector smaller(Vector a, Vector b) { return (Vector)_mm512_min_ps((__m512)b, (__m512)a); }
inline Vector larger(Vector a, Vector b) { return (Vector)_mm512_max_ps((__m512)b, (__m512)a); }
#elif defined(__AVX2__)
inline Vector smaller(Vector a, Vector b) { return (Vector)_mm256_min_ps((__m256)b, (__m256)a); }
inline Vector larger(Vector a, Vector b) { return (Vector)_mm256_max_ps((__m256)b, (__m256)a); }
#else
inline Vector smaller(Vector a, Vector b) { return a > b ? b : a; }
inline Vector larger(Vector a, Vector b) { return a < b ? b : a; }
#endif

// e^x with an error of 1e-7.
inline Vector exponential(Vector x) {
  x = larger(smaller(x, Vector{} + 88.0f), Vector{} - 87.0f);
#if defined(__AVX512F__)  // 2^n 2^r, |r| <= 1 / 2: the terms of e^(r ln 2), adjusted
  Vector log2e = Vector{} + 1.44269504f, n = (Vector)_mm512_roundscale_ps((__m512)(x * log2e), 8);
  Vector r = (Vector)_mm512_fmsub_ps((__m512)x, (__m512)log2e, (__m512)n);  // the product is not rounded
  r = x * 1.92596299e-8f + r;
  Vector p = r * 1.5353362e-4f + 1.3398874e-3f;
  p = p * r + 9.6184373e-3f;
  p = p * r + 5.5503324e-2f;
  p = p * r + 2.4022648e-1f;
  p = p * r + 6.9314720e-1f;
  p = p * r + 1.0f;
  return (Vector)_mm512_scalef_ps((__m512)p, (__m512)n);
#else  // after Cephes' expf: 2^n e^r, |r| <= ln(2) / 2
  Vector shifted = x * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: its last bits are n
  Vector n = shifted - 12582912.0f;
  Vector r = x - n * 0.693359375f + n * 2.12194440e-4f;
  Vector p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * (Vector)(((Integers)shifted << 23) + (127 << 23));
#endif
}

// The numbers are those of operations/activation.py.
enum Activation { LINEAR, LEAKY, RELIE, RELU, RELU6, HARDTAN, LOGISTIC, SWISH, MISH };

inline Vector activate(int kind, Vector x) {
  switch (kind) {
    case LEAKY:
      return larger(x, x * 0.1f);
    case RELIE:
      return larger(x, x * 0.01f);
    case RELU:
      return larger(x, Vector{});
    case RELU6:
      return smaller(larger(x, Vector{}), Vector{} + 6.0f);
    case HARDTAN:
      return smaller(larger(x, Vector{} - 1.0f), Vector{} + 1.0f);
    case LOGISTIC:
      return 1.0f / (1.0f + exponential(-x));
    case SWISH:
      return x / (1.0f + exponential(-x));
    case MISH: {  // x tanh(log(1 + e^x)) with one exponential
      Vector e = exponential(smaller(x, Vector{} + 20.0f));
      Vector n = e * (e + 2.0f);
      return x * n / (n + 2.0f);
    }
    default:
      return x;
  }
}

// An activation of straight pieces: x, or x * slope if that is more, and not below or above bounds.
struct Pieces {
  Vector slope, low, high;
  Vector bend(Vector x) const { return smaller(larger(larger(x, x * slope), low), high); }
};

inline bool has_pieces(int kind) { return kind < LOGISTIC; }

inline Pieces find_pieces(int kind) {
  float slope = kind == LEAKY ? 0.1f : kind == RELIE ? 0.01f : 1, most = __builtin_inff();
  float low = kind == RELU || kind == RELU6 ? 0 : kind == HARDTAN ? -1 : -most;
  float high = kind == RELU6 ? 6 : kind == HARDTAN ? 1 : most;
  return {Vector{} + slope, Vector{} + low, Vector{} + high};
}

// Memory of a thread's own, kept from call to call.
class Scratch {
 public:
  ~Scratch() { free(memory_); }
  template <class Number>
  Number* take(size_t count) {  // of a multiple of 64 bytes
    auto* p = (Number*)(memory_ + used_);
    used_ += (count * sizeof(Number) + 63) / 64 * 64;
    return p;
  }
  bool reserve(size_t bytes) {
    used_ = 0;
    if (bytes > size_) {
      free(memory_);
      size_ = (bytes + 4095) / 4096 * 4096;
      memory_ = (char*)aligned_alloc(64, size_);
    }
    return memory_ != nullptr;
  }

 private:
  char* memory_ = nullptr;
  size_t size_ = 0, used_ = 0;
};
inline thread_local Scratch scratch;
