/**
 * @file How long the command takes to answer, `blt --help` and `blt --version`, beside a Node process that does nothing, in turns:
 * by the clock and in processor time. `pnpm bench startup [--runs 10] [--json]`; build first.
 */
import { spawnSync } from 'node:child_process';
import { flags, report, short } from './support/harness.ts';

const COMMANDS = {
  help: ['packages/cli/dist/blt.js', '--help'],
  version: ['packages/cli/dist/blt.js', '--version'],
  node: ['-e', '0'],
} as const;
type Name = keyof typeof COMMANDS;
const names = Object.keys(COMMANDS) as Name[];
/** Writes the process's own processor time, microseconds, to descriptor 3 when it ends. */
const probe = `data:text/javascript,${encodeURIComponent(
  "import { writeSync } from 'node:fs'; process.on('exit', () => { const u = process.cpuUsage(); writeSync(3, String(u.user + u.system)); });",
)}`;
const times: Record<Name, number[]> = { help: [], version: [], node: [] };
const cpu: Record<Name, number[]> = { help: [], version: [], node: [] };
const { runs } = flags({ runs: 10 });
for (let i = 0; i < runs; i++) {
  for (const name of names) {
    const start = performance.now();
    const { status } = spawnSync(process.execPath, COMMANDS[name], { stdio: 'ignore' });
    times[name].push(performance.now() - start);
    if (status !== 0) throw new Error(`node ${COMMANDS[name].join(' ')} ended with code ${status}; run pnpm build`);
    const { output } = spawnSync(process.execPath, ['--import', probe, ...COMMANDS[name]], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    });
    cpu[name].push(Number(output[3]) / 1000);
  }
}
const least = (values: readonly number[]) => short(Math.min(...values));
const result = {
  help_ms: least(times.help),
  version_ms: least(times.version),
  node_ms: least(times.node),
  help_cpu_ms: least(cpu.help),
  version_cpu_ms: least(cpu.version),
  node_cpu_ms: least(cpu.node),
};
report('startup', result, [
  `blt --help ${result.help_ms} ms, blt --version ${result.version_ms} ms, node alone ${result.node_ms} ms (least of ${times.help.length})`,
  `in processor time: ${result.help_cpu_ms}, ${result.version_cpu_ms} and ${result.node_cpu_ms} ms`,
]);
