// A talk with the language server through the protocol's own client library: what the extension relies on.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const { createProtocolConnection, StreamMessageReader, StreamMessageWriter } = createRequire(import.meta.url)(
  "vscode-languageserver-protocol/node",
);

function find() {
  const places = process.env.ORDAIN
    ? [process.env.ORDAIN]
    : (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "ordain"));
  return places.find((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const program = find();
const skip = program ? false : "no `ordain` in PATH and $ORDAIN is not set";

test("the server says what is wrong and formats", { skip, timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "ordain-vscode-"));
  writeFileSync(join(folder, "ordain.toml"), 'name = "talk"\n');
  const text = 'export a = k8s.ConfigMap {metadata.name = "a"\n  imutable = true }\n';
  const file = join(folder, "a.ord");
  writeFileSync(file, text);
  const server = spawn(program, ["lsp"], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
  try {
    const talk = createProtocolConnection(new StreamMessageReader(server.stdout), new StreamMessageWriter(server.stdin));
    const told = new Promise((resolve) => {
      talk.onNotification("textDocument/publishDiagnostics", (found) => {
        if (found.uri.endsWith("a.ord") && found.diagnostics.length > 0) resolve(found.diagnostics);
      });
    });
    talk.listen();
    const uri = pathToFileURL(file).toString();
    const { capabilities } = await talk.sendRequest("initialize", {
      processId: process.pid,
      rootUri: pathToFileURL(folder).toString(),
      workspaceFolders: [{ uri: pathToFileURL(folder).toString(), name: "talk" }],
      capabilities: {},
    });
    for (const ability of ["completionProvider", "hoverProvider", "definitionProvider", "renameProvider"]) {
      assert.ok(capabilities[ability], `${ability} is offered`);
    }
    await talk.sendNotification("initialized", {});
    await talk.sendNotification("textDocument/didOpen", {
      textDocument: { uri, languageId: "ordain", version: 1, text },
    });
    const diagnostics = await told;
    assert.equal(diagnostics[0].code, "E0201");
    const edits = await talk.sendRequest("textDocument/formatting", {
      textDocument: { uri },
      options: { tabSize: 2, insertSpaces: true },
    });
    assert.ok(edits.length > 0, "there is something to format");
    await talk.sendRequest("shutdown");
    await talk.sendNotification("exit");
    await new Promise((resolve) => server.once("exit", resolve));
  } finally {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});
