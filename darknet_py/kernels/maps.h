// What is done with each channel by itself: pools, sums, copies.
#pragma once
#include "means.h"

namespace maps {

constexpr int BLOCK = 8;  // pixels side by side that are looked at together

template <class Number>
static inline const Number* pixel_of(const Call& c, long image, int y, int x) {
  return (const Number*)c.x + ((image * c.height + y) * c.width + x) * c.x_pitch;
}

// The largest values in the windows of `count` pixels of output row y, from x on, of a vector's
// channels. What lies outside does not count; it may, across, only for a single pixel.
template <class Number, int count>
static void find_largest(const Call& c, long image, int y, int x, int channel) {
  int left = x * c.stride_x - c.padding;
  long across = c.stride_x * c.x_pitch;
  Lanes lanes(c.channels - channel);
  Vector largest[count];
#pragma GCC unroll 8
  for (int j = 0; j < count; j++) largest[j] = Vector{} - __builtin_inff();
  for (int i = 0; i < c.size; i++) {
    int row = y * c.stride_y - c.padding + i;
    if (row < 0 || row >= c.height) continue;
    auto from = pixel_of<Number>(c, image, row, 0) + left * c.x_pitch + channel;
    for (int k = 0; k < c.size; k++, from += c.x_pitch) {
      if (count == 1 && (left + k < 0 || left + k >= c.width)) continue;
#pragma GCC unroll 8
      for (int j = 0; j < count; j++)
        largest[j] = larger(largest[j], load(from + j * across, lanes));
    }
  }
  auto to = (Number*)c.y + ((image * c.out_height + y) * c.out_width + x) * c.y_pitch + channel;
#pragma GCC unroll 8
  for (int j = 0; j < count; j++, to += c.y_pitch) store(to, largest[j], lanes);
}

template <class Number>
static void pool(const Call& c) {
  long rows = (long)c.batch * c.out_height;
  auto [first, end] = find_inside(c);
  if (end - first < BLOCK) first = end = c.out_width;
#pragma omp for schedule(static)
  for (long row = 0; row < rows; row++) {
    long image = row / c.out_height;
    int y = row % c.out_height;
    for (int channel = 0; channel < c.channels; channel += WIDTH) {
      int x = 0;
      for (; x < first; x++) find_largest<Number, 1>(c, image, y, x, channel);
      for (; x < end; x += BLOCK)  // the last ones perhaps once more
        find_largest<Number, BLOCK>(c, image, y, std::min(x, end - BLOCK), channel);
      for (x = end; x < c.out_width; x++) find_largest<Number, 1>(c, image, y, x, channel);
    }
  }
}

// Pixel by pixel: `change(vector, other's vector)`. The other map may have fewer channels, 0 in what
// it lacks, and be larger: then only every n-th pixel counts. Of size 0: it is a single pixel.
template <class Number, class Change>
static void each(const Call& c, Change change) {
  long rows = (long)c.batch * c.height;
#pragma omp for
  for (long row = 0; row < rows; row++) {
    long image = row / c.height;
    auto x = (const Number*)c.x + row * c.width * c.x_pitch;
    auto y = (Number*)c.y + row * c.width * c.y_pitch;
    long line = image * c.out_height + row % c.height * c.stride_y;
    auto other = (const Number*)c.other;
    if (other) other += (c.size == 0 ? image : line * c.out_width) * c.other_pitch;
    long step = c.size == 0 ? 0 : c.stride_x * c.other_pitch;
    for (int i = 0; i < c.width; i++, x += c.x_pitch, y += c.y_pitch, other += step) {
      int k = 0;
      for (int end = std::min(c.channels, c.other ? c.filters : c.channels); k + WIDTH <= end; k += WIDTH)
        store(y + k, change(load(x + k), c.other ? load(other + k) : Vector{}));
      for (; k < c.channels; k += WIDTH) {
        Lanes lanes(c.channels - k);
        Vector with = c.other ? load(other + k, Lanes(c.filters - k)) : Vector{};
        store(y + k, change(load(x + k, lanes), with), lanes);
      }
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

// The logistic function of some channels, then a factor and a sum; the results are floats. The weights are
// rows of a multiple of WIDEST: which channels, the factors, and what is added.
template <class Number>
static void squash(const Call& c) {
  long row = (c.channels + WIDEST - 1) / WIDEST * WIDEST;
  auto chosen = (const float*)c.weights, scale = chosen + row, shift = scale + row;
  long pixels = (long)c.batch * c.height * c.width;
#pragma omp for schedule(static)
  for (long pixel = 0; pixel < pixels; pixel++)
    for (int k = 0; k < c.channels; k += WIDTH) {
      Lanes lanes(c.channels - k);
      Vector v = load((const Number*)c.x + pixel * c.x_pitch + k, lanes);
      v = load(chosen + k) > 0 ? activate(LOGISTIC, v) : v;
      store((float*)c.y + pixel * c.y_pitch + k, v * load(scale + k) + load(shift + k), lanes);
    }
}

// Shares of a single pixel's channels, floats. The weight divides the values first.
template <class Number>
static void softmax(const Call& c) {
  float temperature = *(const float*)c.weights;
#pragma omp for schedule(static)
  for (long image = 0; image < c.batch; image++) {
    auto x = (const Number*)c.x + image * c.x_pitch;
    auto y = (float*)c.y + image * c.y_pitch;
    float most = -__builtin_inff(), sum = 0;
    for (int k = 0; k < c.channels; k += WIDTH) {
      Lanes lanes(c.channels - k);
      Vector v = load(x + k, lanes) / temperature;
      store(y + k, v, lanes);
      for (int i = 0; i < std::min(WIDTH, c.channels - k); i++) most = std::max(most, v[i]);
    }
    for (int k = 0; k < c.channels; k += WIDTH) {
      Lanes lanes(c.channels - k);
      Vector v = exponential(load(y + k, lanes) - most);
      store(y + k, v, lanes);
      for (int i = 0; i < std::min(WIDTH, c.channels - k); i++) sum += v[i];
    }
    for (int k = 0; k < c.channels; k += WIDTH) {
      Lanes lanes(c.channels - k);
      store(y + k, load(y + k, lanes) / sum, lanes);
    }
  }
}

template <class Number>
static void run(const Call& c) {
  switch (c.kind) {
    case MAXIMUM:
      return pool<Number>(c);
    case AVERAGE:
      return means::average<Number>(c);
    case REPEAT:
      return repeat<Number>(c);
    case ADD:
      return each<Number>(c, [&](Vector a, Vector b) { return activate(c.first, a + b); });
    case MULTIPLY:
      return each<Number>(c, [&](Vector a, Vector b) { return activate(c.first, a * b); });
    case SQUASH:
      return squash<Number>(c);
    case SOFTMAX:
      return softmax<Number>(c);
    case COPY:
      return each<Number>(c, [](Vector a, Vector) { return a; });
  }
}

}  // namespace maps
