// Publishes the tasks on standard input with the page's own client, each awaited only after its PubAck.
import { readFileSync } from "node:fs";
import { open, outcome, submit } from "./remit-tasks.mjs";

const AT_ONCE = 64;
const tasks = JSON.parse(readFileSync(0, "utf8"));
const remit = await open();
const done = new Array(tasks.length);
let next = 0;

async function work() {
  while (next < tasks.length) {
    const at = next++;
    const [workflow, body] = tasks[at];
    const run = await submit(remit, workflow, body);
    done[at] = { run, outcome: await outcome(remit, run) };
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, work));
await remit.nc.close();
process.stdout.write(JSON.stringify(done));
