/** @file A driver that notes what runs on it: the kernels, and the elements of the largest buffer that each has filled. */
import { type Driver, sizeOfLaunch } from '../../packages/tensor/src/gpu/drivers/driver.ts';

export interface Watched {
  readonly driver: Driver;
  /** By name of the kernel, and 'upload'. A device that compiles each kernel once has compiled as many as there are names. */
  readonly elements: ReadonlyMap<string, number>;
}

export function watched(driver: Driver): Watched {
  const elements = new Map<string, number>();
  const note = (by: string, count: number) => elements.set(by, Math.max(count, elements.get(by) ?? 0));
  const own: Pick<Driver, 'launch' | 'upload'> = {
    launch(k, launch, arrays, scalars) {
      note(k.name, sizeOfLaunch(launch));
      return driver.launch(k, launch, arrays, scalars);
    },
    upload(values) {
      note('upload', values.length);
      return driver.upload(values);
    },
  };
  return { driver: Object.assign(Object.create(driver), own), elements };
}
