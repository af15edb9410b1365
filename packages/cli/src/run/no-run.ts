/** @file The refusal of a folder that is no run. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode, reason, UserError } from '../terminal/errors.ts';

/**
 * The error for a folder without a config.json that can be read. Names of runs stand in lists without `runs/`, so that a run of that name is
 * offered where there is no such folder.
 */
export function noRun(path: string, cause: unknown): UserError {
  const options = { cause };
  if (existsSync(path)) {
    const why = errorCode(cause) === 'ENOENT' ? 'there is no config.json in it' : reason(cause);
    return new UserError(`${path} is no run: ${why}`, 2, options);
  }
  const near = join('runs', path);
  const meant = existsSync(join(near, 'config.json')) ? `; did you mean ${near}?` : '';
  return new UserError(`there is no folder ${path}${meant}`, 2, options);
}
