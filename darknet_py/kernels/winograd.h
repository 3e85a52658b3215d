// 3 x 3 convolutions of stride 1 by Winograd's F(2 x 2, 3 x 3): 16 products for 36.
// Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016. Tiles of 4 x 4 pixels,
// transformed, times transformed weights, give 2 x 2 pixels; here the error is smaller than that of
// the plain sums, which are longer.
#pragma once
#include "convolution.h"

namespace winograd {

constexpr int PLACES = 16;   // of a tile
constexpr int TILES = 5 * ROWS;  // transformed at once: 64 are a map of 16 x 16 pixels, as is frequent
constexpr int CHANNELS = 64;  // whose weights are transformed at once, where they are not held so
constexpr long LARGE = 1 << 16;  // channels times filters whose weights had better be read once
constexpr int GAP = 5 * WIDTH;  // between places: multiples of 4 KB would share a part of the cache

// G g G' of 9 weights, for WIDTH filters: from `from` on, `pitch` apart, to `step` apart.
template <class Number>
static inline void expand_weights(const float* from, long pitch, Number* to, long step) {
  Vector rows[4][3];
#pragma GCC unroll 3
  for (int j = 0; j < 3; j++) {
    Vector a = load(from + j * pitch), b = load(from + (3 + j) * pitch);
    Vector c = load(from + (6 + j) * pitch), sum = 0.5f * (a + c);
    rows[0][j] = a;
    rows[1][j] = sum + 0.5f * b;
    rows[2][j] = sum - 0.5f * b;
    rows[3][j] = c;
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++, to += 4 * step) {
    Vector sum = 0.5f * (rows[i][0] + rows[i][2]), half = 0.5f * rows[i][1];
    store(to, rows[i][0]);
    store(to + step, sum + half);
    store(to + 2 * step, sum - half);
    store(to + 3 * step, rows[i][2]);
  }
}

// Weights (filters, channels, 3, 3) as panels of filters, in them channels, the 9, and filters.
static long pack(const Call& c, const float* from, float* to) {
  long whole = 9L * c.channels;  // for each filter
  if (!to) return whole * padded(c);
#pragma omp parallel for num_threads(c.threads)
  for (int panel = 0; panel < panels(c); panel++) {
    int width = columns(c, panel), wide = room(width);
    float* start = to + panel * whole * PANEL;
    for (long i = 0; i < whole; i++)
      for (int k = 0; k < wide; k++)
        start[i * wide + k] = k < width ? from[(panel * PANEL + k) * whole + i] : 0;
  }
  return whole * padded(c);
}

// The same transformed, in units of the depth: panels, in them places, channels, filters.
template <class Number>
static long expand(const Call& c, const float* packed, Number* to) {
  constexpr int count = Unit<Number>::count;
  long depth = (c.channels + count - 1) / count * count;
  if (!to) return PLACES * depth * padded(c);
#pragma omp parallel for num_threads(c.threads)
  for (int panel = 0; panel < panels(c); panel++) {
    int wide = room(columns(c, panel));
    long step = depth * wide;
    auto start = to + PLACES * depth * PANEL * panel;
    memset(start, 0, PLACES * step * sizeof *to);
    for (int channel = 0; channel < c.channels; channel++)
      for (int k = 0; k < wide; k += WIDTH) {
        Number values[PLACES][WIDTH];
        auto from = packed + 9L * c.channels * PANEL * panel + channel * 9L * wide + k;
        expand_weights(from, wide, values[0], WIDTH);
        for (int place = 0; place < PLACES; place++)
          for (int i = 0; i < WIDTH; i++)
            start[place * step + (channel / count * wide + k + i) * count + channel % count] =
                values[place][i];
      }
  }
  return PLACES * depth * padded(c);
}

// B' d B of a tile: `from` has its 16 pixels; the places are `step` apart.
template <class Number>
static inline void expand_tile(const Number* const* from, int channels, Number* to, long step) {
  for (int i = 0; i < channels; i += WIDTH) {
    Lanes count(channels - i);
    Vector rows[4][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      Vector a = load(from[j] + i, count), b = load(from[4 + j] + i, count);
      Vector c = load(from[8 + j] + i, count), d = load(from[12 + j] + i, count);
      rows[0][j] = a - c;
      rows[1][j] = b + c;
      rows[2][j] = c - b;
      rows[3][j] = b - d;
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
      store(to + (k * 4) * step + i, rows[k][0] - rows[k][2]);
      store(to + (k * 4 + 1) * step + i, rows[k][1] + rows[k][2]);
      store(to + (k * 4 + 2) * step + i, rows[k][2] - rows[k][1]);
      store(to + (k * 4 + 3) * step + i, rows[k][1] - rows[k][3]);
    }
  }
}

// A' m A: the 4 pixels of a tile, one after the other; the places are `step` apart.
static inline void reduce_tile(const float* from, long step, float* to) {
  for (int i = 0; i < PANEL; i += WIDTH, from += WIDTH, to += WIDTH) {
    Vector rows[2][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      Vector a = load(from + j * step), b = load(from + (4 + j) * step);
      Vector c = load(from + (8 + j) * step), d = load(from + (12 + j) * step);
      rows[0][j] = a + b + c;
      rows[1][j] = b - c - d;
    }
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
      store(to + 2 * k * PANEL, rows[k][0] + rows[k][1] + rows[k][2]);
      store(to + (2 * k + 1) * PANEL, rows[k][1] - rows[k][2] - rows[k][3]);
    }
  }
}

