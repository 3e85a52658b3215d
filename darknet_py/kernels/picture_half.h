// The same with 16 bits: rows of the picture are rounded and laid out side by side as they are needed, with
// zeros around them, and pairs of numbers are multiplied, whatever channels and columns they are of.
#pragma once
#include "convolution.h"

namespace picture {

#if defined(__AVX512BF16__)

// Pairs of numbers of one window's row: an odd one is multiplied with 0.
inline int pairs(const Call& c) { return (c.size * c.channels + 1) / 2; }

// Weights (filters, channels, size, size): panels of filters, in them the window's rows, in them pairs.
static long pack(const Call& c, const Bfloat16* from, Bfloat16* to) {
  long depth = (long)c.size * pairs(c) * 2;
  if (!to) return depth * padded(c);
  int taps = c.size * c.size, side = c.size * c.channels;
  for (int filter = 0; filter < padded(c); filter++) {
    int panel = filter / PANEL, wide = room(columns(c, panel)), column = filter % PANEL;
    for (int i = 0; i < depth; i++) {
      int y = i / (2 * pairs(c)), k = i % (2 * pairs(c));  // k: of the row's numbers, pixel by pixel
      long tap = y * c.size + k / c.channels, at = ((long)filter * c.channels + k % c.channels) * taps + tap;
      Bfloat16 value = filter < c.filters && k < side ? from[at] : Bfloat16{};
      to[panel * PANEL * depth + ((i / 2) * wide + column) * 2 + i % 2] = value;
    }
  }
  return depth * padded(c);
}

typedef int32_t Bits __attribute__((aligned(2), may_alias));

// A pair in memory, for one product or for two. As a number it would come by way of a general register, which
// takes twice as long.
template <int vectors>
struct Pair {
  explicit Pair(const Bits* p) : p(p) {}
  const Bits* p;
};
template <>
struct Pair<2> {
  explicit Pair(const Bits* p) { asm("vpbroadcastd %1, %0" : "=v"(all) : "m"(*p)); }
  __m512i all;
};

inline Vector multiply_add(Vector sum, Pair<1> a, Vector b) {
  asm("vdpbf16ps %1%{1to16%}, %2, %0" : "+v"(sum) : "m"(*a.p), "v"(b));
  return sum;
}

inline Vector multiply_add(Vector sum, Pair<2> a, Vector b) {
  return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a.all, (__m512bh)b);
}

// A window's row in a line: `known` or else `pitch` numbers from pixel to pixel.
template <int known, int vectors>
struct Line {
  const Bfloat16* a;
  long pitch;
  Pair<vectors> at(int row, long k) const {
    return Pair<vectors>((const Bits*)(a + row * (known ? known : pitch) + 2 * k));
  }
};

template <int known, int vectors>
struct Lines {
  const Bfloat16* const* lines;
  long start, pitch;
  int count;
  int pieces() const { return count; }
  Line<known, vectors> piece(int number) const { return {lines[number] + start, pitch}; }
};

// Which of 32 pixels' and three channels' numbers come where, side by side: first of two channels, then also
// of the third.
struct Order {
  __m512i first[3], second[3];
  Order() {
    uint16_t a[3][32], b[3][32];
    for (int i = 0; i < 96; i++) {
      int channel = i % 3, lane = i % 32;
      a[i / 32][lane] = channel == 1 ? 32 + i / 3 : i / 3;
      b[i / 32][lane] = channel == 2 ? 32 + i / 3 : lane;
    }
    for (int i = 0; i < 3; i++) first[i] = _mm512_loadu_si512(a[i]), second[i] = _mm512_loadu_si512(b[i]);
  }
};

// A row of the picture, `step` numbers from channel to channel.
static void lay_out(const Call& c, const float* from, long step, const Order& order, Bfloat16* to) {
  int x = 0;
  auto round = [](const float* p) {
    return (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(p + 16), _mm512_loadu_ps(p));
  };
  for (; c.channels == 3 && c.x_pitch == 1 && x + 32 <= c.width; x += 32) {
    __m512i red = round(from + x), green = round(from + x + step), blue = round(from + x + 2 * step);
    for (int i = 0; i < 3; i++) {
      __m512i two = _mm512_permutex2var_epi16(red, order.first[i], green);
      _mm512_storeu_si512(to + 3 * x + 32 * i, _mm512_permutex2var_epi16(two, order.second[i], blue));
    }
  }
  if (c.x_pitch == c.channels && x == 0) {
    long count = (long)c.width * c.channels;
    for (long i = 0; i < count; i += WIDTH)
      store(to + i, load(from + i, Lanes(count - i)), Lanes(count - i));
    return;
  }
  for (; x < c.width; x++)
    for (int k = 0; k < c.channels; k++)
      store(to + x * c.channels + k, Vector{} + from[x * c.x_pitch + k * step], Lanes(1));
}

