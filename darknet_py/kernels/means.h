// Means of channels; also while a depthwise convolution writes the map, row by row.
#pragma once
#include <omp.h>

#include "convolution.h"

namespace means {

constexpr int SEVERAL = 4 * WIDTH;  // channels that are added up together

// Add pixels to the sums of at most SEVERAL channels: few at a time, which is more exact.
template <class Number>
static void add_pixels(const Number* from, long pitch, long pixels, int channels, float* sums) {
  Vector sum[4] = {};
  if (channels >= SEVERAL) {
    for (long i = 0; i < pixels; i++, from += pitch)
#pragma GCC unroll 4
      for (int k = 0; k < 4; k++) sum[k] += load(from + k * WIDTH);
  } else {
    for (long i = 0; i < pixels; i++, from += pitch)
#pragma GCC unroll 4
      for (int k = 0; k < 4; k++) sum[k] += load(from + k * WIDTH, Lanes(channels - k * WIDTH));
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++) store(sums + k * WIDTH, load(sums + k * WIDTH) + sum[k]);
}

template <class Number>
static void put(const Call& c, long image, int channel, const float* sums) {
  auto to = (Number*)c.y + image * c.y_pitch + channel;
  for (int k = 0; k < SEVERAL; k += WIDTH)
    store(to + k, load(sums + k) / (float)(c.height * c.width), Lanes(c.channels - channel - k));
}

template <class Number>
static void average(const Call& c) {
#pragma omp for collapse(2)
  for (long image = 0; image < c.batch; image++)
    for (int channel = 0; channel < c.channels; channel += SEVERAL) {
      float sums[SEVERAL] = {};
      long line = c.width * c.x_pitch;
      auto from = (const Number*)c.x + image * c.height * line + channel;
      for (int y = 0; y < c.height; y++, from += line)
        add_pixels(from, c.x_pitch, c.width, c.channels - channel, sums);
      put<Number>(c, image, channel, sums);
    }
}

// What each thread has added up of a picture's rows, where the others find it.
class Sums {
 public:
  static long room(const Call& c) { return (c.channels + SEVERAL - 1) / SEVERAL * SEVERAL; }

  // Of this thread, 0 at first; `all` has a place for each.
  Sums(const Call& c, const float** all) : call_(c), sums_(scratch.take<float>(room(c))) {
    memset(sums_, 0, room(c) * sizeof *sums_);
    all[omp_get_thread_num()] = sums_;
  }

  // A row that was just written.
  template <class Number>
  void add_row(long row) const {
    auto from = (const Number*)call_.x + row * call_.width * call_.x_pitch;
    for (int channel = 0; channel < call_.channels; channel += SEVERAL)
      add_pixels(from + channel, call_.x_pitch, call_.width, call_.channels - channel, sums_ + channel);
  }

 private:
  const Call& call_;
  float* sums_;
};

// The means, once all threads have added up.
template <class Number>
static void finish(const Call& c, const float* const* all) {
  int threads = omp_get_num_threads();
#pragma omp for schedule(static)
  for (int channel = 0; channel < c.channels; channel += SEVERAL) {
    float sums[SEVERAL] = {};
    for (int i = 0; i < threads; i++)
      add_pixels(all[i] + channel, 0, 1, SEVERAL, sums);
    put<Number>(c, 0, channel, sums);
  }
}

}  // namespace means
