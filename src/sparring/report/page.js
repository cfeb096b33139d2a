// The film: a slider, a play button and the keyboard choose a frame; the charts and the numbers follow.
"use strict";

const frames = [...document.querySelectorAll(".strip li")];
if (frames.length) begin();

function begin() {
  const seens = frames.map((frame) => Number(frame.dataset.seen));
  const pictures = frames.map((frame) => frame.querySelector("img"));
  const layers = [...document.querySelectorAll(".stage img")];
  const mini = document.querySelector(".mini");
  const transport = document.querySelector(".transport");
  const slider = transport.querySelector("input");
  const button = transport.querySelector("button");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let place = frames.length - 1;
  let timer = 0;

  function show(wanted) {
    place = Math.min(Math.max(wanted, 0), frames.length - 1);
    slider.value = place;
    for (const number of document.querySelectorAll("[data-values]"))
      number.textContent = number.dataset.values.split("|")[place];
    slider.setAttribute("aria-valuetext", transport.querySelector("output").textContent);
    mini.src = pictures[place].src;
    paint(place);
    mark(place);
    charts.forEach((chart) => chart.follow(place));
  }

  // The new picture fades in over the old one once it is decoded; of several asked for at once, the latest wins.
  async function paint(wanted) {
    const [below, above] = layers;
    above.src = pictures[wanted].src;
    await above.decode().catch(() => {});
    if (wanted !== place || above !== layers[1]) return;
    above.alt = pictures[wanted].alt;
    below.alt = "";
    above.classList.add("above");
    below.classList.remove("above");
    layers.reverse();
  }

  function mark(wanted) {
    for (const frame of frames) frame.removeAttribute("aria-current");
    frames[wanted].setAttribute("aria-current", "true");
    const strip = frames[wanted].parentNode;
    strip.scrollLeft = frames[wanted].offsetLeft - (strip.clientWidth - frames[wanted].offsetWidth) / 2;
  }

  // Two pictures a second at most: what G draws early on flickers.
  function play(on) {
    clearInterval(timer);
    timer = 0;
    button.classList.toggle("playing", on);
    button.querySelector("span").textContent = on ? "Pause" : "Play";
    if (!on) return;
    if (place === frames.length - 1) show(0);
    timer = setInterval(() => {
      show(place + 1);
      if (place === frames.length - 1) play(false);
    }, calm.matches ? 1000 : 500);
  }

  function nearest(seen) {
    let best = 0;
    seens.forEach((at, k) => { if (Math.abs(at - seen) < Math.abs(seens[best] - seen)) best = k; });
    return best;
  }

  const charts = [...document.querySelectorAll(".chart svg")].map((svg) => {
    const { left, right, until } = svg.dataset;
    const cursor = svg.querySelector(".cursor");
    const line = cursor.querySelector("line");
    const dots = [...cursor.querySelectorAll("circle")].map((dot) => [dot, dot.dataset.heights.split("|")]);
    let begun;
    // A finger that moves up or down scrolls the page; only one that taps or moves sideways points at a moment.
    const drag = (event) => {
      if (event.type === "pointerdown") begun = event;
      const scrolls = Math.abs(event.clientX - begun?.clientX) <= Math.abs(event.clientY - begun?.clientY);
      if (event.pointerType === "touch" && (event.type === "pointerdown" || (event.type === "pointermove" && scrolls))) return;
      if (event.type === "pointermove" && !event.buttons) return;
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      play(false);
      show(nearest(((x - left) / (right - left)) * until));
    };
    for (const kind of ["pointerdown", "pointermove", "click"]) svg.addEventListener(kind, drag);
    return {
      follow(k) {
        const x = Number(left) + ((right - left) * seens[k]) / until;
        cursor.setAttribute("visibility", "visible");
        line.setAttribute("x1", x);
        line.setAttribute("x2", x);
        for (const [dot, heights] of dots) {
          dot.setAttribute("visibility", heights[k] ? "inherit" : "hidden");
          dot.setAttribute("cx", x);
          dot.setAttribute("cy", heights[k] || 0);
        }
      },
    };
  });

  slider.addEventListener("input", () => { play(false); show(Number(slider.value)); });
  button.addEventListener("click", () => play(!timer));
  frames.forEach((frame, k) => frame.addEventListener("click", () => { play(false); show(k); }));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, summary, .scroll")) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { play(false); show(place + step); event.preventDefault(); }
    const scrolls = event.shiftKey || transport.classList.contains("away");
    if (event.key === " " && !scrolls && !event.target.closest("button, a")) { play(!timer); event.preventDefault(); }
  });

  const stage = document.querySelector(".stage");
  new IntersectionObserver(([entry]) => transport.classList.toggle("away", !entry.isIntersecting)).observe(stage);
  document.documentElement.classList.add("live");
  for (const layer of layers) layer.src = pictures[place].src;
  for (const hidden of [stage, transport, document.querySelector(".moment")]) hidden.hidden = false;
  if (frames.length === 1) transport.hidden = true;
  show(place);
}
