// A 1 x 1 convolution and the depthwise one behind it, in bands of rows: what lies between them stays in the
// cache.
#pragma once
#include "dense.h"
#include "depthwise.h"

namespace expansion {

constexpr long LARGE = 1 << 20;  // bytes of a map between them from which on that pays
constexpr long BAND = 1 << 19;   // bytes of a band

template <class Number>
static bool suits(const Call& first) {
  long pixels = (long)first.batch * first.out_height * first.out_width;
  constexpr int count = Unit<Number>::count;
  return first.joined && pixels * first.filters * (long)sizeof(Number) >= LARGE &&
         first.channels <= dense::DEPTH && !(first.channels % count) && !(first.x_pitch % count);
}

// Pixels of the first one's map, `end` not among them.
template <class Number>
static void expand(const Call& c, long begin, long end, float* sums, long* places) {
  constexpr int count = Unit<Number>::count;
  long depth = c.channels / count;
  for (long start = begin; start < end; start += dense::PIXELS) {
    int rows = std::min(end - start, (long)dense::PIXELS);
    for (int i = 0; i < rows; i++) places[i] = start + i;
    auto a = (const Number*)c.x + start * c.x_pitch;
    for (int k = 0; k < panels(c); k++) {
      auto panel = (const Number*)c.weights + (long)k * PANEL * c.channels;
      auto run = [&](const auto& goal) {
        multiply(rows, a, c.x_pitch / count, panel, columns(c, k), depth, Start<Number>{}, goal, {panel, 0});
      };
      if (can_write(c)) {
        run(Write<Number>(c, k, start));
      } else {
        run(Keep{sums});
        finish<Number>(c, sums, k, places, rows);
      }
    }
  }
}

// With a mean behind them, of a single picture, if there is one; `all` has a place for each thread then.
template <class Number>
static void convolve(Call first, Call second, const Call* mean, const float** all) {
  long line = (long)second.width * first.filters, lines = (long)second.batch * second.out_height;
  long most = (BAND / (line * (long)sizeof(Number)) - second.size) / second.stride_y + 1;
  most = std::max(most, 1L);  // rows of results in a band
  long rows = (most - 1) * second.stride_y + second.size;
  scratch.reserve(rows * line * sizeof(Number) + dense::PIXELS * (PANEL * 4 + sizeof(long)) + 256 +
                  (mean ? means::Sums::room(*mean) * sizeof(float) : 0));
  auto places = scratch.take<long>(dense::PIXELS);
  auto sums = scratch.take<float>(dense::PIXELS * PANEL);
  auto band = scratch.take<Number>(rows * line);
  std::optional<means::Sums> added;
  if (mean) added.emplace(*mean, all);
  first.y_pitch = second.x_pitch = first.filters;
#pragma omp for schedule(static)
  for (int part = 0; part < first.threads; part++) {
    long held = -1, next = -1;  // rows of the map that the band holds: from, and to before
    for (long row = lines * part / first.threads, end = lines * (part + 1) / first.threads; row < end;) {
      long image = row / second.out_height, y = row % second.out_height;
      long count = std::min({most, end - row, second.out_height - y});
      long top = y * second.stride_y - second.padding;
      long bottom = top + (count - 1) * second.stride_y + second.size, before = image * second.height;
      long from = before + std::max(top, 0L), to = before + std::min(bottom, (long)second.height);
      if (from < held || from >= next)
        next = from;
      else
        memmove(band, band + (from - held) * line, (next - from) * line * sizeof *band);
      held = from;
      first.y = band - held * line, second.x = band - held * line;
      expand<Number>(first, next * second.width, to * second.width, sums, places);
      next = std::max(next, to);
      depthwise::convolve_rows<Number>(second, row, row + count, mean ? &*added : nullptr);
      row += count;
    }
  }
}

}  // namespace expansion
