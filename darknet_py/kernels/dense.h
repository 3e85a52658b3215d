// Convolutions as products of matrices: of a block of pixels, the windows' values, times weights.
#pragma once
#include "convolution.h"

namespace dense {

constexpr int DEPTH = 512;  // numbers of a window that are multiplied at once: they stay in the cache
constexpr int PIXELS = 4 * ROWS;
constexpr long FEW = 4;  // pixels for each filter from which on it is less work to scale the weights than the map
constexpr long LARGE = 1 << 18;  // weights that had better be read for many pixels at once

// The windows' values are taken in parts: some taps with all channels, or a part of one's channels.
struct Part {
  int tap, taps, channel, channels;
};

static int count_parts(const Call& c) {
  int taps = c.size * c.size;
  if (c.channels > DEPTH) return taps * ((c.channels + DEPTH - 1) / DEPTH);
  int some = std::min(taps, std::max(1, DEPTH / c.channels));
  return (taps + some - 1) / some;
}

static Part find_part(const Call& c, int number) {
  int taps = c.size * c.size;
  if (c.channels <= DEPTH) {
    int parts = count_parts(c), from = taps * number / parts;
    return {from, taps * (number + 1) / parts - from, 0, c.channels};
  }
  int parts = (c.channels + DEPTH - 1) / DEPTH, from = number % parts * DEPTH;
  return {number / parts, 1, from, std::min(DEPTH, c.channels - from)};
}

template <class Number>
static long units(const Part& part) {
  constexpr int count = Unit<Number>::count;
  return ((long)part.taps * part.channels + count - 1) / count;
}

// Numbers that the weights of one filter take.
template <class Number>
static long length(const Call& c) {
  long sum = 0;
  for (int p = 0; p < count_parts(c); p++) sum += units<Number>(find_part(c, p));
  return sum * Unit<Number>::count;
}

// Weights (filters, channels, size, size) in the order in which they are read: panels of filters,
// in them the parts, in them units of the depth, in them filters.
template <class Number>
static long pack(const Call& c, const Number* from, Number* to) {
  constexpr int count = Unit<Number>::count;
  int taps = c.size * c.size;
  long whole = length<Number>(c);
  if (!to) return whole * padded(c);
#pragma omp parallel for num_threads(c.threads)
  for (int panel = 0; panel < panels(c); panel++) {
    int width = columns(c, panel), wide = room(width);
    Number* start = to + panel * whole * PANEL;
    for (int p = 0; p < count_parts(c); p++) {
      Part part = find_part(c, p);
      long depth = units<Number>(part) * count, used = (long)part.taps * part.channels;
      for (long i = 0; i < depth; i++) {
        long tap = part.tap + i / part.channels, channel = part.channel + i % part.channels;
        for (int k = 0; k < wide; k++) {
          long filter = panel * PANEL + k;
          start[(i / count * wide + k) * count + i % count] =
              k < width && i < used ? from[(filter * c.channels + channel) * taps + tap] : Number{};
        }
      }
      start += depth * wide;
    }
  }
  return whole * padded(c);
}

// A few hundred numbers, for which a call of memcpy would take as long as the copy.
template <class Number>
static inline void copy(const Number* from, int count, Number* to) {
  int i = 0;
  for (; i + WIDTH <= count; i += WIDTH) memcpy(to + i, from + i, WIDTH * sizeof *to);
  for (; i < count; i++) to[i] = from[i];
}

// The values of a part of the windows of `count` pixels from `pixel` on, `pitch` apart; what lies
// outside the map is 0.
template <class Number>
static void gather(const Call& c, const Part& part, long pixel, int count, long pitch, Number* to) {
  int column = pixel % c.out_width, row = pixel / c.out_width % c.out_height;
  long image = pixel / c.out_width / c.out_height, line = c.width * c.x_pitch;
  int side = c.size * c.channels;
  bool whole = part.taps == c.size * c.size && part.channels == c.x_pitch && c.dilation == 1;
  whole = whole && line >= side + WIDTH;
  for (int n = 0; n < count; n++, to += pitch) {
    int y = row * c.stride_y - c.padding, x = column * c.stride_x - c.padding;
    auto start = (const Number*)c.x + image * c.height * line + part.channel;
    Number* at = to;
    // Some values too many are read and written: there is a row more, and room behind the last.
    if (whole && x >= 0 && y >= 0 && x + c.size <= c.width && y + c.size < c.height) {
      auto from = start + y * line + x * c.x_pitch;
      for (int i = 0; i < c.size; i++, from += line, at += side)
        for (int k = 0; k < side; k += WIDTH) memcpy(at + k, from + k, WIDTH * sizeof *at);
    } else {
      for (int t = part.tap; t < part.tap + part.taps; t++, at += part.channels) {
        int b = y + t / c.size * c.dilation, a = x + t % c.size * c.dilation;
        if (b < 0 || b >= c.height || a < 0 || a >= c.width)
          memset(at, 0, part.channels * sizeof *at);
        else
          copy(start + b * line + a * c.x_pitch, part.channels, at);
      }
    }
    at[0] = Number{};  // the second of a last unit
    if (++column < c.out_width) continue;
    column = 0;
    if (++row < c.out_height) continue;
    row = 0, image++;
  }
}

// Whether a 1 x 1 convolution may take a map's factors, one for each channel, into its weights.
static bool takes_factors(const Call& product, const Call& c) {
  return product.batch == 1 && (long)c.out_height * c.out_width >= FEW * c.filters;
}

// The weights of a 1 x 1 convolution times its factors.
template <class Number>
static void scale(const Call& c, Number* to) {
  constexpr int count = Unit<Number>::count;
  auto from = (const Number*)c.weights;
  long whole = length<Number>(c);
  for (int k = 0; k < panels(c); k++) {
    int row = room(columns(c, k)) * count;
    for (long i = 0; i < whole; i += count) {
      Vector factors;
      for (int j = 0; j < WIDTH; j++) {
        long channel = i + j % count;
        factors[j] = channel < c.channels ? load((const Number*)c.factors + channel, Lanes(1))[0] : 0;
      }
      for (int j = 0; j < row; j += WIDTH, from += WIDTH, to += WIDTH) store(to, load(from) * factors);
    }
  }
}

template <class Number>
static void convolve(const Call& c) {
  constexpr int count = Unit<Number>::count;
  long pixels = (long)c.batch * c.out_height * c.out_width;
  bool large = length<Number>(c) * c.filters > LARGE;
  long blocks = divide(c, pixels, large ? 4 * PIXELS : PIXELS, large);
  int all = panels(c), parts = count_parts(c);
  int groups = share(c, blocks);
  long most = (pixels + blocks - 1) / blocks;
  int wide = (all + groups - 1) / groups;
  long whole = length<Number>(c) * PANEL, pitch = 0;  // units from row to row of the values
  for (int p = 0; p < parts; p++) pitch = std::max(pitch, units<Number>(find_part(c, p)) + 16);
  // The windows of one pixel are the map itself; rows whose places in the cache collide are copied.
  bool direct = c.size == 1 && c.stride_x == 1 && c.stride_y == 1 && !c.padding &&
                c.channels % count == 0 && c.x_pitch % count == 0 &&
                (c.x_pitch * sizeof(Number) % 2048 || c.filters <= 2 * PANEL);
  bool direct_write = can_write(c);
  {
    long scaled = c.factors ? padded(c) * length<Number>(c) : 0;
    scratch.reserve(most * pitch * 4 + most * PANEL * wide * 4 + most * sizeof(long) + 256 +
                    scaled * sizeof(Number));
    auto places = scratch.take<long>(most);
    auto values = scratch.take<Number>(most * pitch * count);
    auto sums = scratch.take<float>(most * PANEL * wide);
    auto weights = (const Number*)c.weights;
    if (c.factors) {
      auto to = scratch.take<Number>(scaled);
      scale(c, to);
      weights = to;
    }
    long held = -1;
#pragma omp for schedule(static)
    for (long job = 0; job < blocks * groups; job++) {
      long block = job / groups, start = pixels * block / blocks;
      int group = job % groups, from = all * group / groups, to = all * (group + 1) / groups;
      int rows = pixels * (block + 1) / blocks - start;
      for (int i = 0; i < rows; i++) places[i] = start + i;
      long offset = 0;
      for (int p = 0; p < parts; p++) {
        Part part = find_part(c, p);
        long depth = units<Number>(part);
        if (!direct && (parts > 1 || held != block))
          gather(c, part, start, rows, pitch * count, values);
        held = block;
        for (int k = from; k < to; k++) {
          int width = columns(c, k), taken = room(width);
          auto panel = weights + k * whole + offset * taken;
          float* sum = sums + (long)(k - from) * rows * PANEL;
          auto a = direct ? (const Number*)c.x + start * c.x_pitch + part.channel : values;
          Ahead ahead = {panel + whole, depth * count * taken * (long)sizeof(Number)};
          if (direct && k == to - 1) ahead = {a + rows * c.x_pitch, rows * c.x_pitch * (long)sizeof *a};
          long step = direct ? c.x_pitch / count : pitch;
          Write<Number> write(c, k, start);
          Start<Number> first = direct_write ? write.start(c, start) : Start<Number>{};
          if (p > 0) first = {sum};
          if (p == parts - 1 && direct_write) {
            multiply(rows, a, step, panel, width, depth, first, write, ahead);
          } else {
            multiply(rows, a, step, panel, width, depth, first, Keep{sum}, ahead);
            if (p == parts - 1) finish<Number>(c, sum, k, places, rows);
          }
        }
        offset += depth * count;
      }
    }
  }
}

}  // namespace dense
