// The network that comes with the course, in plain JavaScript: the U-Net of notebook 06, the schedule of 02, and the
// samplers and guidance of 08. Python has the same; tests/site/test_network_in_a_browser.py compares the two.
//
// A picture is a Float32Array of 784 numbers, row by row, from -1 (black) to 1 (white). What layers hand on is a
// Float32Array, too, channel by channel; how many channels there are, the weights say. The weighted sums, where the time
// goes, are product.wat's, of which PRODUCT holds the bytes.
const network = (() => {
  const SIDE = 28, PIXELS = SIDE * SIDE, GROUPS = 8, HEADS = 4, MOST = 300_000; // numbers that one layer takes and gives

  // The weights: a safetensors file of float16 numbers, in base64. Gives {name: numbers}.
  function read(base64) {
    const letters = atob(base64), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
    const begin = 8 + new DataView(bytes.buffer).getUint32(0, true);
    const { __metadata__, ...tensors } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, begin)));
    return Object.fromEntries(Object.entries(tensors).map(([name, { data_offsets: [from, to] }]) =>
      [name, float16(new Uint16Array(bytes.buffer, begin + from, (to - from) / 2))]));
  }

  function float16(halves) {
    const out = new Float32Array(halves.length);
    for (let i = 0; i < out.length; i++) {
      const exponent = (halves[i] >> 10) & 31, fraction = (halves[i] & 1023) / 1024;
      const size = exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
      out[i] = halves[i] >> 15 ? -size : size;
    }
    return out;
  }

  function transposed(x, rows) {
    const columns = x.length / rows, out = new Float32Array(x.length);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) out[column * rows + row] = x[row * columns + column];
    return out;
  }

  function joined(x, y) {
    const out = new Float32Array(x.length + y.length);
    out.set(x);
    out.set(y, x.length);
    return out;
  }

  const sum = (x) => x.reduce((total, value) => total + value, 0);
  // Loops, where `map` would be shorter: it takes several times as long, and everything goes through these.
  function added(x, y) {
    const out = new Float32Array(x.length);
    for (let i = 0; i < out.length; i++) out[i] = x[i] + y[i];
    return out;
  }

  function silu(x) {
    const out = new Float32Array(x.length);
    for (let i = 0; i < out.length; i++) out[i] = x[i] / (1 + Math.exp(-x[i]));
    return out;
  }

  function scaled(x, area, scale, shift) { // channel by channel, each of `area` numbers
    const out = new Float32Array(x.length);
    for (let channel = 0; channel < x.length / area; channel++) {
      const factor = scale(channel), more = shift(channel);
      for (let i = channel * area; i < (channel + 1) * area; i++) out[i] = x[i] * factor + more;
    }
    return out;
  }

  // Row p: what a 3×3 window sees around position p, zeros outside.
  function windows(x, channels, stride) {
    const area = x.length / channels, side = Math.sqrt(area), across = Math.ceil(side / stride), places = [];
    for (let row = 0; row < across; row++) for (let column = 0; column < across; column++)
      for (let i = row * stride - 1; i <= row * stride + 1; i++) for (let j = column * stride - 1; j <= column * stride + 1; j++)
        places.push(i >= 0 && j >= 0 && i < side && j < side ? i * side + j : -1);
    const out = new Float32Array(places.length * channels);
    for (let place = 0, at = 0; place < places.length; place += 9)
      for (let from = 0; from < x.length; from += area)
        for (let k = place; k < place + 9; k++, at++) if (places[k] >= 0) out[at] = x[from + places[k]];
    return out;
  }

  // Four channels at 14×14 of one picture at 28×28, and back: each 2×2 pixels are one position.
  const PLACES = Array.from({ length: PIXELS }, (_, i) => {
    const channel = Math.floor(i / 196), row = Math.floor((i % 196) / 14), column = i % 14;
    return (2 * row + (channel >> 1)) * SIDE + 2 * column + (channel & 1);
  });
  const unshuffled = (x) => Float32Array.from(PLACES, (place) => x[place]);
  function shuffled(x) {
    const out = new Float32Array(PIXELS);
    PLACES.forEach((place, i) => { out[place] = x[i]; });
    return out;
  }

  // Each number four times: twice as high, twice as wide.
  function upsampled(x, channels) {
    const side = Math.sqrt(x.length / channels), out = new Float32Array(4 * x.length);
    for (let i = 0; i < out.length; i++) {
      const row = Math.floor(i / (2 * side)), column = i % (2 * side); // the rows of all channels, one below the other
      out[i] = x[(row >> 1) * side + (column >> 1)];
    }
    return out;
  }

  // The U-Net of these weights: (x_t, t, label) → v. label: 0…9, or null for any digit.
  function unet(weights) {
    const channelsOf = (name) => weights[`${name}.bias`].length;
    const { memory, product: multiply } = new WebAssembly.Instance(new WebAssembly.Module(PRODUCT)).exports;
    const places = {}; // where the weights begin in the memory, in bytes; what is free lies behind them
    let free = 0;
    memory.grow(Math.ceil((sum(Object.values(weights).map((numbers) => numbers.length)) + MOST) * 4 / 65536));
    for (const [name, numbers] of Object.entries(weights)) {
      new Float32Array(memory.buffer, free).set(numbers);
      places[name] = free;
      free += 4 * numbers.length;
    }

    // A layer of weighted sums: for rows of `length` numbers, out[o, p] = bias[o] + Σ_k weight[o, k] rows[p, k].
    function product(name, rows) {
      const outs = channelsOf(name), length = weights[`${name}.weight`].length / outs, positions = rows.length / length;
      const out = free + 4 * rows.length; // its place
      new Float32Array(memory.buffer, free).set(rows);
      multiply(places[`${name}.weight`], places[`${name}.bias`], free, out, outs, positions, length);
      return new Float32Array(memory.buffer, out, outs * positions).slice();
    }

    const conv = (name, x, channels, stride = 1) => product(name, windows(x, channels, stride));
    const conv1x1 = (name, x, channels) => product(name, transposed(x, channels));

    function norm(name, x) {
      const scale = weights[`${name}.weight`], shift = weights[`${name}.bias`], out = new Float32Array(x.length);
      const size = x.length / GROUPS, area = x.length / scale.length;
      for (let from = 0; from < x.length; from += size) {
        let total = 0, squares = 0;
        for (let i = from; i < from + size; i++) total += x[i];
        const mean = total / size;
        for (let i = from; i < from + size; i++) squares += (x[i] - mean) * (x[i] - mean);
        const std = Math.sqrt(squares / size + 1e-5);
        for (let i = from; i < from + size; i++) out[i] = (x[i] - mean) / std;
      }
      return scaled(out, area, (channel) => scale[channel], (channel) => shift[channel]);
    }

    function condition(t, label) {
      const angles = Array.from({ length: 32 }, (_, i) => t * 10000 ** (-i / 32));
      const time = Float32Array.from([...angles.map(Math.sin), ...angles.map(Math.cos)]);
      const rows = weights["condition.label.weight"], dim = channelsOf("condition.time.0"), row = label ?? rows.length / dim - 1;
      const told = product("condition.time.2", silu(product("condition.time.0", time)));
      return silu(added(told, rows.subarray(row * dim, (row + 1) * dim)));
    }

    function residual(name, x, told) {
      const channelsIn = channelsOf(`${name}.norm_1`), channels = channelsOf(`${name}.norm_2`), area = x.length / channelsIn;
      const scaleAndShift = product(`${name}.scale_and_shift`, told);
      let h = conv(`${name}.conv_1`, silu(norm(`${name}.norm_1`, x)), channelsIn);
      h = scaled(norm(`${name}.norm_2`, h), area, (channel) => 1 + scaleAndShift[channel], (channel) => scaleAndShift[channels + channel]);
      h = conv(`${name}.conv_2`, silu(h), channels);
      return added(channelsIn === channels ? x : conv1x1(`${name}.shortcut`, x, channelsIn), h);
    }

    function attention(name, x) {
      const channels = channelsOf(`${name}.norm`), positions = x.length / channels, dim = channels / HEADS;
      const qkv = product(`${name}.to_qkv`, transposed(norm(`${name}.norm`, x), channels)); // [3·channels, positions]
      const found = new Float32Array(x.length), share = new Float64Array(positions); // found: [positions, channels]
      for (let head = 0; head < HEADS; head++) {
        const [q, k, v] = [0, 1, 2].map((part) => (part * channels + head * dim) * positions);
        for (let p = 0; p < positions; p++) {
          for (let other = 0; other < positions; other++) {
            let likeness = 0;
            for (let i = 0; i < dim; i++) likeness += qkv[q + i * positions + p] * qkv[k + i * positions + other];
            share[other] = Math.exp(likeness / Math.sqrt(dim));
          }
          const whole = sum(share);
          for (let i = 0; i < dim; i++) {
            let taken = 0;
            for (let other = 0; other < positions; other++) taken += share[other] * qkv[v + i * positions + other];
            found[p * channels + head * dim + i] = taken / whole;
          }
        }
      }
      return added(x, product(`${name}.leave`, found));
    }

    return (x_t, t, label = null) => {
      const told = condition(t, label), fineChannels = channelsOf("enter"), coarseChannels = channelsOf("shrink");
      const fine = residual("fine_down", conv("enter", unshuffled(x_t), 4), told);
      const coarse = residual("coarse_down", conv("shrink", fine, fineChannels, 2), told);
      let x = residual("middle", attention("attention", coarse), told);
      x = residual("coarse_up", joined(x, coarse), told);
      x = upsampled(conv1x1("grow.0", x, coarseChannels), fineChannels);
      x = residual("fine_up", joined(x, fine), told);
      return shuffled(conv("leave.2", silu(norm("leave.0", x)), fineChannels));
    };
  }

  // The cosine schedule (Nichol & Dhariwal 2021, eq. 17), tables over t = 0…T.
  function cosine(T) {
    const a = (t) => (t / T + 0.008) / 1.008 * Math.PI / 2;
    const alphaBar = new Float64Array(T + 1).fill(1);
    for (let t = 1; t <= T; t++) alphaBar[t] = alphaBar[t - 1] * (1 - Math.min(0.999, 1 - Math.cos(a(t)) ** 2 / Math.cos(a(t - 1)) ** 2));
    return { T, alphaBar, logSNR: alphaBar.map((value) => Math.log(value / (1 - value))) };
  }

  // n times from `start` down, evenly spaced in λ = ½ log SNR as in `spaced_in_log_snr`, which starts at T.
  function spaced(schedule, n, start = schedule.T) {
    const half = (t) => schedule.logSNR[t] / 2, first = Math.max(-2.7, half(start)), end = Math.max(3.4, first);
    const every = Array.from({ length: schedule.T }, (_, i) => i + 1), times = [start];
    for (let k = 1; k < Math.min(n, start); k++) {
      const wanted = first + (end - first) * (k - 0.5) / (n - 1);
      const nearest = every.reduce((best, t) => Math.abs(half(t) - wanted) < Math.abs(half(best) - wanted) ? t : best);
      times.push(Math.max(Math.min(nearest, times.at(-1) - 1), Math.min(n, start) - k));
    }
    return times;
  }

  // A denoiser, (x_t, t) → x̂_0, of a network that predicts v. With a label and a weight it is guided where t <= until.
  function denoiser(predict, schedule, label = null, weight = 0, until = schedule.T) {
    const once = (x_t, t, asked) => {
      const v = predict(x_t, t, asked), signal = Math.sqrt(schedule.alphaBar[t]), noise = Math.sqrt(1 - schedule.alphaBar[t]);
      return x_t.map((value, i) => signal * value - noise * v[i]);
    };
    return (x_t, t) => {
      const asked = once(x_t, t, label);
      if (label === null || !weight || t > until) return asked;
      const any = once(x_t, t, null);
      return asked.map((value, i) => value + weight * (value - any[i]));
    };
  }

  const pairs = (times) => times.map((t, i) => [t, times[i + 1] ?? 0]);

  // DDIM (Song et al. 2021, eq. 12 and 16): yields each step {t, s, guess, x}. draw: gives standard normal noise.
  function* ddim(ask, schedule, x, times, eta, draw) {
    for (const [t, s] of pairs(times)) {
      const guess = ask(x, t), at = schedule.alphaBar[t], then = schedule.alphaBar[s];
      const fresh = eta ** 2 * (1 - then) / (1 - at) * (1 - at / then), kept = Math.sqrt(Math.max(0, 1 - then - fresh));
      const eps = fresh > 0 ? draw() : null, before = x;
      x = before.map((value, i) => {
        const old = (value - Math.sqrt(at) * guess[i]) / Math.sqrt(1 - at);
        return Math.sqrt(then) * guess[i] + kept * old + (eps ? Math.sqrt(fresh) * eps[i] : 0);
      });
      yield { t, s, guess, x };
    }
  }

  // DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): yields each step {t, s, guess, x}.
  function* dpmSolver(ask, schedule, x, times) {
    let previous = null;
    for (const [t, s] of pairs(times)) {
      const guess = ask(x, t), h = (schedule.logSNR[s] - schedule.logSNR[t]) / 2;
      const ahead = previous && s > 0 ? h / (2 * previous.h) : 0, earlier = previous?.guess ?? guess;
      const kept = Math.sqrt((1 - schedule.alphaBar[s]) / (1 - schedule.alphaBar[t]));
      const pulled = -Math.sqrt(schedule.alphaBar[s]) * Math.expm1(-h);
      x = x.map((value, i) => kept * value + pulled * (guess[i] + ahead * (guess[i] - earlier[i])));
      yield { t, s, guess, x };
      previous = { guess, h };
    }
  }

  // What gives pictures of standard normal noise, always the same for a seed (mulberry32, Box & Muller).
  function noise(seed) {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let z = Math.imul(state ^ (state >>> 15), state | 1);
      z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
      return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
    };
    return () => Float32Array.from({ length: PIXELS }, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
  }

  // The jump to time t (Ho et al. 2020, eq. 4).
  const noised = (x_0, t, eps, { alphaBar }) => x_0.map((value, i) => Math.sqrt(alphaBar[t]) * value + Math.sqrt(1 - alphaBar[t]) * eps[i]);

  return { read, unet, cosine, spaced, denoiser, ddim, dpmSolver, noise, noised };
})();
