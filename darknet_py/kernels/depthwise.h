// Convolutions of each channel by itself: as many groups as channels and filters.
#pragma once
#include <optional>

#include "means.h"

namespace depthwise {

constexpr int BLOCK = 8;   // pixels side by side that are computed together
constexpr long FAR = 1 << 20;  // bytes of a map that does not stay in the cache
constexpr int SEVERAL = 4;  // vectors of channels, where it is one pixel

// Weights (channels, 1, size, size), taps in a row: in vectors of channels.
inline long pack(const Call& c, const float* from, float* to) {
  int taps = c.size * c.size, vectors = (c.channels + WIDTH - 1) / WIDTH;
  if (to)
    for (int i = 0; i < vectors * WIDTH; i++)
      for (int tap = 0; tap < taps; tap++)
        to[(i / WIDTH * taps + tap) * WIDTH + i % WIDTH] = i < c.channels ? from[i * taps + tap] : 0;
  return (long)vectors * taps * WIDTH;
}

// Where a pixel's window begins, and which of its taps are inside.
template <class Number>
struct Window {
  const Number* start;
  int top, bottom, left, right;
};

template <class Number>
inline Window<Number> find_window(const Call& c, long row, int x) {
  int y = row % c.out_height * c.stride_y - c.padding, left = x * c.stride_x - c.padding;
  long line = row / c.out_height * c.height + y;
  auto start = (const Number*)c.x + (line * c.width + left) * c.x_pitch;
  return {start, std::max(-y, 0), std::min(c.height - y, c.size), std::max(-left, 0),
          std::min(c.width - left, c.size)};
}

// Write a vector from a pixel's channel on: activation, and perhaps the sum with the other map.
template <class Number, class Lanes>
inline void put(const Call& c, Vector sum, long pixel, int channel, Lanes lanes) {
  Vector v = activate(c.first, sum);
  if (c.other)
    v = activate(c.last, v + load((const Number*)c.other + pixel * c.other_pitch + channel, lanes));
  store((Number*)c.y + pixel * c.y_pitch + channel, v, lanes);
}

// One pixel, whose window may be partly outside.
template <class Number>
static void compute_one(const Call& c, long row, int x) {
  auto window = find_window<Number>(c, row, x);
  int taps = c.size * c.size;
  for (int channel = 0; channel < c.channels; channel += SEVERAL * WIDTH) {
    int vectors = std::min((c.channels - channel + WIDTH - 1) / WIDTH, SEVERAL);
    auto weights = (const float*)c.weights + (long)channel * taps;
    Vector sums[SEVERAL] = {};
    for (int i = window.top; i < window.bottom; i++)
      for (int k = window.left; k < window.right; k++) {
        auto from = window.start + (i * c.width + k) * c.x_pitch + channel;
        auto weight = weights + (i * c.size + k) * WIDTH;
#pragma GCC unroll 4
        for (int v = 0; v < SEVERAL; v++)
          if (v < vectors)
            sums[v] += load(from + v * WIDTH, Lanes(c.channels - channel - v * WIDTH)) *
                       load(weight + (long)v * taps * WIDTH);
      }
#pragma GCC unroll 4
    for (int v = 0; v < SEVERAL; v++) {
      int k = channel + v * WIDTH;
      if (v < vectors)
        put<Number>(c, sums[v] + load(c.biases + k), row * c.out_width + x, k, Lanes(c.channels - k));
    }
  }
}

// A vector of channels of BLOCK pixels from `pixel` on; `from` is where the first one's window begins.
// Bent: with an activation of straight pieces. A vector may hold all channels of several pixels, `side`.
template <class Number, int size, int stride, bool bent, int side, class Lanes>
static inline void compute_block(const Call& c, const Window<Number>& window, const Number* from,
                                 const float* weights, Vector biases, const Pieces& pieces, long pixel,
                                 int channel, Lanes lanes) {
  Vector sums[BLOCK] = {};
  const long line = c.width * c.x_pitch, pitch = c.x_pitch;
  for (int i = window.top; i < window.bottom; i++) {
    Vector weight[size];
#pragma GCC unroll 8
    for (int k = 0; k < size; k++) weight[k] = load(weights + (i * size + k) * WIDTH);
#pragma GCC unroll 32
    for (int column = 0; column < (BLOCK - side) * stride + size; column++) {
      Vector v = load(from + i * line + column * pitch, lanes);
#pragma GCC unroll 8
      for (int j = 0; j < BLOCK; j += side) {
        int k = column - j * stride;
        if (k >= 0 && k < size) sums[j] += v * weight[k];
      }
    }
  }
  auto to = (Number*)c.y + pixel * c.y_pitch + channel;
  if (bent) {
#pragma GCC unroll 8
    for (int j = 0; j < BLOCK; j += side) store(to + j * c.y_pitch, pieces.bend(sums[j] + biases), lanes);
  } else if (c.first == SWISH && !c.other) {
#pragma GCC unroll 8
    for (int j = 0; j < BLOCK; j += side)
      store(to + j * c.y_pitch, activate(SWISH, sums[j] + biases), lanes);
  } else {
    for (int j = 0; j < BLOCK; j += side) put<Number>(c, sums[j] + biases, pixel + j, channel, lanes);
  }
}

// The columns whose windows are inside, BLOCK of them at once.
template <class Number, int size, int stride, bool bent>
static void compute_inside(const Call& c, long row, Columns columns) {
  auto window = find_window<Number>(c, row, 0);
  const long line = c.width * c.x_pitch;
  const Pieces pieces = find_pieces(c.first);
  const bool far = line * c.height * (long)sizeof(Number) > FAR;
  for (int next = columns.first; next < columns.end; next += BLOCK) {
    int x = std::min(next, columns.end - BLOCK), channel = 0;  // the last ones perhaps once more
    auto start = window.start + x * stride * c.x_pitch;
    auto weights = (const float*)c.weights;
    long pixel = row * c.out_width + x;
    for (int i = 0; far && i < stride; i++)  // what the next row of results adds
      Ahead{start + (size + i) * line, BLOCK * stride * c.x_pitch * (long)sizeof *start}.fetch(0, 1);
    auto run = [&](auto lanes) {
      compute_block<Number, size, stride, bent, 1>(c, window, start + channel, weights,
                                                   load(c.biases + channel), pieces, pixel, channel, lanes);
    };
    for (; channel + WIDTH <= c.channels; channel += WIDTH, weights += size * size * WIDTH) run(Whole());
    if (channel < c.channels) run(Lanes(c.channels - channel));
  }
}

// The same where two pixels' channels, side by side, fill a vector.
template <class Number, int size, bool bent>
static void compute_pairs(const Call& c, long row, Columns columns) {
  auto window = find_window<Number>(c, row, 0);
  const Pieces pieces = find_pieces(c.first);
  float twice[(size * size + 1) * WIDTH];  // weights, and biases
  for (int i = 0; i <= size * size; i++) {
    auto from = i < size * size ? (const float*)c.weights + i * WIDTH : c.biases;
    for (int k = 0; k < WIDTH; k++) twice[i * WIDTH + k] = from[k % (WIDTH / 2)];
  }
  for (int next = columns.first; next < columns.end; next += BLOCK) {
    int x = std::min(next, columns.end - BLOCK);
    compute_block<Number, size, 1, bent, 2>(c, window, window.start + x * c.x_pitch, twice,
                                            load(twice + size * size * WIDTH), pieces,
                                            row * c.out_width + x, 0, Whole());
  }
}

template <class Number, bool bent>
static void (*find_kernel(const Call& c))(const Call&, long, Columns) {
  int stride = c.stride_x;
  bool pairs = 2 * c.channels == WIDTH && c.x_pitch == c.channels && c.y_pitch == c.channels &&
               (!c.other || c.other_pitch == c.channels);
  if (c.size == 3 && stride == 1 && pairs) return compute_pairs<Number, 3, bent>;
  if (c.size == 3 && stride == 1) return compute_inside<Number, 3, 1, bent>;
  if (c.size == 3 && stride == 2) return compute_inside<Number, 3, 2, bent>;
  if (c.size == 5 && stride == 1) return compute_inside<Number, 5, 1, bent>;
  if (c.size == 5 && stride == 2) return compute_inside<Number, 5, 2, bent>;
  return nullptr;
}

// Rows of the output, of all pictures, `end` not among them; perhaps they are added up.
template <class Number>
static void convolve_rows(const Call& c, long begin, long end, const means::Sums* sums) {
  bool bent = has_pieces(c.first) && !c.other;
  auto kernel = bent ? find_kernel<Number, true>(c) : find_kernel<Number, false>(c);
  Columns inside = find_inside(c);
  if (!kernel || inside.end - inside.first < BLOCK) inside = {c.out_width, c.out_width};
  for (long row = begin; row < end; row++) {
    for (int x = 0; x < inside.first; x++) compute_one<Number>(c, row, x);
    if (kernel) kernel(c, row, inside);
    for (int x = inside.end; x < c.out_width; x++) compute_one<Number>(c, row, x);
    if (sums) sums->add_row<Number>(row);
  }
}

// With a mean behind it, of a single picture, if there is one; `all` has a place for each thread then.
template <class Number>
static void convolve(const Call& c, const Call* mean = nullptr, const float** all = nullptr) {
  long rows = (long)c.batch * c.out_height;
  std::optional<means::Sums> sums;
  if (mean) {
    scratch.reserve(means::Sums::room(*mean) * sizeof(float));
    sums.emplace(*mean, all);
  }
#pragma omp for schedule(static)
  for (int part = 0; part < c.threads; part++)
    convolve_rows<Number>(c, rows * part / c.threads, rows * (part + 1) / c.threads,
                          mean ? &*sums : nullptr);
}

}  // namespace depthwise
