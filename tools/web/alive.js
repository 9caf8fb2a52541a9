// The network alive on a page, in each <div class="alive">: a pad to draw on, a button for each digit, and the way from
// noise to a picture. tools/alive.py puts this behind controls.js and canvas.js, which the notebooks use, network.js, and
// the numbers EXAMPLES, PEN, SIZE, BOX, SMALLEST and FINE of view/canvas.py, T, and MEGABYTES, which say how large the weights are.

const FILM = 11; // pictures in the film: as many as fit on a phone

// A drawing as a picture, as `as_digit` in view/canvas.py makes it: fitted into the box, and its ink balanced.
function asDigit(strokes) {
  const every = strokes.flat();
  if (!every.length) return new Float32Array(SIZE * SIZE).fill(-1);
  const [low, high] = [Math.min, Math.max].map((end) => [0, 1].map((axis) => end(...every.map((point) => point[axis]))));
  const scale = (BOX - PEN) / Math.max(high[0] - low[0], high[1] - low[1], SMALLEST), side = SIZE * FINE;
  const ink = Object.assign(document.createElement("canvas"), { width: side, height: side }).getContext("2d", { willReadFrequently: true });
  const place = (point) => point.map((at, axis) => ((at - (low[axis] + high[axis]) / 2) * scale + SIZE / 2) * FINE);
  Object.assign(ink, { lineWidth: PEN * FINE, lineCap: "round", lineJoin: "round" });
  for (const points of strokes) {
    ink.beginPath();
    ink.moveTo(...place(points[0]));
    for (const point of points) ink.lineTo(...place(point));
    ink.stroke();
  }
  const alpha = ink.getImageData(0, 0, side, side).data.filter((_, i) => i % 4 === 3), row = (i) => Math.floor(i / side);
  let mass = 0, across = 0, down = 0;
  alpha.forEach((grey, i) => { mass += grey; across += grey * (i % side); down += grey * row(i); });
  const margin = (SIZE - BOX) / 2 * FINE; // no further: nothing may leave the picture
  const off = (sum) => Math.round(Math.max(-margin, Math.min(margin, side / 2 - 0.5 - sum / mass)));
  const right = off(across), below = off(down), out = new Float32Array(SIZE * SIZE).fill(-1);
  alpha.forEach((grey, i) => {
    if (grey) out[Math.floor((row(i) + below) / FINE) * SIZE + Math.floor((i % side + right) / FINE)] += grey / 127.5 / FINE ** 2;
  });
  return out;
}

let fetched; // one promise, for all places of a page

// The network, fetched when it is first needed, by a script: a page that was opened from a file can fetch nothing else.
function fetchNetwork() {
  fetched ??= new Promise((resolve, reject) => {
    const script = element(document.head, "script", { src: "weights.js" });
    script.onload = resolve;
    script.onerror = () => {
      script.remove();
      fetched = undefined;
      reject(MISSING);
    };
  }).then(() => network.unet(network.read(window.WEIGHTS)));
  return fetched;
}

const MISSING = "The network is not there. It is the file weights.js beside this page: either the connection is broken, or the page was copied without its folder. Mend that, and press again.";
const FIRST = "On the pad is half a digit. Which one may it become? Press a number. Or draw your own: your first stroke wipes it.";
const FIRST_EMPTY = "Press a number: the network draws this digit from noise alone. Or draw something for it to finish.";
const FILM_SAYS = "Above: the picture on its way from noise to t = 0. Below: the network’s guess, at each time, of what is under the noise.";
const MORE_SAYS = "η = 0 adds no noise on the way (DPM-Solver++). Above it each step adds some (DDIM), and at η = 1 it is DDPM. Guidance acts where a number was pressed, at t ≤ 800, and there the network is asked twice.";

