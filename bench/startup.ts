/**
 * @file How long the command takes to answer: `blt --help` and `blt --version`, beside a Node process that does nothing, in turns.
 * `pnpm bench startup [--runs 10] [--json]`; build first.
 */
import { spawnSync } from 'node:child_process';
import { numberFlag, report, short } from './support/harness.ts';

const COMMANDS = {
  help: ['packages/cli/dist/blt.js', '--help'],
  version: ['packages/cli/dist/blt.js', '--version'],
  node: ['-e', '0'],
} as const;
type Name = keyof typeof COMMANDS;
const names = Object.keys(COMMANDS) as Name[];
const times: Record<Name, number[]> = { help: [], version: [], node: [] };
for (let i = 0; i < numberFlag('runs', 10); i++) {
  for (const name of names) {
    const start = performance.now();
    const { status } = spawnSync(process.execPath, COMMANDS[name], { stdio: 'ignore' });
    times[name].push(performance.now() - start);
    if (status !== 0) throw new Error(`node ${COMMANDS[name].join(' ')} ended with code ${status}; run pnpm build`);
  }
}
const least = (name: Name) => short(Math.min(...times[name]));
const result = { help_ms: least('help'), version_ms: least('version'), node_ms: least('node') };
report('startup', result, [
  `blt --help ${result.help_ms} ms, blt --version ${result.version_ms} ms, node alone ${result.node_ms} ms (least of ${times.help.length})`,
]);
