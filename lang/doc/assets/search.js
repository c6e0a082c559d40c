// The search box: what contains every typed word, best first. ENTRIES is [title, kind, address, about].
"use strict";
(() => {
  const input = document.getElementById("search");
  const list = document.getElementById("found");
  const root = document.body.dataset.root;
  const MAX = 30;
  let chosen = -1;

  function rank(entry, words) {
    const title = entry[0].toLowerCase();
    const last = title.split(".").pop();
    let sum = 0;
    for (const word of words) {
      const at = title.indexOf(word);
      if (at < 0) {
        if (!entry[3].toLowerCase().includes(word)) return -1;
        sum += 1;
      } else if (last === word) sum += 100;
      else if (last.startsWith(word)) sum += 50;
      else if (last.includes(word)) sum += 20;
      else sum += 10;
    }
    return sum - title.length / 1000 - (entry[1] === "field" ? 5 : 0);
  }

  function show() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    list.replaceChildren();
    chosen = -1;
    list.hidden = words.length === 0;
    if (list.hidden) return;
    const found = ENTRIES.map((entry) => [rank(entry, words), entry])
      .filter(([score]) => score >= 0)
      .sort((a, b) => b[0] - a[0])
      .slice(0, MAX);
    for (const [, [title, kind, address, about]] of found) {
      const link = document.createElement("a");
      link.href = root + address;
      link.setAttribute("role", "option");
      for (const [name, text] of [["code", title], ["span", kind], ["small", about]]) {
        const part = document.createElement(name);
        part.textContent = text;
        link.append(part);
      }
      link.addEventListener("click", () => { list.hidden = true; });
      list.append(link);
    }
    if (found.length === 0) list.textContent = "Nothing found";
  }

  function choose(step) {
    const links = list.querySelectorAll("a");
    if (links.length === 0) return;
    chosen = (chosen + step + links.length) % links.length;
    links.forEach((link, at) => link.setAttribute("aria-selected", String(at === chosen)));
    links[chosen].scrollIntoView({ block: "nearest" });
  }

  input.addEventListener("input", show);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(1);
    else if (event.key === "ArrowUp") choose(-1);
    else if (event.key === "Enter") (list.querySelectorAll("a")[Math.max(chosen, 0)] || { click() {} }).click();
    else if (event.key === "Escape") { input.value = ""; show(); }
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== input) {
      event.preventDefault();
      input.focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("form")) list.hidden = true;
  });
})();
