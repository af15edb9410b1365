import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The built command, as users run it; `npm test` builds it first. BLT_COMMAND names another build. */
export const BLT = process.env.BLT_COMMAND ?? fileURLToPath(new URL('../../packages/cli/dist/blt.js', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function assertBuilt(): void {
  if (!existsSync(BLT)) throw new Error(`${BLT} is missing; run: node scripts/build.mjs`);
}

/** Runs `blt` in a folder. */
export function blt(cwd: string, args: readonly string[], input?: string | Uint8Array): Outcome {
  assertBuilt();
  const { status, stdout, stderr } = spawnSync(process.execPath, [BLT, ...args], { cwd, input, encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

/** Runs `blt` and sends it a signal as soon as its output matches. */
export function bltInterrupted(
  cwd: string,
  args: readonly string[],
  when: RegExp,
  signal: NodeJS.Signals,
): Promise<Outcome> {
  assertBuilt();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BLT, ...args], { cwd });
    let stdout = '';
    let stderr = '';
    let sent = false;
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk;
      if (!sent && when.test(stdout)) {
        sent = true;
        child.kill(signal);
      }
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
