// 1 x 1 convolutions with few filters: several pixels side by side count as one, with as many filters as a
// vector holds.
#pragma once
#include "dense.h"

namespace narrow {

constexpr int MOST = 64;     // channels of all these pixels
constexpr long MANY = 4096;  // pixels that are worth the preparation

// How many pixels are one; 1: the convolution had better stay as it is.
template <class Number>
static int find_side(const Call& c) {
  bool single = c.size == 1 && c.stride_x == 1 && c.stride_y == 1 && !c.padding;
  if (!single || c.factors || WIDTH % c.filters) return 1;
  int side = WIDTH / c.filters;
  long pixels = (long)c.batch * c.out_height * c.out_width;
  bool alone = c.x_pitch == c.channels && c.y_pitch == c.filters;  // nothing lies between the pixels
  alone = alone && (!c.other || c.other_pitch == c.filters);
  bool fits = side * c.channels <= MOST && c.channels % Unit<Number>::count == 0 && pixels % side == 0;
  return alone && fits && pixels >= MANY ? side : 1;
}

template <class Number>
static void convolve(const Call& c, int side) {
  constexpr int count = Unit<Number>::count;
  alignas(64) Number weights[MOST * WIDTH] = {};  // those of a pixel, for each at its own place
  alignas(64) float biases[WIDEST] = {};
  for (int p = 0; p < side; p++)
    for (int k = 0; k < c.filters; k++) {
      biases[p * c.filters + k] = c.biases[k];
      for (int i = 0; i < c.channels; i++) {  // in units of the depth, in them filters
        int from = (i / count * WIDTH + k) * count + i % count;
        weights[p * (c.channels * WIDTH + c.filters * count) + from] = ((const Number*)c.weights)[from];
      }
    }
  Call all = c;
  all.weights = weights, all.biases = biases;
  all.channels *= side, all.filters *= side;
  all.x_pitch *= side, all.y_pitch *= side, all.other_pitch *= side;
  all.batch = all.height = all.out_height = 1;
  all.width = all.out_width = (long)c.batch * c.out_height * c.out_width / side;
  dense::convolve<Number>(all);
}

}  // namespace narrow
