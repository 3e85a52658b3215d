// What Python calls (operations/native.py). Compiled as a whole by kernels/__init__.py.
#include <vector>

#include "check.h"
#include "dense.h"
#include "depthwise.h"
#include "expansion.h"
#include "maps.h"
#include "narrow.h"
#include "picture.h"
#include "windows.h"
#include "winograd.h"

template <class Number>
static void run_one(const Call& c) {
  if (c.kind == DENSE) {
    int side = narrow::find_side<Number>(c);
    return side > 1 ? narrow::convolve<Number>(c, side) : dense::convolve<Number>(c);
  }
  if (c.kind == WINOGRAD) return winograd::convolve<Number>(c);
  if (c.kind == WINDOWS) return windows::convolve<Number>(c);
  if (c.kind == PICTURE) return picture::convolve<Number>(c);
  if (c.kind == DEPTHWISE) return depthwise::convolve<Number>(c);
  maps::run<Number>(c);
}

// Run the first calls; how many. Some run together:
// - a 1 x 1 convolution and the depthwise one behind it, in bands,
// - a depthwise convolution and the mean of what it writes,
// - a product with one factor for each channel, and the 1 x 1 convolution behind it.
// `all` has a place for each thread's sums.
template <class Number>
static int run_first(const Call* calls, long count, const float** all) {
  auto joined = [&](int i) { return i + 1 < count && calls[i].joined; };
  bool band = joined(0) && calls[1].kind == DEPTHWISE && expansion::suits<Number>(calls[0]);
  const Call& c = calls[band];
  if (c.kind == DEPTHWISE) {
    auto mean = joined(band) && c.batch == 1 ? calls + band + 1 : nullptr;
    if (band)
      expansion::convolve<Number>(calls[0], c, mean, all);
    else
      depthwise::convolve<Number>(c, mean, all);
    if (mean) means::finish<Number>(*mean, all);
    return 1 + band + (mean != nullptr);
  }
  if (c.kind == MULTIPLY && joined(0) && dense::takes_factors(c, calls[1])) {
    Call scaled = calls[1];
    scaled.x = c.x, scaled.x_pitch = c.x_pitch, scaled.factors = c.other;
    dense::convolve<Number>(scaled);
    return 2;
  }
  run_one<Number>(c);
  return 1;
}

template <class Number>
static void run_all(const Call* calls, long count, const float** all) {
  for (long i = 0; i < count;) i += run_first<Number>(calls + i, count - i, all);
}

extern "C" {
int has_half() {
#if defined(__AVX512BF16__)
  return 1;
#else
  return 0;
#endif
}

// Whether they compute what they should; kernels/__init__.py asks once.
int check_kernels() {
  for (int kind : {DENSE, WINOGRAD, DEPTHWISE, PICTURE, WINDOWS}) {
    if (!check::is_right<float>(kind, run_one<float>)) return 0;
#if defined(__AVX512BF16__)
    if (!check::is_right<Bfloat16>(kind, run_one<Bfloat16>)) return 0;
#endif
  }
  return 1;
}

// Run calls one after the other: all threads go through them together, and wait for each other
// behind each loop.
void run(const Call* calls, long count) {
  std::vector<const float*> all(calls->threads);
#pragma omp parallel num_threads(calls->threads)
  {
#if defined(__AVX512BF16__)
    if (calls->half) run_all<Bfloat16>(calls, count, all.data());
#endif
    if (!calls->half) run_all<float>(calls, count, all.data());
  }
}

// Weights as a kernel reads them, from (filters, channels, size, size), float32 but for half's dense
// ones. The result is their length: with no place to write to, nothing else is done.
long pack(const Call* c, const void* from, void* to) {
  if (c->kind == WINOGRAD) return winograd::pack(*c, (const float*)from, (float*)to);
  if (c->kind == DEPTHWISE) return depthwise::pack(*c, (const float*)from, (float*)to);
#if defined(__AVX512BF16__)
  if (c->half && c->kind == PICTURE)
    return picture::pack(*c, (const Bfloat16*)from, (Bfloat16*)to);
#endif
  if (c->half) return dense::pack(*c, (const Bfloat16*)from, (Bfloat16*)to);
  return dense::pack(*c, (const float*)from, (float*)to);
}

// Winograd's packed weights, transformed.
long expand(const Call* c, const float* packed, void* to) {
  if (c->half) return winograd::expand(*c, packed, (Bfloat16*)to);
  return winograd::expand(*c, packed, (float*)to);
}
}
