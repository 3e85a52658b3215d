// What the kernels of convolutions share.
#pragma once
#include "product.h"

// The numbers are those of call.py.
enum Kind {
  DENSE, WINOGRAD, DEPTHWISE, PICTURE, WINDOWS, MAXIMUM, AVERAGE, REPEAT, ADD, MULTIPLY, COPY, SQUASH,
  SOFTMAX
};

// One layer's call; call.py has the same. Maps lie with their channels last in memory; a pitch is
// the way from pixel to pixel, in numbers.
struct Call {
  const void *x, *other;  // other: a map that is added, or multiplied with; may be null
  void* y;
  long x_pitch, other_pitch, y_pitch;
  const void *weights, *expanded;
  const float* biases;  // of a multiple of WIDEST
  int kind, half;       // half: maps are of 16 bits
  int batch, channels, height, width, filters, out_height, out_width;  // of sums: the other map's
  int size, stride_y, stride_x, padding, dilation;
  int first, last;  // activations before and after the sum
  int threads;
  int joined;  // the next call may run with this one, if that suits: kernels.cpp
  const void* factors;  // of a 1 x 1 convolution's input channels; null: 1
};

// The output's columns from `first` to before `end`: those whose windows are inside, across.
struct Columns {
  int first, end;
};

inline Columns find_inside(const Call& c) {
  int first = std::min((c.padding + c.stride_x - 1) / c.stride_x, c.out_width);
  int end = c.width + c.padding - (c.size - 1);
  return {first, std::max(first, std::min(end > 0 ? (end - 1) / c.stride_x + 1 : 0, c.out_width))};
}

inline int panels(const Call& c) { return (c.filters + PANEL - 1) / PANEL; }
inline int columns(const Call& c, int panel) { return std::min(PANEL, c.filters - panel * PANEL); }
// A last panel of half the columns takes half the room.
inline int room(int columns) { return columns > WIDTH ? PANEL : WIDTH; }
inline int padded(const Call& c) {
  int last = panels(c) - 1;
  return last * PANEL + room(columns(c, last));
}

// Into how many blocks of `few` pixels or less `count` go: as many for each thread, so that it finds in its
// part of the map what it wrote itself; but where the weights are large and the blocks few, threads had
// better share the filters, so that each weight is read once.
inline long divide(const Call& c, long count, long few, bool large) {
  long blocks = std::max((count + few - 1) / few, 1L);
  if (large && blocks < c.threads) return blocks;
  long even = (blocks + c.threads - 1) / c.threads * c.threads;
  return count >= even * ROWS ? even : blocks;
}

// Into how many groups the panels go, so that all threads have work when there are few blocks of pixels.
inline int share(const Call& c, long blocks) {
  return blocks >= 8 * c.threads || blocks % c.threads == 0 ? 1 : std::min(panels(c), c.threads);
}

template <class Number, int kind, bool sum>
void finish_as(const Call& c, const float* sums, int panel, const long* pixels, int rows) {
  int count = columns(c, panel), start = panel * PANEL;
  for (int i = 0; i < count; i += WIDTH) {
    Lanes lanes(count - i);
    Vector biases = load(c.biases + start + i);
    for (int row = 0; row < rows; row++) {
      if (pixels[row] < 0) continue;
      Vector v = activate(kind, load(sums + (long)row * PANEL + i) + biases);
      if constexpr (sum) {
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
    return c.other ? finish_as<Number, kind, true>(c, sums, panel, pixels, rows) \
                   : finish_as<Number, kind, false>(c, sums, panel, pixels, rows);
    CASE(LINEAR) CASE(LEAKY) CASE(RELIE) CASE(RELU) CASE(RELU6)
    CASE(HARDTAN) CASE(LOGISTIC) CASE(SWISH) CASE(MISH)
#undef CASE
  }
}

// Whether a product may be written as it leaves the registers: behind it, and a sum that it starts with,
// an activation of straight pieces.
inline bool can_write(const Call& c) {
  return c.other ? c.first == LINEAR && has_pieces(c.last) : has_pieces(c.first);
}

// A product's goal then: a panel of pixels side by side.
template <class Number>
class Write {
 public:
  Write(const Call& c, int panel, long pixel)
      : pieces_(find_pieces(c.other ? c.last : c.first)), start_(panel * PANEL),
        biases_{load(c.biases + start_), load(c.biases + start_ + WIDTH)},
        y_((Number*)c.y + pixel * c.y_pitch + start_), pitch_(c.y_pitch),
        lanes_{Lanes(columns(c, panel)), Lanes(columns(c, panel) - WIDTH)} {}

  __attribute__((always_inline)) void put(long row, int column, Vector v) const {
    v = pieces_.bend(v + biases_[column]);
    store(y_ + row * pitch_ + column * WIDTH, v, lanes_[column]);
  }

  // With the sum, if there is one.
  Start<Number> start(const Call& c, long pixel) const {
    auto other = (const Number*)c.other + pixel * c.other_pitch + start_;
    return {nullptr, c.other ? other : nullptr, c.other_pitch, {lanes_[0], lanes_[1]}};
  }

 private:
  Pieces pieces_;
  long start_;
  Vector biases_[2];
  Number* y_;
  long pitch_;
  Lanes lanes_[2];
};