// `count` pixels of an output row from x on: all panels.
template <int count, int vectors, int known>
static void compute_half(const Call& c, const Lines<known, vectors>& lines, int first, int end, long pixel, int used,
                    float* sums) {
  long depth = pairs(c), pixels[count];
  for (int i = 0; i < count; i++) pixels[i] = i < used ? pixel + i : -1;
  for (int panel = first; panel < end; panel++) {
    auto weights = (const float*)c.weights + (long)panel * PANEL * c.size * depth;
    if (can_write(c) && !c.other && used == count) {
      Write<Bfloat16> write(c, panel, pixel);
      multiply_block<count, vectors>(lines, weights, depth, 0, Start<Bfloat16>{}, write);
    } else {
      multiply_block<count, vectors>(lines, weights, depth, 0, Start<Bfloat16>{}, Keep{sums});
      finish<Bfloat16>(c, sums, panel, pixels, count);
    }
  }
}

template <int known>
static void convolve_half(const Call& c) {
  bool planes = c.x_pitch == 1;
  int all = panels(c), wide = columns(c, all - 1) > WIDTH ? all : all - 1;  // panels of two vectors
  long step = planes ? (long)c.height * c.width : 1;
  long size = (long)c.height * c.width * (planes ? c.channels : c.x_pitch);  // of an image
  long pitch = c.stride_x * c.channels;
  long length = std::max((c.out_width + 2 * ROWS) * pitch, (long)(c.width + c.padding) * c.channels);
  length += 2 * pairs(c) + 32;
  const Bfloat16* lines[16];
  scratch.reserve((c.size + 1) * (length * 2 + 64) + 2 * ROWS * PANEL * 4 + 192);
  auto memory = scratch.take<Bfloat16>((c.size + 1) * length);
  auto sums = scratch.take<float>(2 * ROWS * PANEL);
  memset(memory, 0, (c.size + 1) * length * sizeof *memory);
  Order order;
  long image = -1, next = 0;  // the row that is laid out next
#pragma omp for schedule(static)
  for (long row = 0; row < (long)c.batch * c.out_height; row++) {
    long top = row % c.out_height * c.stride_y - c.padding;
    if (image != row / c.out_height) image = row / c.out_height, next = 0;
    next = std::max(next, top);
    for (; next < std::min(top + c.size, (long)c.height); next++) {
      auto from = (const float*)c.x + image * size + next * c.width * c.x_pitch;
      lay_out(c, from, step, order, memory + next % c.size * length + c.padding * c.channels);
    }
    for (int i = 0; i < c.size; i++) {
      long y = top + i;
      lines[i] = memory + (y < 0 || y >= c.height ? c.size : y % c.size) * length;  // the last one is of zeros
    }
    auto compute_all = [&](auto block, int first, int end) {
      constexpr int count = block, vectors = 2 * ROWS / count;
      for (int at = 0; first < end && at < c.out_width; at += count) {
        int x = std::max(std::min(at, c.out_width - count), 0);  // the last ones perhaps once more
        Lines<known, vectors> a = {lines, x * pitch, pitch, c.size};
        compute_half<count, vectors>(c, a, first, end, row * c.out_width + x, std::min(count, c.out_width), sums);
      }
    };
    compute_all(std::integral_constant<int, ROWS>(), 0, wide);
    compute_all(std::integral_constant<int, 2 * ROWS>(), wide, all);
  }
}

static void convolve_half(const Call& c) {
  switch (c.stride_x * c.channels) {
    case 3:
      return convolve_half<3>(c);
    case 6:
      return convolve_half<6>(c);
  }
  convolve_half<0>(c);
}

#endif

}  // namespace picture
