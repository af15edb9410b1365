/** @file The program that runs us, if it is Node: its versions, environment and built-in modules, without importing any. */

interface NodeProcess {
  arch?: string;
  platform?: string;
  versions?: Record<string, string | undefined>;
  env?: Record<string, string | undefined>;
  getBuiltinModule?: (name: string) => unknown;
}

/** The `process` of Node; undefined in a browser. */
export const nodeProcess = (globalThis as { process?: NodeProcess }).process;

/** A variable of the environment; undefined where there is none, or no leave to read it (Deno without --allow-env). */
export function environment(name: string): string | undefined {
  try {
    return nodeProcess?.env?.[name];
  } catch {
    return undefined;
  }
}

/** A module of Node itself, without importing it: undefined in browsers and before Node 20.16. */
export const nodeModule = <T>(name: string): T | undefined => nodeProcess?.getBuiltinModule?.(name) as T | undefined;
