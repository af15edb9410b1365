/** @file `blt doctor`: what works on this machine, what will be used, and why. */
import { constants as fsConstants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { resolve } from 'node:path';
import {
  availableThreads,
  type Backend,
  createReferenceBackend,
  createWasmBackend,
  run,
  scope,
  tensor,
} from '@blt-ts/tensor';
import type { GpuBackend, GpuMode } from '@blt-ts/tensor/gpu';
import { chooseBackend, measureGflops, openDevice } from '../config/backend-choice.ts';
import { humanBytes } from '../terminal/human-units.ts';
import { say, sayJson } from '../terminal/output.ts';
import { VERSION_AND_COMMIT } from '../version.ts';
import { runBattery } from './doctor-battery.ts';

export interface DoctorFlags {
  readonly json?: boolean;
}

interface Finding {
  readonly name: string;
  /** null: not on this machine, which is no fault. */
  readonly ok: boolean | null;
  readonly text: string;
  readonly figures?: Record<string, unknown>;
}

const DEVICES: readonly GpuMode[] = ['webgpu', 'webasm', 'webgl2'];

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0];

async function examine(name: string, make: () => Backend): Promise<Finding> {
  let backend: Backend;
  try {
    backend = make();
  } catch (error) {
    return { name, ok: null, text: message(error) };
  }
  return verdict(name, backend);
}

async function verdict(name: string, backend: Backend): Promise<Finding> {
  const { calls, worst, failures } = await runBattery(backend);
  if (failures.length > 0) return { name, ok: false, text: `WRONG: ${failures.join('; ')}`, figures: { failures } };
  const gflops = await measureGflops(backend);
  return {
    name,
    ok: true,
    text: `${calls} kernel calls agree with the definition, worst error ${worst.error.toExponential(1)} (${worst.kernel}), ${gflops.toFixed(1)} GFLOP/s`,
    figures: { calls, worstError: worst.error, worstKernel: worst.kernel, gflops, description: backend.description },
  };
}

/** A backend of gpu.js: not there is no fault, and one that is asked for by name alone says so. */
async function examineDevice(mode: GpuMode): Promise<Finding> {
  let backend: GpuBackend;
  try {
    backend = await openDevice(mode);
  } catch (error) {
    return { name: mode, ok: null, text: message(error) };
  }
  try {
    const finding = await verdict(mode, backend);
    const use = backend.software ? `; software, so only used with --backend ${mode}` : '';
    return { ...finding, text: `${backend.description}: ${finding.text}${use}` };
  } finally {
    await backend.destroy();
  }
}

/** The same product on one thread and on all: how fast, and whether the bits are the same. */
async function examineThreads(): Promise<Finding> {
  const name = 'threads';
  const threads = availableThreads();
  if (threads < 2) return { name, ok: null, text: createWasmBackend({ threads: 2 }).description };
  const [M, K, N] = [512, 256, 256];
  const values = (size: number) => Float32Array.from({ length: size }, (_, i) => ((i * 0.618034) % 1) - 0.5);
  const product = (backend: Backend) =>
    scope(() => {
      const [a, b] = [tensor(values(M * K), [M, K], { backend }), tensor(values(N * K), [N, K], { backend })];
      return run('matmul', [a, b], { transposeA: false, transposeB: true })[0].readSync();
    });
  const one = createWasmBackend({ threads: 1 });
  const all = createWasmBackend({ threads });
  const expected = product(one);
  const start = performance.now();
  let same = true;
  // Workers start meanwhile.
  while (performance.now() - start < 400) {
    same &&= Buffer.compare(Buffer.from(product(all).buffer), Buffer.from(expected.buffer)) === 0;
    await new Promise<void>((done) => setTimeout(done, 10));
  }
  const [slow, fast] = [await measureGflops(one), await measureGflops(all)];
  return {
    name,
    ok: same,
    text: same
      ? `${threads}: the same bits as one; ${slow.toFixed(1)} GFLOP/s on one, ${fast.toFixed(1)} on all`
      : `WRONG: a product on ${threads} threads differs from the one on 1; use --threads 1`,
    figures: { threads, sameBits: same, gflopsOne: slow, gflopsAll: fast },
  };
}

/** Room for a model: a block of half a gigabyte, touched at both ends. */
function examineMemory(): Finding {
  const figures = { total: totalmem(), free: freemem() };
  const size = 2 ** 27;
  try {
    const backend = createWasmBackend();
    const storage = backend.allocate('f32', size);
    backend.free(storage);
    const text = `${humanBytes(figures.total)}, ${humanBytes(figures.free)} free; WebAssembly reserves ${humanBytes(4 * size)} and more, up to 4.29 GB`;
    return { name: 'memory', ok: true, text, figures };
  } catch (error) {
    return {
      name: 'memory',
      ok: false,
      text: `WRONG: ${humanBytes(4 * size)} cannot be had: ${message(error)}`,
      figures,
    };
  }
}

async function examineDisk(): Promise<Finding> {
  try {
    await access('.', fsConstants.W_OK);
    const { bavail, bsize } = await statfs('.');
    const free = bavail * bsize;
    return {
      name: 'disk',
      ok: true,
      text: `${resolve('.')} can be written, ${humanBytes(free)} free`,
      figures: { free },
    };
  } catch (error) {
    return { name: 'disk', ok: false, text: `WRONG: runs cannot be kept in ${resolve('.')}: ${message(error)}` };
  }
}

/** `blt doctor`. @returns the exit code: 1 if something that would be used is wrong */
export async function doctorCommand(flags: DoctorFlags): Promise<number> {
  const { node, v8 } = process.versions;
  const system = `blt ${VERSION_AND_COMMIT}, Node ${node} (V8 ${v8}), ${process.platform} ${process.arch}, ${availableParallelism()} cores`;
  const findings: Finding[] = [];
  const note = (finding: Finding): void => {
    findings.push(finding);
    if (flags.json) return;
    const sign = finding.ok === null ? '-' : finding.ok ? 'ok' : '!!';
    say(`${finding.name.padEnd(20)} ${sign.padEnd(3)} ${finding.text}`);
  };
  if (!flags.json) say(`${'system'.padEnd(20)}     ${system}`);
  note(await examine('reference', () => createReferenceBackend()));
  note(await examine('wasm', () => createWasmBackend()));
  note(await examine('wasm, deterministic', () => createWasmBackend({ deterministic: true })));
  note(await examineThreads());
  for (const mode of DEVICES) note(await examineDevice(mode));
  note(examineMemory());
  note(await examineDisk());
  const { backend, why } = await chooseBackend({});
  // A device that computes wrongly does no harm unless it would be used.
  const unused = DEVICES.filter((mode) => mode !== backend.name) as readonly string[];
  const sound = findings.every(({ ok, name }) => ok !== false || unused.includes(name));
  if (flags.json) sayJson({ system, sound, findings, used: why });
  else say(`${'will be used'.padEnd(20)}     ${why}`);
  return sound ? 0 : 1;
}
