// VS Code itself: code-server in a headless Chromium opens a project with a mistake, and shows it, proposes names and
// tells what they are. Not part of `npm test`: neither program comes with this package. It says what it did not find.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const PATIENCE = 120_000;

function find(variable, names) {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const places = process.env[variable]
    ? [process.env[variable]]
    : names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return places.find((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const programs = {
  ordain: find("ORDAIN", ["ordain"]),
  "code-server": find("CODE_SERVER", ["code-server"]),
  chromium: find("CHROMIUM", ["chromium", "chromium-browser", "google-chrome"]),
};
for (const [name, place] of Object.entries(programs)) {
  if (!place) {
    const variable = name.replace("-", "_").toUpperCase();
    console.log(`left out: there is no \`${name}\` in PATH, and $${variable} does not name one`);
    process.exit(0);
  }
}

/** A browser by its own protocol, over pipes: one JSON text after the other, each with a zero byte at its end. */
class Browser {
  constructor(program, profile) {
    const args = [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--window-size=1280,800",
      `--user-data-dir=${profile}`,
      "--remote-debugging-pipe",
      "about:blank",
    ];
    this.process = spawn(program, args, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.waiting = new Map();
    this.next = 0;
    let rest = Buffer.alloc(0);
    this.process.stdio[4].on("data", (part) => {
      rest = Buffer.concat([rest, part]);
      for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
        const { id, result, error } = JSON.parse(rest.subarray(0, end).toString());
        rest = rest.subarray(end + 1);
        const done = this.waiting.get(id);
        this.waiting.delete(id);
        if (done) error ? done.reject(new Error(error.message)) : done.resolve(result);
      }
    });
  }

  call(method, params = {}) {
    const id = ++this.next;
    this.process.stdio[3].write(JSON.stringify({ id, method, params, sessionId: this.session }) + "\0");
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  async open(url) {
    const { targetId } = await this.call("Target.createTarget", { url });
    this.session = (await this.call("Target.attachToTarget", { targetId, flatten: true })).sessionId;
  }

  async evaluate(expression) {
    const { result } = await this.call("Runtime.evaluate", { expression, returnByValue: true });
    return result.value;
  }

  /** Waits until an expression of the page is something. */
  async until(what, expression) {
    const end = Date.now() + PATIENCE;
    while (Date.now() < end) {
      const found = await this.evaluate(expression).catch(() => undefined);
      if (found) {
        console.log(`${what}: ${String(found).replace(/\s+/g, " ").slice(0, 160)}`);
        return found;
      }
      await new Promise((done) => setTimeout(done, 250));
    }
    const { data } = await this.call("Page.captureScreenshot");
    const picture = join(tmpdir(), "ordain-editor.png");
    writeFileSync(picture, Buffer.from(data, "base64"));
    throw new Error(`${what}: not seen in ${PATIENCE / 1000} s; see ${picture}`);
  }

  async key(key, code, number, modifiers = 0) {
    const params = { key, code, windowsVirtualKeyCode: number, modifiers };
    await this.call("Input.dispatchKeyEvent", { type: "rawKeyDown", ...params });
    await this.call("Input.dispatchKeyEvent", { type: "keyUp", ...params });
  }

  type(text) {
    return this.call("Input.insertText", { text });
  }
}

const CTRL = 2;
const port = await new Promise((done) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});
const folder = mkdtempSync(join(tmpdir(), "ordain-editor-"));
const project = join(folder, "shop");
const running = [];
try {
  mkdirSync(join(folder, "data", "User"), { recursive: true });
  mkdirSync(project);
  writeFileSync(join(project, "ordain.toml"), 'name = "shop"\n');
  writeFileSync(join(project, "lib.ord"), "fn twice(n: Int) -> Int = n * 2\n");
  writeFileSync(
    join(project, "shop.ord"),
    'use lib\nexport k8s.ConfigMap {\n  metadata.name = "settings"\n  imutable = true\n}\nexport k8s.ConfigMap { metadata.name = "a-{lib.twice(1)}" }\n',
  );
  const settings = {
    "ordain.path": resolve(programs.ordain),
    "workbench.startupEditor": "none",
    "security.workspace.trust.enabled": false,
    "telemetry.telemetryLevel": "off",
    "chat.commandCenter.enabled": false,
  };
  writeFileSync(join(folder, "data", "User", "settings.json"), JSON.stringify(settings));
  const package_ = join(folder, "ordain.vsix");
  const vsce = ["vsce", "package", "--no-dependencies", "--allow-missing-repository", "--out", package_];
  const steps = [
    ["npm", ["run", "build"], join(here, "..")],
    ["npx", vsce, join(here, "..")],
  ];
  const places = ["--user-data-dir", join(folder, "data"), "--extensions-dir", join(folder, "extensions")];
  steps.push([programs["code-server"], [...places, "--install-extension", package_], folder]);
  for (const [program, args, cwd] of steps) {
    const ran = spawnSync(program, args, { cwd, encoding: "utf8" });
    assert.equal(ran.status, 0, `${program} ${args.join(" ")}: ${ran.stdout}${ran.stderr}`);
  }
  const env = { ...process.env };
  // An editor's own terminal would be asked to open the folder instead.
  delete env.VSCODE_IPC_HOOK_CLI;
  const options = ["--auth", "none", "--disable-telemetry", "--disable-update-check", "--disable-workspace-trust"];
  const server = spawn(
    programs["code-server"],
    [...places, ...options, "--bind-addr", `127.0.0.1:${port}`, project],
    { env, stdio: ["ignore", "pipe", "inherit"], detached: true },
  );
  running.push(() => process.kill(-server.pid));
  await new Promise((done, failed) => {
    server.stdout.on("data", (part) => String(part).includes("listening on") && done());
    server.on("exit", (code) => failed(new Error(`code-server ended with ${code}`)));
  });
  const browser = new Browser(programs.chromium, join(folder, "profile"));
  running.push(() => browser.process.kill());
  await browser.open(`http://127.0.0.1:${port}/?folder=${encodeURIComponent(project)}`);
  await browser.until("the workbench", `document.querySelector(".monaco-workbench .statusbar") && "open"`);
  await browser.until("the project", `document.querySelector('.explorer-folders-view [aria-label^="shop.ord"]')?.ariaLabel`);
  await browser.key("p", "KeyP", 80, CTRL);
  await browser.until("quick open", `document.querySelector(".quick-input-widget .monaco-inputbox input") && "open"`);
  await browser.type("shop.ord");
  await browser.until("the file is found", `document.querySelector(".quick-input-list .monaco-list-row")?.ariaLabel`);
  await browser.key("Enter", "Enter", 13);
  await browser.until("the file", `document.querySelector(".editor-instance .view-lines")?.innerText`);
  await browser.until("colors", `document.querySelectorAll(".view-line span[class*=mtk]").length > 8 && "by the grammar"`);
  await browser.until("squiggles", `document.querySelectorAll(".squiggly-error").length`);
  const problems = await browser.until("problems", `document.querySelector("#status\\\\.problems")?.ariaLabel`);
  assert.match(problems, /1 problem|Errors: 1/i);

  // The cursor goes to the name of a function by the editor's own command: line and column.
  const go = async (place) => {
    await browser.key("g", "KeyG", 71, CTRL);
    await browser.until("a place is asked", `document.querySelector(".quick-input-widget:not([style*='none']) input") && "yes"`);
    await browser.type(place);
    await browser.key("Enter", "Enter", 13);
  };
  await go("6:50");
  await browser.key("k", "KeyK", 75, CTRL);
  await browser.key("i", "KeyI", 73, CTRL);
  const hover = await browser.until("hover", `document.querySelector(".monaco-hover:not(.hidden) .hover-contents")?.innerText`);
  assert.match(hover, /twice\(n: Int\)/);

  await go("4:18");
  await browser.key("Enter", "Enter", 13, CTRL);
  await browser.type("bin");
  await browser.key(" ", "Space", 32, CTRL);
  const proposed = await browser.until(
    "completion",
    `[...document.querySelectorAll(".suggest-widget.visible .monaco-list-row")].map((row) => row.ariaLabel).join("; ")`,
  );
  assert.match(proposed, /binaryData/);
  await browser.key("Escape", "Escape", 27);

  // A module is renamed: the file moves, and what names it follows.
  await go("1:6");
  await browser.key("F2", "F2", 113);
  await browser.until("a name is asked", `document.querySelector(".rename-box input")?.value`);
  await browser.type("helpers");
  await browser.key("Enter", "Enter", 13);
  const text = `[...document.querySelectorAll(".editor-instance .view-line")].map((line) => line.innerText).join(" ")`;
  await browser.until("the module's new name", `(${text}).replaceAll("\u00a0", " ").match(/use helpers .*helpers.twice/)?.[0]`);
  await browser.until(
    "the moved file",
    `document.querySelector('.explorer-folders-view [aria-label^="helpers.ord"]')?.ariaLabel`,
  );
  console.log("VS Code shows the mistake, hover and completion, and renames a module");
} finally {
  for (const end of running.reverse()) {
    try {
      end();
    } catch {
      // It ended by itself.
    }
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
process.exit(0);
