/** @file How many threads there can be. */
import { nodeModule } from './host.ts';

/** The reason for which there can be no workers here, or undefined if there can. */
export function whyNoThreads(): string | undefined {
  if (typeof SharedArrayBuffer === 'undefined') return 'no SharedArrayBuffer';
  if (nodeModule('node:worker_threads')) return undefined;
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true) return undefined;
  return (globalThis as { process?: unknown }).process === undefined
    ? 'the page is not cross-origin isolated'
    : 'process.getBuiltinModule is missing, Node 20.16 has it';
}

/** How many threads this machine runs at once: the largest sensible `threads`. 1 where there can be no workers. */
export function availableThreads(): number {
  if (whyNoThreads() !== undefined) return 1;
  const os = nodeModule<{ availableParallelism(): number }>('node:os');
  return os?.availableParallelism() ?? (globalThis as { navigator?: Navigator }).navigator?.hardwareConcurrency ?? 1;
}
