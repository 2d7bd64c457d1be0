// gemini-cli, headless: a question, and a task for which it calls one of its own tools.
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { GATEWAY, KEY, QUESTION, assert, run } from "./checks.mjs";

const COMMAND = path.join(path.dirname(fileURLToPath(import.meta.url)), "node_modules", ".bin", "gemini");
const HOME = process.env.HOME;
const WORK = path.join(HOME, "work");
mkdirSync(WORK);
mkdirSync(path.join(HOME, ".gemini"));
writeFileSync(path.join(WORK, "notes.txt"), "High water at six.\n");
const SETTINGS = {
  security: { auth: { selectedType: "gemini-api-key" } },
  privacy: { usageStatisticsEnabled: false },
  telemetry: { enabled: false },
  general: { disableAutoUpdate: true, disableUpdateNag: true },
};
writeFileSync(path.join(HOME, ".gemini", "settings.json"), JSON.stringify(SETTINGS));

function gemini(prompt, key = KEY, model = "gemini-2.5-flash") {
  const env = {
    ...process.env, GEMINI_API_KEY: key, GOOGLE_GEMINI_BASE_URL: GATEWAY, GEMINI_CLI_TRUST_WORKSPACE: "true",
  };
  const options = { env, cwd: WORK, timeout: 120_000, maxBuffer: 1 << 24 };
  const words = ["-m", model, "-p", prompt, "--output-format", "json", "--approval-mode", "yolo"];
  return new Promise((resolve) => {
    const child = execFile(COMMAND, words, options, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? 1) : 0, stdout, stderr }),
    );
    child.stdin.end();
  });
}

function told({ code, stdout, stderr }) {
  assert(code === 0, `ended with ${code}: ${stdout.slice(-600)} ${stderr.slice(-900)}`);
  return JSON.parse(stdout.slice(stdout.indexOf("{")));
}

await run({
  async answer() {
    const done = told(await gemini(QUESTION));
    assert(done.response, done);
    return done.response;
  },
  async tool() {
    const done = told(await gemini("Use read_file for notes.txt"));
    const tools = done.stats.tools;
    assert(done.response && tools.totalCalls > 0, done);
    return `${tools.totalCalls} calls, ${tools.totalSuccess} well: ${Object.keys(tools.byName)}`;
  },
  async errors() {
    const done = await gemini(QUESTION, "wrong");
    assert(done.code !== 0 && /API key|401|invalid/i.test(done.stdout + done.stderr), done);
    return `ended with ${done.code}`;
  },
});
