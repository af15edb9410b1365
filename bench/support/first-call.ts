/** @file A program that says what its first backend and its first operation took, milliseconds of processor time: see bench/first-call.ts. */
import { cpuUsage } from 'node:process';
import { createWasmBackend, run, tensor } from '@blt-ts/tensor';

const now = () => {
  const { user, system } = cpuUsage();
  return (user + system) / 1000;
};
const begin = now();
const backend = createWasmBackend();
const made = now();
run('exp', [tensor([1, 2, 3, 4], undefined, { backend })], {})[0].readSync();
console.log(JSON.stringify([made - begin, now() - made]));
