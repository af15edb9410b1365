import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, onTestFinished } from 'vitest';

/** A new folder with `files`: relative path -> contents. */
function filled(files: Record<string, string | Uint8Array>): string {
  const folder = mkdtempSync(join(tmpdir(), 'blt-test-'));
  for (const [path, contents] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), contents);
  }
  return folder;
}

const remove = (folder: string): void => rmSync(folder, { recursive: true, force: true });

/** A new folder, removed when the running test ends. `files`: relative path -> contents. */
export function temporaryFolder(files: Record<string, string | Uint8Array> = {}): string {
  const folder = filled(files);
  onTestFinished(() => remove(folder));
  return folder;
}

/** A new folder for all tests of a `describe`, where it is made outside of any test. It is removed after the last of them. */
export function sharedFolder(files: Record<string, string | Uint8Array> = {}): string {
  const folder = filled(files);
  afterAll(() => remove(folder));
  return folder;
}
