// What the sessions of the JavaScript clients share; see checks.py.
export const GATEWAY = process.env.GATEWAY;
export const KEY = process.env.GATEWAY_KEY;
export const QUESTION = "When does the tide turn?";
export const TOOL_QUESTION = "What is the weather in Rome? Use the tool.";
export const WEATHER = "21 degrees, wind from the west";

// Runs the checks one after the other; each tells a line of JSON with its name, and the reason if it failed.
export async function run(checks) {
  for (const [check, act] of Object.entries(checks)) {
    const line = { check, failed: "", told: "" };
    try {
      line.told = String((await act()) ?? "").slice(0, 200);
    } catch (error) {
      const where = /session\.mjs:(\d+)/.exec(error?.stack ?? "")?.[1] ?? "?";
      line.failed = `line ${where}: ${error?.name}: ${error?.message}`.slice(0, 2000);
    }
    console.log(JSON.stringify(line));
  }
}

export function assert(good, told) {
  if (!good) throw new Error(typeof told === "string" ? told : JSON.stringify(told) ?? "nothing");
}

// The error that `act` raises, if `right` is true of it.
export async function raised(right, act) {
  let error;
  try {
    await act();
  } catch (thrown) {
    error = thrown;
  }
  assert(error !== undefined, "no error");
  if (!right(error)) throw error;
  return `${error.name}: ${error.message}`;
}
