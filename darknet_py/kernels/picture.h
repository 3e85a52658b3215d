// Convolutions of a picture's few channels, whose windows are read from the picture itself: of pixels side
// by side, the same numbers at the same distance. Its channels lie side by side, or, if the pitch is 1, as
// planes.
#pragma once
#include "picture_half.h"

namespace picture {

constexpr int MOST = 512;  // numbers of a window

// a[i * pitch + offsets[k]]: windows' values, one window in a row. A pitch that the compiler knows needs no
// registers for the rows' places.
template <int known>
struct Windows {
  const float* a;
  long pitch;
  const int* offsets;
  float at(int row, long k) const { return a[row * (known ? known : pitch) + offsets[k]]; }
  int pieces() const { return 1; }
  Windows piece(int) const { return *this; }
};

// Panels from `first` on of `count` pixels side by side, from `pixel` on, of which the weights' units `from`
// to `to` are inside.
template <int count, int vectors, int known>
static void compute(const Call& c, const Windows<known>& windows, int first, int end, int from, int to,
                    long pixel, float* sums) {
  Windows<known> inside = {windows.a, windows.pitch, windows.offsets + from};
  for (int panel = first; panel < end; panel++) {
    auto weights = (const float*)c.weights + (long)panel * c.size * c.size * c.channels * PANEL;
    weights += (long)from * vectors * WIDTH;
    if (can_write(c) && !c.other) {
      Write<float> write(c, panel, pixel);
      multiply_block<count, vectors>(inside, weights, to - from, 0, Start<float>{}, write);
    } else {
      long pixels[count];
      for (int i = 0; i < count; i++) pixels[i] = pixel + i;
      multiply_block<count, vectors>(inside, weights, to - from, 0, Start<float>{}, Keep{sums});
      finish<float>(c, sums, panel, pixels, count);
    }
  }
}

// The picture of an output row, from the window of its first pixel on.
struct Top {
  const float* start;
  long row;  // of the picture
};

static Top find_top(const Call& c, long row) {
  long top = row % c.out_height * c.stride_y - c.padding;
  long size = (long)c.height * c.width, image = row / c.out_height;
  long whole = size * (c.x_pitch == 1 ? c.channels : c.x_pitch);
  auto start = (const float*)c.x + image * whole + (top * c.width - c.padding) * c.x_pitch;
  return {start, top};
}

// A pixel whose window is partly outside.
static void compute_one(const Call& c, const Top& top, const int* offsets, long row, int x, float* values,
                        float* sums) {
  int side = c.size * c.channels, depth = c.size * side;
  int left = x * c.stride_x - c.padding;
  auto from = top.start + (long)x * c.stride_x * c.x_pitch;
  for (int i = 0; i < depth; i++) {
    int y = top.row + i / side, column = left + i % side / c.channels;
    bool outside = y < 0 || y >= c.height || column < 0 || column >= c.width;
    values[i] = outside ? 0 : from[offsets[i]];
  }
  long pixel = row * c.out_width + x;
  for (int k = 0; k < panels(c); k++) {
    int width = columns(c, k);
    auto panel = (const float*)c.weights + (long)k * depth * PANEL;
    multiply(1, values, 0, panel, width, depth, Start<float>{}, Keep{sums}, {panel, 0});
    finish<float>(c, sums, k, &pixel, 1);
  }
}

template <int known>
static void convolve_known(const Call& c) {
  int side = c.size * c.channels, offsets[MOST];
  long step = c.x_pitch == 1 ? (long)c.height * c.width : 1;  // from channel to channel
  for (int i = 0; i < side * c.size; i++)
    offsets[i] = (i / side * c.width + i % side / c.channels) * c.x_pitch + i % c.channels * step;
  int all = panels(c), wide = columns(c, all - 1) > WIDTH ? all : all - 1;  // panels of two vectors
  int count = wide ? ROWS : 2 * ROWS;
  Columns inside = find_inside(c);
  if (inside.end - inside.first < count) inside = {c.out_width, c.out_width};
  scratch.reserve((MOST + WIDTH + 2 * ROWS * PANEL) * 4 + 128);
  auto values = scratch.take<float>(MOST + WIDTH), sums = scratch.take<float>(2 * ROWS * PANEL);
#pragma omp for schedule(static)
  for (long row = 0; row < (long)c.batch * c.out_height; row++) {
    long first = row * c.out_width;
    Top top = find_top(c, row);
    int from = std::max(-top.row, 0L) * side, to = std::min(c.height - top.row, (long)c.size) * side;
    for (int x = 0; x < inside.first; x++)
      compute_one(c, top, offsets, row, x, values, sums);
    for (int next = inside.first; next < inside.end; next += count) {
      int x = std::min(next, inside.end - count);  // the last ones perhaps once more
      Windows<known> windows = {top.start + x * c.stride_x * c.x_pitch, c.stride_x * c.x_pitch, offsets};
      if (wide) {
        compute<ROWS, 2>(c, windows, 0, wide, from, to, first + x, sums);
        compute<ROWS, 1>(c, windows, wide, all, from, to, first + x, sums);
      } else {
        compute<2 * ROWS, 1>(c, windows, 0, all, from, to, first + x, sums);
      }
    }
    for (int x = inside.end; x < c.out_width; x++)
      compute_one(c, top, offsets, row, x, values, sums);
  }
}

template <class Number>
static void convolve(const Call& c) {
#if defined(__AVX512BF16__)
  if constexpr (std::is_same_v<Number, Bfloat16>) return convolve_half(c);
#endif
  if constexpr (std::is_same_v<Number, float>) {
    if (c.stride_x * c.x_pitch == 1) return convolve_known<1>(c);
    if (c.stride_x * c.x_pitch == 2) return convolve_known<2>(c);
    convolve_known<0>(c);
  }
}

}  // namespace picture
