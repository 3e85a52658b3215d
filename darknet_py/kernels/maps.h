// What is done with each channel by itself: depthwise convolutions, pools, sums, copies.
#pragma once
#include "convolution.h"

namespace maps {

constexpr int BLOCK = 8;  // pixels side by side that share what they load

template <class Number>
static inline const Number* pixel_of(const Call& c, long image, int y, int x) {
  return (const Number*)c.x + ((image * c.height + y) * c.width + x) * c.x_pitch;
}

struct Sum {
  static constexpr bool weighted = true;
  static Vector start() { return Vector{}; }
  static Vector add(Vector sum, Vector value, Vector weight) { return sum + value * weight; }
};

struct Largest {
  static constexpr bool weighted = false;
  static Vector start() { return Vector{} - __builtin_inff(); }
  static Vector add(Vector sum, Vector value, Vector) { return larger(sum, value); }
};

// A panel's channels, or half of it, of `count` pixels of output row y from x on. What lies outside
// does not count; only of a single pixel something may, but for whole rows.
template <class Fold, class Number, int fixed, int vectors, int count>
static void fold(const Call& c, long image, int y, int x, int channel, float* sums) {
  int size = fixed ? fixed : c.size, left = x * c.stride_x - c.padding;
  long wide = padded(c), across = c.stride_x * c.x_pitch;
  Lanes lanes[2] = {Lanes(c.channels - channel), Lanes(c.channels - channel - WIDTH)};
  Vector sum[count][vectors];
#pragma GCC unroll 8
  for (int j = 0; j < count; j++)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) sum[j][v] = Fold::start();
  for (int i = 0; i < size; i++) {
    int row = y * c.stride_y - c.padding + i * c.dilation;
    if (row < 0 || row >= c.height) continue;
    auto weights = (const float*)c.weights + i * size * wide + channel;
    auto from = pixel_of<Number>(c, image, row, 0) + left * c.x_pitch + channel;
#pragma GCC unroll 3
    for (int k = 0; k < size; k++, weights += wide, from += c.dilation * c.x_pitch) {
      int at = left + k * c.dilation;
      if (count == 1 && (at < 0 || at >= c.width)) continue;
      Vector weight[vectors];
#pragma GCC unroll 2
      for (int v = 0; v < vectors; v++)
        weight[v] = Fold::weighted ? load(weights + v * WIDTH) : Vector{};
#pragma GCC unroll 8
      for (int j = 0; j < count; j++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
          sum[j][v] = Fold::add(sum[j][v], load(from + j * across + v * WIDTH, lanes[v]), weight[v]);
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < count; j++)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) store(sums + j * PANEL + v * WIDTH, sum[j][v]);
}

// All channels of `count` pixels.
template <class Fold, class Number, int fixed, int count>
static void fold_pixels(const Call& c, long row, int x) {
  float sums[count * PANEL];
  long places[count];
  for (int i = 0; i < count; i++) places[i] = row * c.out_width + x + i;
  for (int panel = 0; panel < panels(c); panel++) {
    bool wide = columns(c, panel) > WIDTH;
    auto run = wide ? fold<Fold, Number, fixed, 2, count> : fold<Fold, Number, fixed, 1, count>;
    run(c, row / c.out_height, row % c.out_height, x, panel * PANEL, sums);
    finish<Number>(c, sums, panel, places, count);
  }
}

template <class Fold, class Number, int fixed>
static void fold_rows(const Call& c) {
  long rows = (long)c.batch * c.out_height;
  int reach = (c.size - 1) * c.dilation;  // the windows from `first` to before `end` are inside
  int first = std::min((c.padding + c.stride_x - 1) / c.stride_x, c.out_width);
  int end = c.width + c.padding - reach;
  end = std::max(first, std::min(end > 0 ? (end - 1) / c.stride_x + 1 : 0, c.out_width));
#pragma omp for schedule(dynamic, 2)
  for (long row = 0; row < rows; row++) {
    int x = 0;
    for (; x < (end - first < BLOCK ? c.out_width : first); x++)
      fold_pixels<Fold, Number, fixed, 1>(c, row, x);
    for (; x < end; x += BLOCK)  // the last ones perhaps once more
      fold_pixels<Fold, Number, fixed, BLOCK>(c, row, std::min(x, end - BLOCK));
    for (x = std::min(x, end); x < c.out_width; x++) fold_pixels<Fold, Number, fixed, 1>(c, row, x);
  }
}

template <class Fold, class Number>
static void fold_maps(const Call& c) {
  if (c.size == 3) return fold_rows<Fold, Number, 3>(c);
  fold_rows<Fold, Number, 0>(c);
}

template <class Number>
static void average(const Call& c) {
#pragma omp for collapse(2)
  for (long image = 0; image < c.batch; image++)
    for (int channel = 0; channel < c.channels; channel += WIDTH) {
      Vector sum = {};
      Lanes n(c.channels - channel);
      for (int i = 0; i < c.height * c.width; i++)
        sum += load(pixel_of<Number>(c, image, 0, i) + channel, n);
      store((Number*)c.y + image * c.y_pitch + channel, sum / (float)(c.height * c.width), n);
    }
}

// Pixel by pixel: `change(vector, other's vector)`; the other map has a value for each, or for each
// channel of a picture.
template <class Number, class Change>
static void each(const Call& c, Change change) {
  long pixels = (long)c.batch * c.height * c.width, plane = (long)c.height * c.width;
#pragma omp for
  for (long i = 0; i < pixels; i++) {
    auto x = (const Number*)c.x + i * c.x_pitch;
    auto other = (const Number*)c.other;
    if (other) other += (c.size == 0 ? i / plane : i) * c.other_pitch;
    auto y = (Number*)c.y + i * c.y_pitch;
    for (int k = 0; k < c.channels; k += WIDTH) {
      Lanes n(c.channels - k);
      store(y + k, change(load(x + k, n), other ? load(other + k, n) : Vector{}), n);
    }
  }
}

template <class Number>
static void repeat(const Call& c) {
  long rows = (long)c.batch * c.out_height;
#pragma omp for
  for (long row = 0; row < rows; row++) {
    int y = row % c.out_height / c.size;
    for (int x = 0; x < c.out_width; x++)
      memcpy((Number*)c.y + (row * c.out_width + x) * c.y_pitch,
             pixel_of<Number>(c, row / c.out_height, y, x / c.size), c.channels * sizeof(Number));
  }
}

template <class Number>
static void run(const Call& c) {
  switch (c.kind) {
    case DEPTHWISE:
      return fold_maps<Sum, Number>(c);
    case MAXIMUM:
      return fold_maps<Largest, Number>(c);
    case AVERAGE:
      return average<Number>(c);
    case REPEAT:
      return repeat<Number>(c);
    case ADD:
      return each<Number>(c, [&](Vector a, Vector b) { return activate(c.first, a + b); });
    case MULTIPLY:
      return each<Number>(c, [&](Vector a, Vector b) { return activate(c.first, a * b); });
    case COPY:
      return each<Number>(c, [](Vector a, Vector) { return a; });
  }
}

// Weights (channels, 1, size, size) as taps of all channels.
static long pack(const Call& c, const float* from, float* to) {
  long taps = c.size * c.size, wide = padded(c);
  for (long i = 0; to && i < taps * wide; i++)
    to[i] = i % wide < c.channels ? from[i % wide * taps + i / wide] : 0;
  return taps * wide;
}

}  // namespace maps
