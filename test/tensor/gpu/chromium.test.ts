/** @file Every kernel on WebGPU and WebGL 2 in Chromium, where there is one. */
/** Kernels in a browser: BLT_TEST_CHROMIUM=1 runs them in headless Chromium (at /usr/bin/chromium, or where CHROMIUM says). */

import { expectAllWithin, kernelNames, raggedSize, rowOf } from '@blt-ts/autograd/testing';
import type { KernelName } from '@blt-ts/tensor';
import type { GpuMode } from '@blt-ts/tensor/gpu';
import fc from 'fast-check';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleForBrowser, inChromium } from '../../support/chromium.ts';
import type { GpuPage, PageCase } from '../../support/gpu-page.ts';
import { shown, specials } from '../../support/gpu-suite.ts';
import { runs } from '../../support/runs.ts';

const script = (minify: boolean) => bundleForBrowser('./gpu-page.ts', minify);

declare const gpuPage: GpuPage;

test('a minifier leaves the text of the kernels alone', async () => {
  const text = await script(true);
  expect(text).toContain('total = total + Math.exp(x[I * C + c] - max[I]);');
  expect(text.length).toBeLessThan(1.2e6);
});

if (process.env.BLT_TEST_CHROMIUM) {
  describe.each([
    { mode: 'webgpu', minify: false },
    { mode: 'webgpu', minify: true },
    { mode: 'webgl2', minify: false },
    { mode: 'webgl2', minify: true },
  ] as const)('in Chromium on $mode, minified: $minify', ({ mode, minify }) => {
    inPage(mode, minify);
  });
}

function inPage(mode: GpuMode, minify: boolean): void {
  let page: Page;
  let errors: string[];
  let close: () => void;
  let closed: Promise<void>;

  beforeAll(async () => {
    const bundle = await script(minify);
    await new Promise<void>((opened, failed) => {
      closed = inChromium(bundle, async (p, e) => {
        [page, errors] = [p, e];
        await page.waitForFunction('globalThis.gpuPage');
        opened();
        await new Promise<void>((resolve) => {
          close = resolve;
        });
      });
      closed.catch(failed);
    });
  }, 180_000);

  afterAll(async () => {
    close();
    await closed;
  });

  test('the mode that was asked for starts, and passes its self-test', async () => {
    const description = await page.evaluate((m) => gpuPage.start(m), mode);
    expect(description).toMatch(mode === 'webgpu' ? /^WebGPU on .+, through the browser$/ : /^WebGL 2 on /);
  });

  const compute = (cases: readonly PageCase[]) => page.evaluate((c) => gpuPage.run(c), cases as PageCase[]);
  // See drivers/webgpu.test.ts: what the specification of WGSL allows; GLSL promises less and does as well.
  const tested = { name: mode, roundoff: 4 * 2 ** -24, tiny: 2 ** -126 };

  test.each(kernelNames.map((kernel) => [kernel]))('%s equals its definition', async (kernel: KernelName) => {
    const row = rowOf(kernel);
    const cases = fc.sample(row.cases(raggedSize), { numRuns: runs(8), seed: minify ? 1 : 2 });
    const found = await compute(cases.map(({ ins, attrs }) => ({ kernel, ins, attrs })));
    cases.forEach(({ ins, attrs }, i) => {
      expectAllWithin(kernel, found[i], row.define(ins, attrs), tested);
    });
  });

  test('NaN and infinities in the data go where the definition sends them', async () => {
    const found = await compute(specials.map(({ kernel, ins, attrs }) => ({ kernel, ins, attrs })));
    specials.forEach(({ kernel, want }, i) => {
      expect(shown(found[i][0].values), kernel).toEqual(want);
    });
  });

  test('three steps of training follow the CPU', async () => {
    const { losses, want } = await page.evaluate(() => gpuPage.train(3));
    losses.forEach((loss, i) => {
      expect(Math.abs(loss - want[i]), `step ${i + 1}`).toBeLessThan(1e-4);
    });
    expect(new Set(losses).size).toBe(3);
  }, 120_000);

  test('long rows, and grids wider and higher than a texture', async () => {
    const f32 = (shape: number[], values: number[]) => ({ dtype: 'f32' as const, shape, values });
    const ones = (n: number) => new Array<number>(n).fill(1);
    const high = Array.from({ length: 20_000 }, (_, i) => i % 7);
    const [[sum], [column], [row], [rows]] = await compute([
      { kernel: 'sum', ins: [f32([50_000], ones(50_000))], attrs: { axes: [0] } },
      { kernel: 'add', ins: [f32([20_000, 1], high), f32([2], [0, 0.5])], attrs: {} },
      { kernel: 'add', ins: [f32([20_000], high), f32([2, 1], [0, 0.5])], attrs: {} },
      {
        kernel: 'gatherRows',
        ins: [f32([20_000, 1], high), { dtype: 'i32', shape: [3], values: [19_999, 8, 12_345] }],
        attrs: {},
      },
    ]);
    expect(sum.values).toEqual([50_000]);
    expect(column.values).toEqual(high.flatMap((v) => [v, v + 0.5]));
    expect(row.values).toEqual([...high, ...high.map((v) => v + 0.5)]);
    expect(rows.values).toEqual([19_999 % 7, 8 % 7, 12_345 % 7]);
  });

  test('every kernel is compiled once, nothing is thrown', async () => {
    const { compiles, buffers } = await page.evaluate(() => gpuPage.counters());
    // Some kernels have two programs.
    expect(compiles).toBeGreaterThan(0.9 * kernelNames.length);
    expect(compiles).toBeLessThan(1.5 * kernelNames.length);
    // What is left belongs to the optimiser of the training run.
    expect(buffers).toBeLessThan(400);
    expect(errors).toEqual([]);
  });
}
