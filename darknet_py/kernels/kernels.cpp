// What Python calls (operations/native.py). Compiled as a whole by kernels/__init__.py.
#include "check.h"
#include "dense.h"
#include "depthwise.h"
#include "expansion.h"
#include "maps.h"
#include "picture.h"
#include "windows.h"
#include "winograd.h"

template <class Number>
static void run_one(const Call& c) {
  if (c.kind == DENSE) return dense::convolve<Number>(c);
  if (c.kind == WINOGRAD) return winograd::convolve<Number>(c);
  if (c.kind == WINDOWS) return windows::convolve<Number>(c);
  if (c.kind == PICTURE) return picture::convolve<Number>(c);
  if (c.kind == DEPTHWISE) return depthwise::convolve<Number>(c);
  maps::run<Number>(c);
}

template <class Number>
static void run_all(const Call* calls, long count) {
  for (const Call* c = calls; c < calls + count; c++) {
    if (c + 1 < calls + count && expansion::suits<Number>(*c)) {
      expansion::convolve<Number>(*c, c[1]);
      c++;
    } else {
      run_one<Number>(*c);
    }
  }
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
#pragma omp parallel num_threads(calls->threads)
  {
#if defined(__AVX512BF16__)
    if (calls->half) run_all<Bfloat16>(calls, count);
#endif
    if (!calls->half) run_all<float>(calls, count);
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
