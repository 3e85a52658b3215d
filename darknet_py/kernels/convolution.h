// What the kernels of convolutions share.
#pragma once
#include "product.h"

// The numbers are those of call.py.
enum Kind { DENSE, WINOGRAD, MAXIMUM, AVERAGE, REPEAT, ADD, MULTIPLY, COPY };

// One layer's call; call.py has the same. Maps lie with their channels last in memory; a pitch is
// the way from pixel to pixel, in numbers.
struct Call {
  const void *x, *other;  // other: a map that is added, or multiplied with; may be null
  void* y;
  long x_pitch, other_pitch, y_pitch;
  const void *weights, *expanded;
  const float* biases;  // of a multiple of PANEL
  int kind, half;       // half: maps are of 16 bits
  int batch, channels, height, width, filters, out_height, out_width;  // of sums: the other map's
  int size, stride_y, stride_x, padding, dilation;
  int first, last;  // activations before and after the sum
  int threads;
};

inline int panels(const Call& c) { return (c.filters + PANEL - 1) / PANEL; }
inline int columns(const Call& c, int panel) { return std::min(PANEL, c.filters - panel * PANEL); }
// A last panel of half the columns takes half the room.
inline int room(int columns) { return columns > WIDTH ? PANEL : WIDTH; }
inline int padded(const Call& c) {
  int last = panels(c) - 1;
  return last * PANEL + room(columns(c, last));
}

template <class Number, int kind>
void finish_as(const Call& c, const float* sums, int panel, const long* pixels, int rows) {
  int count = columns(c, panel), start = panel * PANEL;
  for (int i = 0; i < count; i += WIDTH) {
    Lanes lanes(count - i);
    Vector biases = load(c.biases + start + i);
    for (int row = 0; row < rows; row++) {
      if (pixels[row] < 0) continue;
      Vector v = activate(kind, load(sums + (long)row * PANEL + i) + biases);
      if (c.other) {
        auto other = (const Number*)c.other + pixels[row] * c.other_pitch + start + i;
        v = activate(c.last, v + load(other, lanes));
      }
      store((Number*)c.y + pixels[row] * c.y_pitch + start + i, v, lanes);
    }
  }
}

// Write pixels' values of a panel, `activation(sums + biases)`, and perhaps the sum with the other
// map; `pixels` says where each row goes, if anywhere.
template <class Number>
void finish(const Call& c, const float* sums, int panel, const long* pixels, int rows) {
  switch (c.first) {
#define CASE(kind) \
  case kind:       \
    return finish_as<Number, kind>(c, sums, panel, pixels, rows);
    CASE(LINEAR) CASE(LEAKY) CASE(RELIE) CASE(RELU) CASE(RELU6)
    CASE(HARDTAN) CASE(LOGISTIC) CASE(SWISH) CASE(MISH)
#undef CASE
  }
}