// Of tile `number`: where its pixels come from, and the places of its results, -1 if outside.
template <class Number>
static void find_tile(const Call& c, long number, const Number* zeros, const Number** from,
                      long* to) {
  int across = (c.width + 1) / 2, down = (c.height + 1) / 2;
  int left = number % across * 2, top = number / across % down * 2;
  long image = number / across / down * c.height;
  for (int i = 0; i < PLACES; i++) {
    int y = top + i / 4 - 1, x = left + i % 4 - 1;
    bool outside = y < 0 || x < 0 || y >= c.height || x >= c.width;
    from[i] = outside ? zeros : (const Number*)c.x + ((image + y) * c.width + x) * c.x_pitch;
  }
  for (int i = 0; i < 4; i++) {
    int y = top + i / 2, x = left + i % 2;
    to[i] = y < c.height && x < c.width ? (image + y) * c.width + x : -1;
  }
}

template <class Number>
static void convolve(const Call& c) {
  constexpr int count = Unit<Number>::count;
  int all = panels(c);
  long tiles = (long)c.batch * ((c.height + 1) / 2) * ((c.width + 1) / 2);
  long blocks = divide(c, tiles, TILES, (long)c.channels * c.filters > LARGE);
  int groups = share(c, blocks);
  long most = (tiles + blocks - 1) / blocks;
  long depth = (c.channels + count - 1) / count, row = (depth + WIDTH - 1) / WIDTH * WIDTH + WIDTH;
  {
    scratch.reserve((row + PLACES * (most * row + GAP + CHANNELS * PANEL + GAP)) * 4 +
                    (PLACES * (most * PANEL + GAP) + 4 * most * PANEL) * 4 +
                    4 * most * sizeof(long) + 1024);
    auto zeros = scratch.take<Number>(row * count);
    memset(zeros, 0, row * count * sizeof *zeros);
    auto values = scratch.take<Number>(PLACES * (most * row + GAP) * count);
    auto weights = scratch.take<Number>(PLACES * (CHANNELS * PANEL + GAP));
    auto products = scratch.take<float>(PLACES * (most * PANEL + GAP));
    auto sums = scratch.take<float>(4 * most * PANEL);
    auto pixels = scratch.take<long>(4 * most);
    long held = -1;
#pragma omp for schedule(static)
    for (long job = 0; job < blocks * groups; job++) {
      long block = job / groups, start = tiles * block / blocks;
      int group = job % groups, n = tiles * (block + 1) / blocks - start;
      long step = (n * row + GAP) * count, apart = (long)n * PANEL + GAP;
      for (int i = 0; held != block && i < n; i++) {
        const Number* from[PLACES];
        find_tile(c, start + i, zeros, from, pixels + 4 * i);
        expand_tile(from, c.channels, values + i * row * count, step);
      }
      held = block;
      for (int k = all * group / groups; k < all * (group + 1) / groups; k++) {
        int width = columns(c, k), wide = room(width);
        if (c.expanded) {
          auto panel = (const Number*)c.expanded + (long)k * PLACES * depth * count * PANEL;
          long size = depth * count * wide;
          for (int p = 0; p < PLACES; p++, panel += size)
            multiply(n, values + p * step, row, panel, width, depth, Start<Number>{}, Keep{products + p * apart},
                     {panel + size, size * (long)sizeof *panel});
        } else if constexpr (count == 1) {
          auto packed = (const float*)c.weights + (long)k * c.channels * 9 * PANEL;
          for (int from = 0; from < c.channels; from += CHANNELS) {
            int some = std::min(CHANNELS, c.channels - from);
            long size = (long)some * wide + GAP;
            for (int i = 0; i < some; i++)
              for (int j = 0; j < wide; j += WIDTH)
                expand_weights(packed + (from + i) * 9L * wide + j, wide, weights + i * wide + j,
                               size);
            long bytes = 9L * some * wide * 4 / PLACES;
            auto next = (const char*)(packed + (from + some) * 9L * wide);
            for (int p = 0; p < PLACES; p++, next += bytes)
              multiply(n, values + p * step + from, row, weights + p * size, width, some,
                       Start<float>{from > 0 ? products + p * apart : nullptr}, Keep{products + p * apart},
                       Ahead{next, bytes});
          }
        }
        for (int i = 0; i < n; i++)
          reduce_tile(products + (long)i * PANEL, apart, sums + 4L * i * PANEL);
        finish<Number>(c, sums, k, pixels, 4 * n);
      }
    }
  }
}

}  // namespace winograd
