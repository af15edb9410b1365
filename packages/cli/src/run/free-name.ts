/** @file The name of a run that was given none. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** A free name under runs/: size-1, size-2, ... */
export function freeRunName(root: string, size: string): string {
  for (let i = 1; ; i++) if (!existsSync(join(root, `${size}-${i}`))) return `${size}-${i}`;
}
