/**
 * @file @blt-ts/tensor/gpu: the backend whose kernels are gpu.js kernels, on WebGPU, WebGL 2 or WebAssembly. A package entry of
 * its own, so that nobody loads gpu.js who does not use it.
 */
export type { GpuBackend } from './backend.ts';
export { createGpuBackend, GPU_MODES, type GpuOptions, GpuUnavailableError } from './device.ts';
export { DeviceError } from './drivers/driver.ts';
export type { GpuMode } from './drivers/gpu-js.ts';
