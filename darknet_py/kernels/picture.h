// Convolutions of a picture's few channels, whose windows are read from the picture itself: of pixels side
// by side, the same numbers at the same distance. The picture is of floats, the map perhaps of 16 bits.
#pragma once
#include "dense.h"

namespace picture {

constexpr int MOST = 512;  // numbers of a window

// a[i * pitch + offsets[k]]: windows' values, one window in a row.
struct Windows {
  const float* a;
  long pitch;
  const int* offsets;
  float at(int row, long k) const { return a[row * pitch + offsets[k]]; }
};

// Panels from `first` on of `count` pixels side by side, from `pixel` on, of which the weights' units `from`
// to `to` are inside.
template <class Number, int count, int vectors>
static void compute(const Call& c, const Windows& windows, int first, int end, int from, int to,
                    long pixel, float* sums) {
  Windows inside = {windows.a, windows.pitch, windows.offsets + from};
  for (int panel = first; panel < end; panel++) {
    auto weights = (const float*)c.weights + (long)panel * c.size * c.size * c.channels * PANEL;
    weights += (long)from * vectors * WIDTH;
    if (can_write(c) && !c.other) {
      Write<Number> write(c, panel, pixel);
      multiply_block<count, vectors>(inside, weights, to - from, 0, Start<Number>{}, write);
    } else {
      long pixels[count];
      for (int i = 0; i < count; i++) pixels[i] = pixel + i;
      multiply_block<count, vectors>(inside, weights, to - from, 0, Start<Number>{}, Keep{sums});
      finish<Number>(c, sums, panel, pixels, count);
    }
  }
}

// A pixel whose window is partly outside.
template <class Number>
static void compute_one(const Call& c, long pixel, float* values, float* sums) {
  int depth = c.size * c.size * c.channels;
  dense::gather<float>(c, {0, c.size * c.size, 0, c.channels}, pixel, 1, 0, values);
  for (int k = 0; k < panels(c); k++) {
    int width = columns(c, k);
    auto panel = (const float*)c.weights + (long)k * depth * PANEL;
    multiply(1, values, 0, panel, width, depth, Start<float>{}, Keep{sums}, {panel, 0});
    finish<Number>(c, sums, k, &pixel, 1);
  }
}

template <class Number>
static void convolve(const Call& c) {
  int side = c.size * c.channels, offsets[MOST];
  long line = c.width * c.x_pitch;
  for (int i = 0; i < side * c.size; i++)
    offsets[i] = i / side * line + i % side / c.channels * c.x_pitch + i % c.channels;
  int all = panels(c), wide = columns(c, all - 1) > WIDTH ? all : all - 1;  // panels of two vectors
  int count = wide ? ROWS : 2 * ROWS;
  Columns inside = find_inside(c);
  if (inside.end - inside.first < count) inside = {c.out_width, c.out_width};
  scratch.reserve((MOST + WIDTH + 2 * ROWS * PANEL) * 4 + 128);
  auto values = scratch.take<float>(MOST + WIDTH), sums = scratch.take<float>(2 * ROWS * PANEL);
#pragma omp for schedule(static)
  for (long row = 0; row < (long)c.batch * c.out_height; row++) {
    long first = row * c.out_width, top = row % c.out_height * c.stride_y - c.padding;
    int from = std::max(-top, 0L) * side, to = std::min(c.height - top, (long)c.size) * side;
    auto start = (const float*)c.x + (row / c.out_height * c.height + top) * line - c.padding * c.x_pitch;
    for (int x = 0; x < inside.first; x++) compute_one<Number>(c, first + x, values, sums);
    for (int next = inside.first; next < inside.end; next += count) {
      int x = std::min(next, inside.end - count);  // the last ones perhaps once more
      Windows windows = {start + x * c.stride_x * c.x_pitch, c.stride_x * c.x_pitch, offsets};
      if (wide) {
        compute<Number, ROWS, 2>(c, windows, 0, wide, from, to, first + x, sums);
        compute<Number, ROWS, 1>(c, windows, wide, all, from, to, first + x, sums);
      } else {
        compute<Number, 2 * ROWS, 1>(c, windows, 0, all, from, to, first + x, sums);
      }
    }
    for (int x = inside.end; x < c.out_width; x++) compute_one<Number>(c, first + x, values, sums);
  }
}

}  // namespace picture
