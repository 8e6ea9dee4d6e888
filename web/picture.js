// The picture of the mesh: this page in the middle, the peers around it, and the connections that there are.

const SVG = "http://www.w3.org/2000/svg";
const LEAST = [320, 200]; // The least width and height that it is drawn for,
const ROOM = 16000; // and the area that each peer has there. With less room all is made smaller.
const ONE_RING = 12; // With more peers every second one is nearer.
const NAME_LETTERS = 18;
const MESSAGES = 24; // Shown on their way at the same time.

export class Picture {
  #svg;
  #layers;
  #places = new Map();
  #shown = new Map(); // Elements by what they show.
  #underWay = 0;
  #drawn = "";
  #width;
  #height;

  /** Draws into an SVG element; `select` is called with the peer that was clicked. */
  constructor(svg, select) {
    this.#svg = svg;
    this.#layers = ["edges", "times", "nodes"].map(() => svg.appendChild(make("g")));
    svg.addEventListener("click", ({ target }) => {
      const { peer } = target.closest(".node")?.dataset ?? {};
      if (peer) select(peer);
    });
  }

  /** Shows `nodes` (`{ id, label, state }`, the first is this page) and `edges` (`{ from, to, kind, time }`). */
  show(nodes, edges, selected) {
    const { clientWidth, clientHeight } = this.#svg;
    const [width, height] = [Math.max(LEAST[0], clientWidth), Math.max(LEAST[1], clientHeight)];
    const scale = Math.max(1, Math.sqrt((nodes.length * ROOM) / (width * height)));
    const size = [Math.round(width * scale), Math.round(height * scale)];
    const drawn = JSON.stringify([nodes, edges, selected, size]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    [this.#width, this.#height] = size;
    set(this.#svg, { viewBox: `0 0 ${this.#width} ${this.#height}` });
    this.#place(nodes);
    const known = edges.filter(({ from, to }) => this.#places.has(from) && this.#places.has(to));
    const [me] = nodes;
    const kept = new Set();
    const keep = (key, layer, name) => {
      kept.add(key);
      if (!this.#shown.has(key)) this.#shown.set(key, this.#layers[layer].appendChild(make(name)));
      return this.#shown.get(key);
    };
    // The times of all edges of a large mesh would be a heap of numbers.
    const hasRoom = nodes.length <= 7;
    for (const { from, to, kind, time } of known) {
      const isOwn = from === me.id;
      const [start, end] = [this.#places.get(from), this.#places.get(to)];
      const [bend, labelAt] = isOwn ? [middle(start, end), 0.58] : this.#bend(start, end);
      const path = keep(`edge ${from} ${to}`, 0, "path");
      set(path, { d: `M${start.x} ${start.y}Q${bend.x} ${bend.y} ${end.x} ${end.y}`, class: `${kind ?? "unknown"}${isOwn ? " own" : ""}` });
      if (time === null || !(isOwn || hasRoom || from === selected || to === selected)) continue;
      const at = toward(toward(start, bend, labelAt), toward(bend, end, labelAt), labelAt);
      const label = keep(`time ${from} ${to}`, 1, "text");
      set(label, { x: at.x, y: at.y + 4, class: "time" });
      label.textContent = time;
    }
    for (const { id, label, state } of nodes) {
      const place = this.#places.get(id);
      const group = keep(`node ${id}`, 2, "g");
      if (!group.firstChild) {
        group.dataset.peer = id === me.id ? "" : id;
        group.append(make("circle"), make("text"), make("title"));
      }
      set(group, { class: `node ${state}${id === me.id ? " me" : ""}${id === selected ? " selected" : ""}` });
      const [circle, text, title] = group.children;
      set(circle, { cx: place.x, cy: place.y, r: id === me.id ? 15 : 12 });
      set(text, { x: place.x, y: place.y + (place.y < this.#height / 2 - 1 ? -22 : 32) });
      text.textContent = label.length > NAME_LETTERS ? `${label.slice(0, NAME_LETTERS - 1)}…` : label;
      title.textContent = id;
    }
    for (const [key, element] of this.#shown) if (!kept.has(key) && this.#shown.delete(key)) element.remove();
    const said = nodes.slice(1).map(({ label, state }) => `${label}: ${state}`);
    const text = said.length > 0 ? `This page and ${said.length} peers. ${said.join(", ")}` : "Nobody else is here";
    this.#svg.setAttribute("aria-label", text);
  }

  /** Shows a message on its way. */
  message(from, to) {
    const [start, end] = [this.#places.get(from), this.#places.get(to)];
    if (!start || !end || this.#underWay >= MESSAGES || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const dot = this.#layers[2].insertBefore(make("circle"), this.#layers[2].firstChild);
    set(dot, { r: 5, class: "message" });
    this.#underWay += 1;
    const way = [start, end].map(({ x, y }) => ({ transform: `translate(${x}px, ${y}px)` }));
    dot.animate(way, { duration: 600, easing: "ease-in-out" }).onfinish = () => {
      this.#underWay -= 1;
      dot.remove();
    };
  }

  /** Where a line between two peers bends to, past the middle, which is this page's; and at which part of it its label is. */
  #bend(start, end) {
    const half = middle(start, end);
    const centre = { x: this.#width / 2, y: this.#height / 2 };
    if (Math.hypot(half.x - centre.x, half.y - centre.y) > 70) return [toward(half, centre, 0.12), 0.5];
    const aside = Math.min(130, 0.35 * this.#height) / Math.hypot(end.x - start.x, end.y - start.y);
    // Those that cross the whole picture meet in its middle, in a wide one at a small angle.
    const labelAt = this.#width > 1.3 * this.#height ? 0.36 : 0.5;
    return [{ x: half.x + (end.y - start.y) * aside, y: half.y - (end.x - start.x) * aside }, labelAt];
  }

  /** Places the peers around this page, in the order of their names. */
  #place([me, ...others]) {
    const middle = { x: this.#width / 2, y: this.#height / 2 };
    this.#places = new Map([[me.id, middle]]);
    for (const [index, { id }] of others.entries()) {
      const angle = ((index + 0.5) / others.length) * 2 * Math.PI - Math.PI / 2;
      const [across, down] = [Math.cos(angle), Math.sin(angle)];
      // Toward the corners there is more room.
      const corner = Math.max(Math.abs(across), Math.abs(down)) ** -0.7;
      const far = others.length > ONE_RING && index % 2 ? 0.62 : corner;
      const [x, y] = [across * (this.#width / 2 - 66) * far, down * (this.#height / 2 - 46) * far];
      this.#places.set(id, { x: Math.round(middle.x + x), y: Math.round(middle.y + y) });
    }
  }
}

const make = (name) => document.createElementNS(SVG, name);
const middle = (one, other) => toward(one, other, 0.5);
const toward = (from, to, part) => ({ x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part });

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }
}