function enliven(place) {
  const schedule = network.cosine(T), chosen = { t: 800, seed: 11, steps: 10, weight: 1, eta: 0 };
  let drawing = "empty" in place.dataset ? [] : EXAMPLES["half a digit"], label = null, turn = 0, ran = false; // turn: a new one ends the one before

  begin(place, "alive", "A network that draws digits");
  const stage = element(place, "div", { className: "alive-stage" });
  const left = element(stage, "div", { className: "alive-column" });
  element(left, "p", { className: "alive-title", textContent: "Your drawing" });
  const values = { value: drawing, description: "your digit", _examples: EXAMPLES, _pen: PEN / SIZE };
  const model = { // what the pad takes for Python's side of its widget
    get: (name) => values[name],
    set: (name, value) => { values[name] = value; },
    save_changes: () => drawn(values.value),
    on: () => {},
  };
  canvas.render({ model, el: element(left, "div") });
  const finish = element(left, "button", { type: "button", className: "alive-finish", textContent: "Let it finish" });
  left.querySelector(".canvas-pad").after(finish);
  finish.addEventListener("click", () => ask(null));

  const middle = element(stage, "div", { className: "alive-column" });
  const title = element(middle, "p", { className: "alive-title" });
  const large = picture(middle, "What the network makes of it");
  const said = element(middle, "p", { className: "alive-said", textContent: drawing.length ? FIRST : FIRST_EMPTY }, { role: "status" });

  const right = element(stage, "div", { className: "alive-controls" });
  const digits = element(right, "div", { className: "alive-digits" }, { role: "group", "aria-label": "Finish it as" });
  element(digits, "p", { textContent: "Finish it as" });
  const buttons = Array.from({ length: 10 }, (_, digit) => element(digits, "button", { type: "button", textContent: digit }));
  buttons.forEach((button, digit) => button.addEventListener("click", () => ask(digit)));
  slider(right, "Noise on the drawing", "t", [10, 1000, 10], (t) => `t = ${t}`);
  element(right, "p", { className: "alive-soft", textContent: "The more noise, the less is left of what you drew. An empty pad is noise alone." });
  element(right, "button", { type: "button", textContent: "Again, from other noise" }).addEventListener("click", () => {
    seed.value = ++chosen.seed;
    run();
  });

  const film = element(place, "div", { className: "alive-film" }, { role: "img", "aria-label": FILM_SAYS });
  const cells = Array.from({ length: FILM }, () => {
    const cell = element(film, "div");
    return { now: picture(cell), guess: picture(cell), time: element(cell, "span") };
  });
  element(place, "p", { className: "alive-soft", textContent: FILM_SAYS });

  const more = element(place, "details", { open: "empty" in place.dataset });
  element(more, "summary", { textContent: "More: seed, steps, guidance, η" });
  const inside = element(more, "div", { className: "alive-more" });
  const seed = element(element(inside, "label", { textContent: "Seed of the noise" }), "input", { type: "number", min: 0, step: 1, value: chosen.seed });
  seed.addEventListener("change", () => {
    seed.value = chosen.seed = Math.max(0, Math.trunc(seed.valueAsNumber) || 0);
    run();
  });
  slider(inside, "Steps", "steps", [1, 50, 1], String);
  slider(inside, "Guidance w", "weight", [0, 5, 0.1], (w) => w.toFixed(1));
  slider(inside, "Fresh noise η", "eta", [0, 1, 0.1], (eta) => eta.toFixed(1));
  element(inside, "p", { className: "alive-soft", textContent: MORE_SAYS });

  place.addEventListener("keydown", (event) => {
    if (/^[0-9]$/.test(event.key) && !event.target.matches("input") && !event.ctrlKey && !event.metaKey && !event.altKey) ask(Number(event.key));
  });
  preview();

  // A picture of 28×28 pixels; `show` puts one there, or none.
  function picture(parent, name) {
    const node = element(parent, "canvas", { className: "alive-picture", width: SIZE, height: SIZE }, name ? { role: "img", "aria-label": name } : {});
    node.show = (x) => {
      const ink = node.getContext("2d", { willReadFrequently: true }), image = ink.createImageData(SIZE, SIZE); // all transparent
      x?.forEach((value, i) => {
        image.data.fill(127.5 * (1 + value), 4 * i, 4 * i + 3);
        image.data[4 * i + 3] = 255;
      });
      ink.putImageData(image, 0, 0);
    };
    return node;
  }

  // A slider of one of the chosen numbers. The noise on the drawing is shown while it moves; where it rests, all is drawn.
  function slider(parent, name, key, [min, max, step], words) {
    const label = element(parent, "label", { textContent: name }), output = element(label, "output");
    const node = element(label, "input", { type: "range", min, max, step, value: chosen[key] }, { "aria-label": name });
    const told = () => {
      chosen[key] = Number(node.value);
      output.textContent = words(chosen[key]);
      node.setAttribute("aria-valuetext", output.textContent);
    };
    told();
    node.addEventListener("input", () => {
      told();
      preview();
    });
    node.addEventListener("change", () => { if (ran) run(); });
  }

  function drawn(strokes) {
    drawing = strokes;
    label = null;
    preview();
    said.textContent = "Now let it finish, as it likes or as the digit whose number you press.";
    fetchNetwork().catch(() => {}); // so that it is there when it is asked; that it is not, is said then
  }

  function ask(digit) {
    label = digit;
    run();
  }

  // Noise, and the drawing under it; the film is empty. Gives what a sampler needs: where to begin, and more noise.
  function preview() {
    turn++;
    const more = network.noise(chosen.seed), eps = more(), from = drawing.length ? chosen.t : T;
    const x = drawing.length ? network.noised(asDigit(drawing), from, eps, schedule) : eps;
    buttons.forEach((button, digit) => button.setAttribute("aria-pressed", label === digit));
    for (const { now, guess, time } of cells) {
      now.show();
      guess.show();
      time.textContent = "";
    }
    show(x, from);
    return { x, from, more };
  }

  function show(x, t) {
    large.show(x);
    title.textContent = `The network, t = ${t}`;
  }

  // The whole way from noise to a picture, shown step by step.
  async function run() {
    const { x, from, more } = preview(), mine = turn, times = network.spaced(schedule, chosen.steps, from);
    ran = true;
    said.textContent = window.WEIGHTS ? "It is drawing …" : `Fetching the network, ${MEGABYTES} MB, once …`;
    large.scrollIntoView({ block: "nearest" });
    try {
      const predict = await fetchNetwork();
      let asked = 0, step = 0;
      const ask = network.denoiser((...given) => (asked++, predict(...given)), schedule, label, chosen.weight, 800);
      const steps = chosen.eta ? network.ddim(ask, schedule, x, times, chosen.eta, more) : network.dpmSolver(ask, schedule, x, times);
      const last = Math.min(times.length, FILM - 1), shown = Array.from({ length: last }, (_, i) => Math.round(i * times.length / last));
      const keep = (cell, now, guess, t) => {
        cell.now.show(now);
        cell.guess.show(guess);
        cell.time.textContent = t;
      };
      for (let before = x; ; step++) {
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))); // until it can be seen
        if (mine !== turn) return;
        const { done, value } = steps.next();
        if (done) {
          keep(cells[last], before, before, 0);
          break;
        }
        if (shown.includes(step)) keep(cells[shown.indexOf(step)], before, value.guess, value.t);
        show(value.x, value.s);
        before = value.x;
      }
      said.textContent = `${label === null ? "Finished" : `Finished as ${label === 8 ? "an" : "a"} ${label}`} in ${step} step${step > 1 ? "s" : ""}. ${asked} times the network was asked what is under the noise.`;
    } catch (error) {
      if (mine !== turn) return;
      if (error !== MISSING) console.error(error);
      said.textContent = error === MISSING ? MISSING : "The network stopped. A current Firefox, Chrome, Edge or Safari runs it.";
    }
  }
}

document.querySelectorAll(".alive").forEach(enliven);
