// The extension is a door: it starts `ordain lsp`, which knows the language, and offers three commands that run
// `ordain` in a terminal. It knows nothing of the language itself.
import * as vscode from "vscode";
import { LanguageClient, LanguageClientOptions, ServerOptions } from "vscode-languageclient/node";

let client: LanguageClient | undefined;

function program(): string {
  return vscode.workspace.getConfiguration("ordain").get<string>("path") || "ordain";
}

async function start(): Promise<void> {
  const server: ServerOptions = { command: program(), args: ["lsp"] };
  const options: LanguageClientOptions = {
    documentSelector: [{ language: "ordain" }],
    synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/{*.ord,ordain.toml,ordain.lock,*.yaml,*.yml,*.json}") },
  };
  client = new LanguageClient("ordain", "Ordain", server, options);
  try {
    await client.start();
  } catch (cause) {
    client = undefined;
    const settings = "Open the setting";
    const chosen = await vscode.window.showErrorMessage(
      `Ordain: \`${program()} lsp\` does not start (${cause instanceof Error ? cause.message : String(cause)}). ` +
        "Install `ordain`, or say where it is.",
      settings,
    );
    if (chosen === settings) {
      await vscode.commands.executeCommand("workbench.action.openSettings", "ordain.path");
    }
  }
}

async function stop(): Promise<void> {
  const running = client;
  client = undefined;
  await running?.stop();
}

/** Runs `ordain` with arguments in a terminal at the folder of the file that is open. */
function inTerminal(name: string, args: string[]): void {
  const file = vscode.window.activeTextEditor?.document.uri;
  const folder = file ? vscode.workspace.getWorkspaceFolder(file) : vscode.workspace.workspaceFolders?.[0];
  const terminal = vscode.window.createTerminal({
    name,
    cwd: folder?.uri,
    shellPath: program(),
    shellArgs: args,
    isTransient: true,
  });
  terminal.show();
}

/** The code of the mistake under the cursor. */
function codeAtCursor(): string | undefined {
  const editor = vscode.window.activeTextEditor;
  if (!editor) {
    return undefined;
  }
  const here = editor.selection.active;
  const found = vscode.languages.getDiagnostics(editor.document.uri).find((one) => one.range.contains(here));
  const code = found?.code;
  return typeof code === "object" ? String(code.value) : code === undefined ? undefined : String(code);
}

async function explain(): Promise<void> {
  const code = codeAtCursor() ?? (await vscode.window.showInputBox({ prompt: "The code of a mistake", value: "E0201" }));
  if (code) {
    inTerminal(`Ordain: ${code}`, ["explain", code]);
  }
}

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  context.subscriptions.push(
    vscode.commands.registerCommand("ordain.restart", async () => {
      await stop();
      await start();
    }),
    vscode.commands.registerCommand("ordain.build", () => inTerminal("Ordain: build", ["build", "."])),
    vscode.commands.registerCommand("ordain.test", () => inTerminal("Ordain: test", ["test"])),
    vscode.commands.registerCommand("ordain.explain", explain),
    vscode.workspace.onDidChangeConfiguration(async (changed) => {
      if (changed.affectsConfiguration("ordain.path")) {
        await stop();
        await start();
      }
    }),
    { dispose: () => void stop() },
  );
  await start();
}

export async function deactivate(): Promise<void> {
  await stop();
}
