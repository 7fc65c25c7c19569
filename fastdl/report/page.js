"use strict";
// The contents: closed on a phone, open beside the page, and showing where one is.
(() => {
  const box = document.querySelector("nav.toc details"), wide = matchMedia("(min-width:1000px)");
  const fit = () => { box.open = wide.matches; };
  fit(); wide.addEventListener("change", fit);
  const links = new Map([...box.querySelectorAll("a")].map(a => [a.hash.slice(1), a]));
  box.addEventListener("click", e => { if (e.target.closest("a") && !wide.matches) box.open = false; });
  const sections = [...document.querySelectorAll("main > section")];
  const mark = () => {
    let here = null;
    for (const s of sections) if (s.getBoundingClientRect().top < innerHeight * 0.35) here = s;
    for (const [id, a] of links) { if (here && here.id === id) a.setAttribute("aria-current", "true"); else a.removeAttribute("aria-current"); }
  };
  addEventListener("scroll", mark, { passive: true }); mark();
})();
// Values of curves and bars under the pointer, a finger, or the arrow keys.
for (const picture of document.querySelectorAll(".picture")) {
  const json = picture.querySelector("script");
  if (!json) continue;
  const charts = JSON.parse(json.textContent), svg = picture.querySelector("svg"), tip = document.createElement("div");
  const view = svg.viewBox.baseVal, place = document.createElementNS("http://www.w3.org/2000/svg", "g");
  tip.className = "tip"; tip.hidden = true; tip.setAttribute("role", "status");
  picture.append(tip); svg.append(place); place.setAttribute("pointer-events", "none");
  const along = (v, [a, b, log]) => log ? Math.log(v / a) / Math.log(b / a) : (v - a) / (b - a);
  const text = v => v === null ? "none" : Math.abs(v) >= 1e5 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(2) : String(+v.toPrecision(4));
  let chart = charts[0], index = -1;
  const hide = () => { tip.hidden = true; place.replaceChildren(); index = -1; };
  const show = t => {
    const at = chart.box, hits = [];
    for (const s of chart.series) {
      let best = -1, far = 1 / 0;
      s.x.forEach((x, k) => { const d = Math.abs(along(x, chart.x) - t); if (d < far && s.y[k] !== null) { far = d; best = k; } });
      if (best >= 0 && far < 0.06) hits.push([s, best]);
    }
    if (!hits.length) return hide();
    const u = along(hits[0][0].x[hits[0][1]], chart.x), px = at[0] + u * (at[2] - at[0]);
    let marks = `<line x1="${px}" x2="${px}" y1="${chart.height - at[1]}" y2="${chart.height - at[3]}" style="stroke:var(--muted);stroke-dasharray:3 3"/>`;
    let words = `<b></b>`;
    hits.forEach(([s, k]) => {
      const v = along(s.y[k], chart.y), w = along(s.x[k], chart.x);
      if (v > -0.01 && v < 1.01) marks += `<circle cx="${at[0] + w * (at[2] - at[0])}" cy="${chart.height - at[1] - v * (at[3] - at[1])}" r="4" style="fill:${s.colour};stroke:var(--paper);stroke-width:1.5"/>`;
      words += `<br><i style="background:${s.colour}"></i><span></span>`;
    });
    place.innerHTML = marks; tip.innerHTML = words; tip.hidden = false;
    tip.querySelector("b").textContent = `${chart.names[0] || "x"}: ${text(hits[0][0].x[hits[0][1]])}`;
    tip.querySelectorAll("span").forEach((e, k) => { e.textContent = `${hits[k][0].name}: ${text(hits[k][0].y[hits[k][1]])}`; });
    const width = picture.clientWidth, x = px / view.width * width;
    tip.style.left = x < width / 2 ? `${x + 12}px` : ""; tip.style.right = x < width / 2 ? "" : `${width - x + 12}px`;
    tip.style.top = `${(chart.height - at[3]) / view.height * svg.clientHeight}px`;
  };
  const follow = e => {
    const r = svg.getBoundingClientRect(), x = (e.clientX - r.left) / r.width * view.width, y = chart.height - (e.clientY - r.top) / r.height * view.height;
    const found = charts.find(c => x >= c.box[0] && x <= c.box[2] && y >= c.box[1] && y <= c.box[3]);
    if (!found) return hide();
    chart = found; show((x - chart.box[0]) / (chart.box[2] - chart.box[0]));
  };
  svg.addEventListener("pointermove", follow); svg.addEventListener("pointerdown", follow);
  svg.addEventListener("pointerleave", hide); svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", e => {
    const s = chart.series[0], step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[e.key];
    if (e.key === "Escape") hide();
    if (!step) return;
    e.preventDefault();
    index = Math.max(0, Math.min(s.x.length - 1, index + step * (Math.abs(step) > 1 ? 1 : Math.max(1, Math.round(s.x.length / 60)))));
    show(along(s.x[index], chart.x));
  });
}
// Clouds and boxes that can be turned. WebGL 2; without it the still picture stays.
for (const scene of document.querySelectorAll(".scene")) {
  const canvas = scene.querySelector("canvas"), still = scene.querySelector("img");
  const data = JSON.parse(scene.querySelector("script").textContent);
  let gl = null, draw = null;
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const start = () => {
    gl = canvas.getContext("webgl2", { antialias: true, alpha: true });
    if (!gl) return false;
    const shader = (kind, code) => { const s = gl.createShader(kind); gl.shaderSource(s, code); gl.compileShader(s); return s; };
    const program = gl.createProgram();
    gl.attachShader(program, shader(gl.VERTEX_SHADER, `#version 300 es
      in vec3 at; in float shade; in vec3 corner; in vec3 normal;
      uniform mat3 turn; uniform vec2 zoom; uniform vec3 edge; uniform float far, dotsize; uniform vec3 palette[16]; out vec3 colour;
      void main() {
        vec3 p = turn * (at + corner * edge); float depth = far + p.y;
        gl_Position = vec4(p.x * zoom.x, p.z * zoom.y, (depth - far) * 0.4 * depth / 2.0, depth);
        gl_PointSize = clamp(dotsize / depth, 1.5, 12.0);
        float s = shade * 15.0; int k = int(min(s, 14.0)); colour = mix(palette[k], palette[k + 1], s - float(k));
        if (edge.x > 0.0) colour *= 0.72 + 0.28 * (abs(normal.z) + 0.14 * abs(normal.x));
      }`));
    gl.attachShader(program, shader(gl.FRAGMENT_SHADER, `#version 300 es
      precision mediump float; in vec3 colour; uniform bool disc; out vec4 c;
      void main() { if (disc && length(gl_PointCoord - 0.5) > 0.5) discard; c = vec4(colour, 1.0); }`));
    ["at", "shade", "corner", "normal"].forEach((n, k) => gl.bindAttribLocation(program, k, n));
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return false;
    gl.useProgram(program); gl.enable(gl.DEPTH_TEST);
    const u = name => gl.getUniformLocation(program, name);
    const colours = data.palette.flatMap(h => [0, 2, 4].map(k => parseInt(h.slice(k, k + 2), 16) / 255));
    gl.uniform3fv(u("palette"), colours);
    const cube = [];
    for (let axis = 0; axis < 3; axis++) for (const side of [-0.5, 0.5]) for (const [a, b] of [[-1, -1], [1, -1], [1, 1], [-1, -1], [1, 1], [-1, 1]]) {
      const corner = [0, 0, 0], normal = [0, 0, 0];
      corner[axis] = side; corner[(axis + 1) % 3] = a / 2; corner[(axis + 2) % 3] = b / 2; normal[axis] = side * 2; cube.push(...corner, ...normal);
    }
    const buffer = (kind, values) => { const b = gl.createBuffer(); gl.bindBuffer(kind, b); gl.bufferData(kind, values, gl.STATIC_DRAW); return b; };
    const corners = buffer(gl.ARRAY_BUFFER, new Float32Array(cube));
    const layers = data.layers.map(layer => {
      const array = gl.createVertexArray(), boxes = layer.size.length > 0;
      gl.bindVertexArray(array);
      buffer(gl.ARRAY_BUFFER, new Int16Array(bytes(layer.at).buffer));
      gl.enableVertexAttribArray(0); gl.vertexAttribPointer(0, 3, gl.SHORT, true, 0, 0); gl.vertexAttribDivisor(0, boxes ? 1 : 0);
      buffer(gl.ARRAY_BUFFER, bytes(layer.shade));
      gl.enableVertexAttribArray(1); gl.vertexAttribPointer(1, 1, gl.UNSIGNED_BYTE, true, 0, 0); gl.vertexAttribDivisor(1, boxes ? 1 : 0);
      if (boxes) {
        gl.bindBuffer(gl.ARRAY_BUFFER, corners);
        for (const k of [2, 3]) { gl.enableVertexAttribArray(k); gl.vertexAttribPointer(k, 3, gl.FLOAT, false, 24, (k - 2) * 12); }
      }
      return array;
    });
    draw = () => {
      const ratio = devicePixelRatio || 1, w = Math.round(canvas.clientWidth * ratio), h = Math.round(canvas.clientHeight * ratio);
      if (!w || !h) return;
      if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
      gl.viewport(0, 0, w, h); gl.clearColor(0, 0, 0, 0); gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      const [ct, st, ci, si] = [Math.cos(camera.turn), Math.sin(camera.turn), Math.cos(camera.tilt), Math.sin(camera.tilt)];
      // columns: where x, y and z of the scene go: right, away, up
      gl.uniformMatrix3fv(u("turn"), false, [ct, st * ci, st * si, -st, ct * ci, ct * si, 0, -si, ci]);
      const focal = 2.1 * Math.min(1, w / h / 1.35);
      gl.uniform2f(u("zoom"), focal * h / w, focal); gl.uniform1f(u("far"), camera.far);
      gl.uniform1f(u("dotsize"), h * 0.004 * focal);
      const layer = data.layers[camera.layer], boxes = layer.size.length > 0;
      gl.uniform3fv(u("edge"), boxes ? layer.size : [0, 0, 0]); gl.uniform1i(u("disc"), boxes ? 0 : 1);
      gl.bindVertexArray(layers[camera.layer]);
      if (boxes) gl.drawArraysInstanced(gl.TRIANGLES, 0, 36, layer.count);
      else { gl.vertexAttrib3f(2, 0, 0, 0); gl.vertexAttrib3f(3, 0, 0, 1); gl.drawArrays(gl.POINTS, 0, layer.count); }
    };
    return true;
  };
  const first = { turn: data.turn, tilt: data.tilt, far: data.far }, camera = { ...first, layer: 0 };
  let waits = false;
  const later = () => { if (!waits) { waits = true; requestAnimationFrame(() => { waits = false; if (draw) draw(); }); } };
  const move = (turn, tilt, near) => {
    camera.turn += turn; camera.tilt = Math.max(-0.2, Math.min(1.57, camera.tilt + tilt));
    camera.far = Math.max(1.15, Math.min(6, camera.far * near)); later();
  };
  let works = false;
  try { works = start(); } catch (e) { works = false; }
  if (!works) continue;
  still.hidden = true; canvas.hidden = false; scene.querySelector(".scene-help").hidden = false;
  const choices = scene.querySelector(".choices");
  if (data.layers.length > 1) {
    choices.hidden = false;
    data.layers.forEach((layer, k) => {
      const b = document.createElement("button");
      b.type = "button"; b.textContent = layer.name; b.setAttribute("aria-pressed", String(k === 0));
      b.addEventListener("click", () => { camera.layer = k; choices.querySelectorAll("button").forEach((o, j) => o.setAttribute("aria-pressed", String(j === k))); later(); });
      choices.append(b);
    });
  }
  const fingers = new Map();
  canvas.addEventListener("pointerdown", e => { canvas.setPointerCapture(e.pointerId); fingers.set(e.pointerId, [e.clientX, e.clientY]); });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, e => fingers.delete(e.pointerId));
  canvas.addEventListener("pointermove", e => {
    const was = fingers.get(e.pointerId);
    if (!was) return;
    const spread = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
    const before = fingers.size === 2 ? spread() : 0;
    fingers.set(e.pointerId, [e.clientX, e.clientY]);
    if (before) move(0, 0, before / Math.max(spread(), 1));
    else move((e.clientX - was[0]) * 0.008, (e.clientY - was[1]) * 0.006, 1);
  });
  canvas.addEventListener("wheel", e => { if (e.ctrlKey || e.metaKey) { e.preventDefault(); move(0, 0, Math.exp(e.deltaY * 0.002)); } }, { passive: false });
  canvas.addEventListener("keydown", e => {
    const way = { ArrowLeft: [-0.12, 0, 1], ArrowRight: [0.12, 0, 1], ArrowUp: [0, 0.09, 1], ArrowDown: [0, -0.09, 1], "+": [0, 0, 0.88], "=": [0, 0, 0.88], "-": [0, 0, 1.13] }[e.key];
    if (e.key === "0") { Object.assign(camera, first); later(); }
    if (!way) return;
    e.preventDefault(); move(...way);
  });
  new ResizeObserver(later).observe(canvas);
  canvas.addEventListener("webglcontextlost", e => { e.preventDefault(); draw = null; canvas.hidden = true; still.hidden = false; });
  canvas.addEventListener("webglcontextrestored", () => { canvas.hidden = false; still.hidden = true; if (start()) later(); });
}
