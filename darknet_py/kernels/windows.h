// Convolutions in steps, whose windows are read from the map itself: those of pixels side by side are as far
// from each other as the step says.
#pragma once
#include "dense.h"

namespace windows {

// a[row * pitch + places[piece] + k]: in a row one pixel's window, a piece for each tap.
template <class A>
struct Windows {
  const A* a;
  long pitch;
  const long* places;
  int count;
  int pieces() const { return count; }
  Rows<A> piece(int number) const { return {a + places[number], pitch}; }
};

// All panels of ROWS pixels side by side, from `pixel` on. The weights' units up to `skipped` belong to taps
// that are outside.
template <class Number, class Matrix>
static void compute(const Call& c, const Matrix& a, long depth, long skipped, long pixel, float* sums) {
  long whole = (long)c.size * c.size * c.channels / Unit<Number>::count, pixels[ROWS];
  for (int i = 0; i < ROWS; i++) pixels[i] = pixel + i;
  for (int panel = 0; panel < panels(c); panel++) {
    int width = columns(c, panel);
    auto weights = (const float*)c.weights + whole * panel * PANEL + skipped * room(width);
    auto multiply = [&](const Start<Number>& start, const auto& goal) {
      if (width > WIDTH)
        multiply_block<ROWS, 2>(a, weights, depth, 0, start, goal);
      else
        multiply_block<ROWS, 1>(a, weights, depth, 0, start, goal);
    };
    if (can_write(c)) {
      Write<Number> write(c, panel, pixel);
      multiply(write.start(c, pixel), write);
    } else {
      multiply(Start<Number>{}, Keep{sums});
      finish<Number>(c, sums, panel, pixels, ROWS);
    }
  }
}

template <class Number>
static void convolve(const Call& c) {
  typedef typename Unit<Number>::type A;
  constexpr int count = Unit<Number>::count;
  if (c.out_width < ROWS || c.channels % count || c.x_pitch % count) return dense::convolve<Number>(c);
  int taps = c.size * c.size;
  bool joined = c.x_pitch == c.channels;  // a window's row is one piece
  int across = joined ? 1 : c.size, pieces = c.size * across;
  long line = c.width * c.x_pitch, whole = (long)taps * c.channels, pitch = whole + 16 * count;
  Columns inside = find_inside(c);
  scratch.reserve(pieces * sizeof(long) + (ROWS * pitch + WIDTH) * sizeof(Number) + ROWS * PANEL * 4 + 192);
  auto places = scratch.take<long>(pieces);
  auto values = scratch.take<Number>(ROWS * pitch + WIDTH);
  auto sums = scratch.take<float>(ROWS * PANEL);
  for (int i = 0; i < pieces; i++) places[i] = (i / across * line + i % across * c.x_pitch) / count;
#pragma omp for schedule(static)
  for (long row = 0; row < (long)c.batch * c.out_height; row++) {
    long top = row % c.out_height * c.stride_y - c.padding;
    int from = std::max(-top, 0L), to = std::min(c.height - top, (long)c.size);
    auto start = (const Number*)c.x + (row / c.out_height * c.height + top) * line - c.padding * c.x_pitch;
    for (int next = 0; next < c.out_width; next += ROWS) {
      int x = std::min(next, c.out_width - ROWS);  // the last ones perhaps once more
      long pixel = row * c.out_width + x;
      if (x < inside.first || x + ROWS > inside.end) {
        dense::gather(c, {0, taps, 0, c.channels}, pixel, ROWS, pitch, values);
        compute<Number>(c, Rows<A>{(const A*)values, pitch / count}, whole / count, 0, pixel, sums);
      } else {
        auto a = (const A*)(start + x * c.stride_x * c.x_pitch);
        long depth = whole / pieces / count;
        Windows<A> windows = {a, c.stride_x * c.x_pitch / count, places + from * across, (to - from) * across};
        compute<Number>(c, windows, depth, from * across * depth, pixel, sums);
      }
    }
  }
}

}  // namespace windows
