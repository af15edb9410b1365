// A long run, once straight through and once killed and resumed many times: the weights at the end must be the same, and memory
// must be flat.  node scripts/soak.mjs [--steps 20000] [--kills 12] [--size nano] [--threads 1] [--flags='...'] [--keep]
// --keep leaves the folder and prints its name; --beside <folder> does the killed and resumed part alone, in such a folder, so that
// both parts may run at once: it compares when the straight run there has ended.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './workspace.mjs';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '20000' },
    kills: { type: 'string', default: '12' },
    size: { type: 'string', default: 'nano' },
    threads: { type: 'string', default: '1' },
    // More flags of `blt train`.
    flags: { type: 'string', default: '' },
    keep: { type: 'boolean', default: false },
    beside: { type: 'string' },
  },
});
const steps = Number(values.steps);
const kills = Number(values.kills);
const BLT = process.env.BLT_COMMAND ?? join(root, 'packages/cli/dist/blt.js');
const folder = values.beside ?? mkdtempSync(join(tmpdir(), 'blt-soak-'));
const parts = values.beside ? `parts-${process.pid}` : 'parts';
const saveEvery = Math.max(1, Math.round(steps / 40));
const evalEvery = Math.max(1, Math.round(steps / 10));
const fixed =
  `--size ${values.size} --steps ${steps} --eval-every ${evalEvery} --save-every ${saveEvery} --patience 0 --dropout 0.1 --hash-dropout 0.3 --ema 0.999 ${values.flags}`.trim();

/** Resident memory of a process in MiB, on Linux. */
function resident(pid) {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
  } catch {
    return null;
  }
}

/** The last step whose metrics are on the disk. */
function lastStep(name) {
  const path = join(folder, 'runs', name, 'metrics.jsonl');
  if (!existsSync(path)) return 0;
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  for (const line of lines.reverse()) {
    try {
      return JSON.parse(line).step;
    } catch {
      // Torn by the kill.
    }
  }
  return 0;
}

/** Runs `blt` until its end, or until step `stopAt`, where it gets the signal. @returns exit code and memory by step */
function blt(args, name, stopAt = Number.POSITIVE_INFINITY, signal = 'SIGKILL') {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [BLT, ...args, '--threads', values.threads], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const memory = [];
    const timer = setInterval(() => {
      const step = lastStep(name);
      const mebibytes = resident(child.pid);
      if (mebibytes !== null) memory.push([step, mebibytes]);
      if (step >= stopAt) child.kill(signal);
    }, 500);
    child.on('close', (code, by) => {
      clearInterval(timer);
      resolve({ code, by, memory });
    });
  });
}

const seconds = (since) => ((performance.now() - since) / 1000).toFixed(0);
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

let start = performance.now();
let flat = true;
if (!values.beside) {
  const whole = await blt(['train', ...fixed.split(' '), '--run', 'whole'], 'whole');
  if (whole.code !== 0) throw new Error(`the straight run ended with ${whole.code ?? whole.by}`);
  console.log(`straight: ${steps} steps of ${values.size} in ${seconds(start)} s`);
  const between = (from, to) =>
    median(
      whole.memory.filter(([step]) => step > from * steps && step <= to * steps).map(([, mebibytes]) => mebibytes),
    );
  const [early, late] = [between(0.1, 0.4), between(0.7, 1)];
  console.log(
    `memory: median ${early.toFixed(0)} MiB from 10% to 40% of the steps, ${late.toFixed(0)} MiB from 70% on`,
  );
  flat = !(late > 1.15 * early);
}

start = performance.now();
let survived = 0;
for (let i = 0; i < kills; i++) {
  // Somewhere in the i-th part of the run; every third time politely.
  const at = Math.floor(((i + Math.random()) / kills) * steps);
  const signal = i % 3 === 2 ? 'SIGINT' : 'SIGKILL';
  const args = existsSync(join(folder, 'runs', parts, 'config.json'))
    ? ['train', '--resume', `runs/${parts}`]
    : ['train', ...fixed.split(' '), '--run', parts];
  const { code, by } = await blt(args, parts, Math.max(1, at), signal);
  if (by === 'SIGKILL' || code === 130) survived++;
  else if (code !== 0) throw new Error(`start ${i + 1} ended with ${code ?? by}`);
}
const end = await blt(['train', '--resume', `runs/${parts}`], parts);
if (end.code !== 0) throw new Error(`the last resume ended with ${end.code ?? end.by}`);
console.log(`in parts: ${survived} kills and resumes, ${seconds(start)} s`);

const last = `step-${String(steps).padStart(6, '0')}`;
const hash = (run, file) =>
  createHash('sha256')
    .update(readFileSync(join(folder, 'runs', run, last, file)))
    .digest('hex');
while (!existsSync(join(folder, 'runs', 'whole', 'report.html')))
  await new Promise((resolve) => setTimeout(resolve, 1000));
let same = true;
for (const file of ['model.safetensors', 'training_state.safetensors', 'training_state.json']) {
  const [a, b] = [hash('whole', file), hash(parts, file)];
  same &&= a === b;
  console.log(`${file}: ${a.slice(0, 16)} ${a === b ? '=' : '!='} ${b.slice(0, 16)}`);
}
console.log(
  same && flat
    ? `the same bits${values.beside ? '' : ', and flat memory'}`
    : `FAILED: ${same ? 'memory grows' : 'the weights differ'}`,
);
if (values.keep || values.beside) console.log(folder);
else rmSync(folder, { recursive: true, force: true });
process.exit(same && flat ? 0 : 1);
